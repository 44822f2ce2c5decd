//! Places as words: `--vip`, `--interface`, a process's cgroup. Pure. Changes when one of these forms does.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Words that name no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// No address.
    #[error("{0}: want ADDRESS or ADDRESS:PORT, as 192.0.2.1:80 or [2001:db8::1]:80")]
    Vip(String),
    /// No interface.
    #[error("{0}: want INTERFACE, NETNS/INTERFACE, and =xdp after it for XDP")]
    Interface(String),
}

/// Reads `ADDR[:PORT]`; without a port it is 0, every port.
pub fn vip(text: &str) -> Result<SocketAddr, PlaceError> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    match (text.parse::<SocketAddr>(), bare.parse::<IpAddr>()) {
        (Ok(socket), _) => Ok(SocketAddr::new(socket.ip().to_canonical(), socket.port())),
        (_, Ok(ip)) => Ok(SocketAddr::new(ip.to_canonical(), 0)),
        _ => Err(PlaceError::Vip(text.into())),
    }
}

/// An interface to count segments on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The namespace's name in /run/netns; `None`: the observer's own.
    pub netns: Option<String>,
    /// Its name.
    pub name: String,
    /// XDP for what comes in, in the kernel's generic mode: native mode changes how a veth works.
    pub xdp: bool,
}

/// `IFNAMSIZ`, its final zero not counted.
const NAME_MAX: usize = 15;

impl FromStr for Interface {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Interface, PlaceError> {
        let wrong = || PlaceError::Interface(text.into());
        let (place, xdp) = match text.split_once('=') {
            None => (text, false),
            Some((place, "xdp")) => (place, true),
            Some(_) => return Err(wrong()),
        };
        let (netns, name) = match place.split_once('/') {
            None => (None, place),
            Some((netns, name)) => (Some(netns.to_owned()), name),
        };
        if name.is_empty() || name.len() > NAME_MAX || name.contains('/') || netns.as_deref() == Some("") {
            return Err(wrong());
        }
        Ok(Interface { netns, name: name.into(), xdp })
    }
}

impl std::fmt::Display for Interface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.netns {
            Some(netns) => write!(f, "{netns}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Whose process it is, by its cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The pod's UID.
    pub pod_uid: Option<String>,
    /// The container's id.
    pub container: Option<String>,
}

/// Reads `/proc/PID/cgroup`. Kubernetes writes `…/kubepods-burstable-podUID.slice/cri-containerd-ID.scope`
/// (systemd, dashes of the UID as underscores), the same with `:cri-containerd:ID` after it, or
/// `/kubepods/burstable/podUID/ID` (cgroupfs); in kind all of it is under `kubelet`. The runtimes' prefixes are those
/// of containerd, CRI-O and docker.
pub fn owner(cgroup: &str) -> Owner {
    let mut owner = Owner::default();
    for part in cgroup.lines().filter_map(|l| l.splitn(3, ':').nth(2)).flat_map(|path| path.split(['/', ':'])) {
        let bare = part.strip_suffix(".slice").or_else(|| part.strip_suffix(".scope")).unwrap_or(part);
        let last = bare.rsplit_once("pod").filter(|_| bare.contains("kubepods") || bare.starts_with("pod"));
        if let Some(uid) = last.map(|(_, uid)| uid.replace('_', "-")).filter(|uid| is_uid(uid)) {
            owner.pod_uid = Some(uid);
        }
        let id = bare.rsplit_once('-').map_or(bare, |(_, id)| id);
        if id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
            owner.container = Some(id.into());
        }
    }
    owner
}

/// 36 characters, or 32 as static pods have them.
fn is_uid(text: &str) -> bool {
    [32, 36].contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vip_with_and_without_a_port() {
        for (text, want) in [
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("192.0.2.1", "192.0.2.1:0"),
            ("2001:db8::1", "[2001:db8::1]:0"),
            ("[2001:db8::1]", "[2001:db8::1]:0"),
            ("[2001:db8::1]:80", "[2001:db8::1]:80"),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1:80"),
        ] {
            assert_eq!(vip(text).unwrap().to_string(), want);
        }
        for text in ["", "service", "192.0.2.1:", "192.0.2.1:99999", ":80", "[192.0.2.1"] {
            assert!(vip(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_interface_here_and_elsewhere() {
        let of = |text: &str| text.parse::<Interface>();
        assert_eq!(of("eth0"), Ok(Interface { netns: None, name: "eth0".into(), xdp: false }));
        assert_eq!(of("pod/eth0=xdp"), Ok(Interface { netns: Some("pod".into()), name: "eth0".into(), xdp: true }));
        for text in ["", "/eth0", "pod/", "eth0=tc", "a/b/c", "sixteen-letters-", "="] {
            assert!(of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_cgroups_that_runtimes_make() {
        let (uid, id) = ("0b5a3f5e-9f6c-4a55-9a0c-3f3a9f1d2c11", "a".repeat(64));
        let under = uid.replace('-', "_");
        for text in [
            format!(
                "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{under}.slice/cri-containerd-{id}.scope"
            ),
            format!("0::/kubepods.slice/kubepods-pod{under}.slice/crio-{id}.scope/container"),
            format!("12:memory:/other\n0::/kubepods/besteffort/pod{uid}/{id}\n"),
            format!("11:pids:/kubepods/burstable/pod{uid}/{id}\n10:cpu,cpuacct:/kubepods/burstable/pod{uid}/{id}\n"),
            format!("0::/kubepods/burstable/pod{uid}/crio-{id}"),
            format!("0::/system.slice/containerd.service/kubepods-burstable-pod{under}.slice:cri-containerd:{id}"),
            format!(
                "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{under}.slice/cri-containerd-{id}.scope"
            ),
            format!(
                "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{under}.slice/docker-{id}.scope"
            ),
        ] {
            assert_eq!(owner(&text), Owner { pod_uid: Some(uid.into()), container: Some(id.clone()) }, "{text}");
        }
        for docker in [format!("0::/system.slice/docker-{id}.scope"), format!("3:cpuset:/docker/{id}\n0::/\n")] {
            assert_eq!(owner(&docker), Owner { pod_uid: None, container: Some(id.clone()) }, "{docker}");
        }
        // A static pod's UID is a checksum.
        let uid = "0123456789abcdef0123456789abcdef";
        let fixed = owner(&format!("0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice"));
        assert_eq!(fixed, Owner { pod_uid: Some(uid.into()), container: None });
        for text in ["0::/", "", "0::/user.slice/user-1000.slice/session-1.scope", "0::/podman", "x"] {
            assert_eq!(owner(text), Owner::default(), "{text}");
        }
    }
}
