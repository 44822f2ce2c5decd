//! A timer descriptor for deadlines in nanoseconds: epoll's own time-outs are whole milliseconds.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use tg_model::time::Nanos;

/// A timerfd on CLOCK_MONOTONIC, set to absolute times. With edge-triggered epoll it need not be read:
/// setting it anew clears it.
#[derive(Debug)]
pub struct Timer {
    fd: OwnedFd,
    armed: Option<Nanos>,
}

impl Timer {
    /// A timer that is not set.
    ///
    /// # Errors
    /// No descriptor is to be had.
    pub fn new() -> io::Result<Timer> {
        // SAFETY: the call takes numbers only.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was opened just above and nothing else owns it.
        Ok(Timer { fd: unsafe { OwnedFd::from_raw_fd(fd) }, armed: None })
    }

    /// Fires at `at`; a time that is over fires at once.
    ///
    /// # Errors
    /// The kernel refuses the time.
    pub fn set(&mut self, at: Nanos) -> io::Result<()> {
        if self.armed == Some(at) {
            return Ok(());
        }
        // Zero would turn the timer off.
        let at_ns = at.0.clamp(1, i64::MAX as u64);
        let value = libc::timespec {
            tv_sec: (at_ns / 1_000_000_000) as libc::time_t,
            tv_nsec: (at_ns % 1_000_000_000) as libc::c_long,
        };
        let spec = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // SAFETY: `spec` is valid for the call to read; the old value is not asked for.
        let result =
            unsafe { libc::timerfd_settime(self.fd.as_raw_fd(), libc::TFD_TIMER_ABSTIME, &spec, std::ptr::null_mut()) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        self.armed = Some(at);
        Ok(())
    }

    /// It fired: the next `set` arms it even for the same time.
    pub fn fired(&mut self) {
        self.armed = None;
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
