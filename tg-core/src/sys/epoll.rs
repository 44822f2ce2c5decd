//! epoll(7) with waits in nanoseconds: by epoll_pwait2 (Linux 5.11), which takes one system call, or by a
//! timer descriptor where that is missing or forbidden. (mio waits whole milliseconds.) Changes when there is
//! a better way to wait for a moment.

use super::timer::Timer;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use tg_model::time::Nanos;

/// The timer's own number.
const TIMER: u64 = u64::MAX;
/// Longest wait in one go: well below where a span added to the kernel's clock would overflow.
const WAIT_MAX: Nanos = Nanos::from_secs(1000);

/// What a wait said of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The descriptor's number, as given to [`Epoll::add`].
    pub number: u64,
    bits: u32,
}

impl Ready {
    fn has(self, bits: libc::c_int) -> bool {
        self.bits & bits.cast_unsigned() != 0
    }

    /// There are bytes to read.
    pub fn is_readable(self) -> bool {
        self.has(libc::EPOLLIN)
    }

    /// There is room to write.
    pub fn is_writable(self) -> bool {
        self.has(libc::EPOLLOUT)
    }

    /// The peer will send nothing more, or the connection is gone.
    pub fn is_read_closed(self) -> bool {
        self.has(libc::EPOLLHUP | libc::EPOLLRDHUP)
    }

    /// The socket failed.
    pub fn is_error(self) -> bool {
        self.has(libc::EPOLLERR)
    }
}

/// An epoll descriptor, and what its last wait brought.
pub struct Epoll {
    fd: OwnedFd,
    events: Box<[libc::epoll_event]>,
    ready: usize,
    /// For kernels without epoll_pwait2.
    timer: Option<Timer>,
}

impl Epoll {
    /// One whose waits bring at most so many descriptors at once.
    ///
    /// # Errors
    /// No descriptor is to be had.
    pub fn new(room: u16) -> io::Result<Epoll> {
        // SAFETY: the call takes a number only.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: `fd` was opened just above and nothing else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; room.into()].into();
        Ok(Epoll { fd, events, ready: 0, timer: None })
    }

    /// Tells under `number`, which is not [`u64::MAX`], whenever `fd` becomes readable or writable, is closed
    /// by its peer or fails: once each time (edge-triggered).
    ///
    /// # Errors
    /// The kernel is short of memory, or of watches for this user.
    pub fn add(&self, fd: RawFd, number: u64) -> io::Result<()> {
        self.control_add(fd, number, libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET)
    }

