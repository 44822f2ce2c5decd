//! Netlink messages and their attributes (`include/uapi/linux/netlink.h`). Pure and total. Changes when the
//! kernel's form of them does.
//!
//! A parser of its own: that of netlink-packet-core 0.9.0 panics at attributes that are cut (`fuzz/` found it).

const HEADER: usize = size_of::<libc::nlmsghdr>();
pub const NLMSG_ERROR: u16 = libc::NLMSG_ERROR as u16;
pub const NLMSG_DONE: u16 = libc::NLMSG_DONE as u16;
pub const NLM_F_CREATE: u16 = libc::NLM_F_CREATE as u16;
const NLM_F_REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const NLM_F_DUMP: u16 = libc::NLM_F_DUMP as u16;
/// Kinds of attributes have flags above.
const NLA_TYPE: u16 = libc::NLA_TYPE_MASK as u16;

/// A message.
#[derive(Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// What was asked for is over.
    Done,
    /// The kernel's answer to a request: errno, positive, where it refused.
    Error(Option<i32>),
    /// Anything else.
    Message {
        kind: u16,
        flags: u16,
        /// What is after its header.
        body: &'a [u8],
    },
    /// It is cut: what comes after it cannot be found.
    Undecodable,
}

/// The messages of a datagram.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Content<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = rest.first_chunk().map_or(0, |l| u32::from_ne_bytes(*l) as usize);
        let Some(message) = rest.get(..length).filter(|m| m.len() >= HEADER) else {
            rest = &[];
            return Some(Content::Undecodable);
        };
        // Messages begin at multiples of four.
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(content(message).unwrap_or(Content::Undecodable))
    })
}

fn content(message: &[u8]) -> Option<Content<'_>> {
    let (kind, flags) = (number(message, 4)?, number(message, 6)?);
    let body = message.get(HEADER..)?;
    Some(match kind {
        NLMSG_DONE => Content::Done,
        NLMSG_ERROR => {
            let code = i32::from_ne_bytes(*body.first_chunk()?);
            Content::Error((code != 0).then_some(code.saturating_abs()))
        }
        _ => Content::Message { kind, flags, body },
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The first attribute of this kind; what comes after one that is cut is not looked at.
pub fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut rest = bytes;
    loop {
        let length = usize::from(number(rest, 0)?);
        let value = rest.get(4..length)?;
        if number(rest, 2)? & NLA_TYPE == kind {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

/// A request with this body.
pub fn request(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut request = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
    request.extend(kind.to_ne_bytes());
    request.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    request.extend([0; 8]);
    request.extend(body);
    request
}

/// As [`request`], for everything that there is.
pub fn dump_request(kind: u16, body: &[u8]) -> Vec<u8> {
    request(kind, NLM_F_DUMP, body)
}

/// An attribute's bytes.
pub fn nla(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut out = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

#[cfg(test)]
pub mod test {
    pub use super::nla;

    pub const NESTED: u16 = libc::NLA_F_NESTED as u16;

    pub fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        let mut message = super::request(kind, 0, body);
        message[6..8].copy_from_slice(&flags.to_ne_bytes());
        message
    }
}
