//! The kernel inside a bzImage: an ELF file, which boots faster as it need not unpack itself in the guest.
//! Changes when kernels come compressed in another way. Layout: the kernel's Documentation/arch/x86/boot.rst.

use ruzstd::decoding::StreamingDecoder;
use std::io::{self, Read};

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Too short, or not a bzImage.
    #[error("not a bzImage: {0}")]
    NotAnImage(&'static str),
    /// The payload does not lie within the image.
    #[error("its payload ends outside of the image")]
    Cut,
    /// Neither xz nor zstd.
    #[error("its compression is neither xz nor zstd, it starts with {0:02x?}")]
    Compression(Vec<u8>),
    /// The payload cannot be unpacked.
    #[error("unpacking: {0}")]
    Unpack(#[from] io::Error),
    /// The payload's length is not what the image says.
    #[error("unpacked it has {found} bytes, it should have {expected}")]
    Length {
        /// Bytes that came out.
        found: usize,
        /// Bytes that the image promises.
        expected: u64,
    },
    /// The kernel would be larger than any that there is.
    #[error("it should have {0} bytes unpacked, and {LONGEST} are allowed")]
    TooLong(u64),
    /// What came out is no ELF file.
    #[error("it unpacks to something else than an ELF file")]
    NotElf,
}

/// How the kernel in an image is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// XZ, as Debian's 6.1.
    Xz,
    /// Zstandard, as Debian's 6.12.
    Zstd,
}

/// The compressed kernel within an image.
#[derive(Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// How it is compressed.
    pub compression: Compression,
    /// It, without the length behind it.
    pub bytes: &'a [u8],
    /// Bytes of the kernel, unpacked.
    pub length: u64,
}

const SETUP_SECTORS: usize = 0x1f1;
const SIGNATURE: usize = 0x202;
const VERSION: usize = 0x206;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
/// The first version of the boot protocol that says where the payload is.
const OLDEST: u32 = 0x0208;

/// Bytes of a kernel, unpacked: about four times Debian's.
const LONGEST: u64 = 256 << 20;
/// What unpacking an xz file may take.
const XZ_KIB: u32 = 256 << 10;

/// Finds the compressed kernel.
///
/// # Errors
/// [`ImageError`]; never a panic, whatever the bytes are.
pub fn payload(image: &[u8]) -> Result<Payload<'_>, ImageError> {
    const SHORT: ImageError = ImageError::NotAnImage("too short");
    if image.get(SIGNATURE..SIGNATURE + 4).ok_or(SHORT)? != b"HdrS" {
        return Err(ImageError::NotAnImage("no signature"));
    }
    if number(image, VERSION).ok_or(SHORT)? & 0xffff < OLDEST {
        return Err(ImageError::NotAnImage("a boot protocol older than 2.08"));
    }
    // For historical reasons, 0 means 4.
    let sectors = match *image.get(SETUP_SECTORS).ok_or(SHORT)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let offset = number(image, PAYLOAD_OFFSET).ok_or(SHORT)? as usize;
    let length = number(image, PAYLOAD_LENGTH).ok_or(SHORT)? as usize;
    let start = ((sectors + 1) * 512).checked_add(offset).ok_or(ImageError::Cut)?;
    let end = start.checked_add(length).ok_or(ImageError::Cut)?;
    let packed = image.get(start..end).ok_or(ImageError::Cut)?;
    // The kernel's build appends the length: scripts/Makefile.lib, size_append.
    let (bytes, length) = packed.split_last_chunk::<4>().ok_or(ImageError::Cut)?;
    let compression = match bytes {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        _ => return Err(ImageError::Compression(bytes.iter().copied().take(6).collect())),
    };
    let length = u64::from(u32::from_le_bytes(*length));
    if length > LONGEST {
        return Err(ImageError::TooLong(length));
    }
    Ok(Payload { compression, bytes, length })
}

fn number(image: &[u8], at: usize) -> Option<u32> {
    image.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// The ELF file in an image.
///
/// # Errors
/// [`ImageError`].
pub fn kernel(image: &[u8]) -> Result<Vec<u8>, ImageError> {
    let payload = payload(image)?;
    let mut kernel = Vec::new();
    // One byte more than promised shows that there is more, and bounds what a bad image makes of memory.
    match payload.compression {
        Compression::Xz => {
            unxz(payload.bytes).take(payload.length + 1).read_to_end(&mut kernel)?;
        }
        Compression::Zstd => {
            let mut stream = StreamingDecoder::new(payload.bytes).map_err(io::Error::other)?;
            stream.by_ref().take(payload.length + 1).read_to_end(&mut kernel)?;
            // This crate leaves the comparison to its user.
            let promised = stream.decoder.get_checksum_from_data();
            if promised.is_some() && promised != stream.decoder.get_calculated_checksum() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum is wrong").into());
            }
        }
    }
    if kernel.len() as u64 != payload.length {
        return Err(ImageError::Length { found: kernel.len(), expected: payload.length });
    }
    if !kernel.starts_with(b"\x7fELF") {
        return Err(ImageError::NotElf);
    }
    Ok(kernel)
}

/// Reads what is in an xz file; modules come so, too.
pub(crate) fn unxz(bytes: &[u8]) -> impl Read {
    lzma_rust2::XzReader::new_mem_limit(bytes, false, XZ_KIB)
}

#[cfg(test)]
mod tests;