    fn control_add(&self, fd: RawFd, number: u64, bits: libc::c_int) -> io::Result<()> {
        let mut event = libc::epoll_event { events: bits.cast_unsigned(), u64: number };
        // SAFETY: `event` is valid for the call to read.
        check(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) }).map(drop)
    }

    /// Waits for something to be ready, at most for the time from `now` to `until`. A signal ends it, too.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn wait(&mut self, now: Nanos, until: Nanos) -> io::Result<()> {
        self.ready = 0;
        let span = until.since(now).min(WAIT_MAX);
        let ready = if span == Nanos::ZERO {
            self.plain_wait(0)
        } else if let Some(timer) = &mut self.timer {
            timer.set(now + span)?;
            self.plain_wait(-1)
        } else {
            match self.precise_wait(span) {
                Err(e) if matches!(e.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                    self.add_timer()?;
                    return self.wait(now, until);
                }
                ready => ready,
            }
        };
        match ready {
            Ok(ready) => self.ready = ready as usize,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        self.take_timer();
        Ok(())
    }

    /// The nth of what the last wait brought.
    pub fn ready(&self, nth: usize) -> Option<Ready> {
        let event = self.events[..self.ready].get(nth)?;
        Some(Ready { number: event.u64, bits: event.events })
    }

    fn plain_wait(&mut self, milliseconds: libc::c_int) -> io::Result<libc::c_int> {
        let (fd, room) = (self.fd.as_raw_fd(), self.events.len() as libc::c_int);
        // SAFETY: `events` has room for so many.
        check(unsafe { libc::epoll_wait(fd, self.events.as_mut_ptr(), room, milliseconds) })
    }

    /// The call itself: glibc has a function for it only since 2.35.
    fn precise_wait(&mut self, span: Nanos) -> io::Result<libc::c_int> {
        let time = libc::timespec {
            tv_sec: (span.0 / 1_000_000_000) as libc::time_t,
            tv_nsec: (span.0 % 1_000_000_000) as libc::c_long,
        };
        let (fd, room) = (self.fd.as_raw_fd(), self.events.len() as libc::c_int);
        let no_mask = ptr::null::<libc::sigset_t>();
        // SAFETY: `events` has room for so many; `time`, a timespec as the kernel has it on this 64-bit
        // platform, is valid for the call to read; no signal mask is given, so its size is not looked at.
        let ready = unsafe {
            let (events, time) = (self.events.as_mut_ptr(), &raw const time);
            libc::syscall(libc::SYS_epoll_pwait2, fd, events, room, time, no_mask, 0usize)
        };
        check(ready as libc::c_int)
    }

    fn add_timer(&mut self) -> io::Result<()> {
        let timer = Timer::new()?;
        self.control_add(timer.as_raw_fd(), TIMER, libc::EPOLLIN | libc::EPOLLET)?;
        self.timer = Some(timer);
        Ok(())
    }

    /// Takes the timer out of what the last wait brought.
    fn take_timer(&mut self) {
        let Some(timer) = &mut self.timer else { return };
        let Some(at) = self.events[..self.ready].iter().position(|event| event.u64 == TIMER) else { return };
        timer.fired();
        self.events[..self.ready].copy_within(at + 1.., at);
        self.ready -= 1;
    }
}

impl std::fmt::Debug for Epoll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Epoll").field("fd", &self.fd).field("ready", &self.ready).finish_non_exhaustive()
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::monotonic;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    /// With each way to wait.
    fn both(check: impl Fn(Epoll)) {
        check(Epoll::new(4).unwrap());
        let mut with_timer = Epoll::new(4).unwrap();
        with_timer.add_timer().unwrap();
        check(with_timer);
    }

    #[test]
    fn a_wait_ends_at_its_time_and_not_before() {
        both(|mut epoll| {
            for _ in 0..3 {
                let now = monotonic();
                let until = now + Nanos(300_000);
                epoll.wait(now, until).unwrap();
                assert!(monotonic() >= until && epoll.ready(0).is_none());
            }
        });
    }

    #[test]
    fn what_is_ready_is_told_once_under_its_number() {
        both(|mut epoll| {
            let pairs: Vec<_> = (0..3).map(|_| UnixStream::pair().unwrap()).collect();
            for (number, (ours, _)) in (7..).zip(&pairs) {
                epoll.add(ours.as_raw_fd(), number).unwrap();
            }
            epoll.wait(monotonic(), Nanos::MAX).unwrap();
            let writable =
                |e: &Epoll| (0..3).map_while(|n| e.ready(n)).filter(|r| r.is_writable() && !r.is_readable()).count();
            assert_eq!(writable(&epoll), 3);
            (&pairs[1].1).write_all(b"x").unwrap();
            epoll.wait(monotonic(), Nanos::MAX).unwrap();
            let ready = epoll.ready(0).unwrap();
            assert!(ready.number == 8 && ready.is_readable() && !ready.is_read_closed() && epoll.ready(1).is_none());
            let now = monotonic();
            epoll.wait(now, now).unwrap();
            assert_eq!(epoll.ready(0), None);
        });
    }

    #[test]
    fn a_timer_among_what_is_ready_is_left_out() {
        let mut epoll = Epoll::new(4).unwrap();
        epoll.add_timer().unwrap();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        // Both are ready by the time that is looked.
        epoll.timer.as_mut().unwrap().set(Nanos(1)).unwrap();
        epoll.add(ours.as_raw_fd(), 5).unwrap();
        let now = monotonic();
        epoll.wait(now, now).unwrap();
        assert_eq!((epoll.ready(0).map(|r| r.number), epoll.ready(1)), (Some(5), None));
    }
}
