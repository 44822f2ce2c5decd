//! The system calls that std has no safe form of. Changes when a floor needs another one.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// Events that one wait may bring.
const EVENTS: usize = 256;

/// Timers of this thread fire when they are due: the default slack is 50 µs.
pub fn set_timer_slack_1ns() {
    // SAFETY: the call takes numbers only, and cannot fail.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1usize, 0usize, 0usize, 0usize) };
}

/// Puts this thread into SCHED_FIFO, at tg's priority.
///
/// # Errors
/// EPERM without the privilege.
pub fn set_fifo() -> io::Result<()> {
    let param = libc::sched_param { sched_priority: 10 };
    // SAFETY: `param` is valid for the call to read; 0 is the calling thread.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &param) }).map(drop)
}

/// A level-triggered epoll whose waits are in nanoseconds.
pub struct Epoll {
    fd: OwnedFd,
    events: [libc::epoll_event; EVENTS],
    ready: usize,
}

impl Epoll {
    pub fn new() -> io::Result<Epoll> {
        // SAFETY: the call takes a number only.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: `fd` was opened just above and nothing else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Epoll { fd, events: [libc::epoll_event { events: 0, u64: 0 }; EVENTS], ready: 0 })
    }

    /// Tells of what can be read from `socket`, and of its end, under this number.
    pub fn add(&self, socket: &impl AsRawFd, number: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLRDHUP) as u32, u64: number };
        let (epoll, socket): (RawFd, RawFd) = (self.fd.as_raw_fd(), socket.as_raw_fd());
        // SAFETY: `event` is valid for the call to read.
        check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, socket, &mut event) }).map(drop)
    }

    /// Waits at most so long.
    pub fn wait(&mut self, at_most: Duration) -> io::Result<()> {
        let timeout = libc::timespec {
            tv_sec: at_most.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(at_most.subsec_nanos()),
        };
        let (fd, room) = (self.fd.as_raw_fd(), EVENTS as libc::c_int);
        // SAFETY: `events` has room for so many, `timeout` is valid for the call to read, and no signal
        // mask is given.
        let ready = unsafe { libc::epoll_pwait2(fd, self.events.as_mut_ptr(), room, &timeout, ptr::null()) };
        self.ready = match check(ready) {
            Ok(ready) => ready as usize,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
            Err(e) => return Err(e),
        };
        Ok(())
    }

    /// What the last wait brought: numbers and event bits.
    pub fn ready(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.events[..self.ready].iter().map(|e| (e.u64, e.events))
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
