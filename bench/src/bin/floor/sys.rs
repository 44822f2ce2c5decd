//! The system calls that std has no safe form of. Changes when a floor needs another one.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// Events that one wait may bring.
const EVENTS: usize = 1024;

/// Timers of this thread fire when they are due: the default slack is 50 µs.
pub fn set_timer_slack_1ns() {
    // SAFETY: the call takes numbers only, and cannot fail.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1usize, 0usize, 0usize, 0usize) };
}

/// Asks for the shortest time slices, as tg does: who has those is let in early when it wakes up. Where that is
/// refused, or this thread is scheduled in an unusual way, nothing changes.
pub fn set_short_slice() {
    const SIZE: libc::c_uint = size_of::<libc::sched_attr>() as libc::c_uint;
    // SAFETY: `sched_attr` is numbers only: zeros are a value of it.
    let mut attr: libc::sched_attr = unsafe { std::mem::zeroed() };
    let (this_thread, no_flags) = (0, 0 as libc::c_uint);
    // SAFETY: `attr` is valid for the call to write, of the length given.
    let read = unsafe { libc::syscall(libc::SYS_sched_getattr, this_thread, &raw mut attr, SIZE, no_flags) };
    if read == 0 && attr.sched_policy == libc::SCHED_OTHER.cast_unsigned() {
        attr.sched_runtime = 100_000;
        // SAFETY: `attr` is valid for the call to read, and says its length itself.
        unsafe { libc::syscall(libc::SYS_sched_setattr, this_thread, &raw const attr, no_flags) };
    }
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

/// As many descriptors as this process may have.
///
/// # Errors
/// The kernel does not say how many, or does not grant them.
pub fn raise_file_limit() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for the call to write.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is valid for the call to read.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }).map(drop)
}

/// Has the kernel give `socket` the next free port when it connects, not an even one first: those run out.
/// A kernel without the option (before 6.3) does without.
pub fn use_ports_in_turn(socket: &impl AsRawFd) {
    const IP_LOCAL_PORT_RANGE: libc::c_int = 51;
    let range = u32::MAX << 16 | 1;
    // SAFETY: the option is read from `range`, of the length given.
    unsafe {
        let (value, len) = ((&raw const range).cast(), size_of_val(&range) as libc::socklen_t);
        libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, IP_LOCAL_PORT_RANGE, value, len);
    }
}

/// From here on this thread has a network namespace of its own, with nothing but a loopback.
///
/// # Errors
/// EPERM without the privilege.
pub fn enter_own_network() -> io::Result<()> {
    // SAFETY: the call takes a number only.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: `ifreq` is numbers and unions of numbers: zeros are a value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(*b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: `request` is valid for the call to read.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) }).map(drop)
}

/// CPU time of this process so far, ns.
pub fn cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for the call to write. The clock is there on every kernel, and where it
    // were not, the time would stay zero.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// The value that this share of the values is at most, by nearest rank; 0 where there are none.
pub fn quantile(sorted: &[u64], quantile: f64) -> u64 {
    let rank = (sorted.len() as f64 * quantile).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
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
        self.control(libc::EPOLL_CTL_ADD, socket, libc::EPOLLIN | libc::EPOLLRDHUP, number)
    }

    /// Tells when `socket` can be written to, or has failed.
    pub fn add_writable(&self, socket: &impl AsRawFd, number: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket, libc::EPOLLOUT, number)
    }

    /// Tells nothing more of `socket`.
    pub fn remove(&self, socket: &impl AsRawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, socket, 0, 0)
    }

    fn control(&self, what: libc::c_int, socket: &impl AsRawFd, events: libc::c_int, number: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: number };
        let (epoll, socket): (RawFd, RawFd) = (self.fd.as_raw_fd(), socket.as_raw_fd());
        // SAFETY: `event` is valid for the call to read.
        check(unsafe { libc::epoll_ctl(epoll, what, socket, &mut event) }).map(drop)
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
