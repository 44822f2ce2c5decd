//! Word of the kernel that a module came or went: what is to be attached to it must not wait for the next look.
//! Changes when how that is heard does.

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_KOBJECT_UEVENT};
use std::io;
use std::os::fd::AsRawFd;

/// The kernel's own group (`lib/kobject_uevent.c`); udev's is another.
const KERNEL: u32 = 1;
/// UEVENT_BUFFER_SIZE (`include/linux/kobject.h`), and its first line.
const MESSAGE_MAX: usize = 4096;
/// As in `add@/module/ip_vs`, told once the module's own start is over.
const OF_A_MODULE: &[u8] = b"@/module/";

/// A listener; without one, modules are found once a tick.
pub struct Uevents(Option<Socket>);

impl Uevents {
    /// Where the kernel refuses it there is none.
    pub fn listen(registry: &Registry, token: Token) -> Uevents {
        let listen = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_KOBJECT_UEVENT)?;
            socket.bind(&SocketAddr::new(0, KERNEL))?;
            registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE)?;
            Ok(socket)
        };
        Uevents(listen().ok())
    }

    /// Takes what came; whether a module came or went, or may have.
    pub fn of_modules(&mut self) -> bool {
        let Some(socket) = &self.0 else { return false };
        let mut any = false;
        let mut buffer = Vec::with_capacity(MESSAGE_MAX);
        loop {
            buffer.clear();
            match socket.recv(&mut buffer, libc::MSG_DONTWAIT) {
                Ok(_) => any |= is_of_a_module(&buffer),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // Some were lost.
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => any = true,
                Err(_) => return any,
            }
        }
    }
}

fn is_of_a_module(message: &[u8]) -> bool {
    let first = message.split(|b| *b == 0).next().unwrap_or_default();
    first.windows(OF_A_MODULE.len()).any(|w| w == OF_A_MODULE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_s_own_word() {
        assert!(is_of_a_module(b"add@/module/ip_vs_rr\0ACTION=add\0DEVPATH=/module/ip_vs_rr\0"));
        assert!(!is_of_a_module(b"add@/devices/virtual/net/n0\0DEVPATH=@/module/\0"));
        assert!(!is_of_a_module(b""));
    }
}
