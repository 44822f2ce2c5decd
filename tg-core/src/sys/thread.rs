//! The calling thread's scheduling: timer slack and SCHED_FIFO.

use std::io;

/// Runs `body` on a thread of its own. For what leaves a mark on its thread: scheduling, or an io_uring
/// ring, whose end can interrupt (EINTR) the next blocking call of the thread that made it.
///
/// # Errors
/// `body` panicked.
pub fn apart<T: Send>(body: impl FnOnce() -> T + Send) -> io::Result<T> {
    let joined = std::thread::scope(|scope| scope.spawn(body).join());
    joined.map_err(|_| io::Error::other("a thread panicked"))
}

/// Timers of this thread fire when they are due, not up to 50 µs later (the default slack).
pub fn set_timer_slack_1ns() {
    // SAFETY: PR_SET_TIMERSLACK takes a number and touches no memory of ours. It cannot fail.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1usize, 0usize, 0usize, 0usize) };
}

/// Puts this thread into SCHED_FIFO, priority 10: above everything that is not real-time, below the
/// kernel's own threads of that kind.
///
/// # Errors
/// EPERM without CAP_SYS_NICE or a sufficient RLIMIT_RTPRIO.
pub fn set_realtime() -> io::Result<()> {
    let param = libc::sched_param { sched_priority: 10 };
    // SAFETY: `param` is valid for the call to read; 0 is the calling thread.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &param) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
