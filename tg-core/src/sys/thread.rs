//! The calling thread's scheduling: timer slack, time slice, SCHED_FIFO.

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

/// Asks for the shortest time slices that there are, 0.1 ms. It gives up no share of the processor for that: a thread
/// that asks for less at a time is let in earlier when it wakes up, before one in the midst of a long slice (the
/// kernel's `Documentation/scheduler/sched-eevdf.rst`). Threads that it starts have them, too. Needs no privilege.
/// Kernels before 6.12 take it and change nothing; one that refuses leaves things as they are.
pub fn set_short_slice() {
    const SLICE_NS: u64 = 100_000;
    if let Some(mut attr) = attributes().filter(|a| a.sched_policy == libc::SCHED_OTHER.cast_unsigned()) {
        attr.sched_runtime = SLICE_NS;
        let (this_thread, no_flags) = (0, 0 as libc::c_uint);
        // SAFETY: `attr` is valid for the call to read, and says its length itself.
        unsafe { libc::syscall(libc::SYS_sched_setattr, this_thread, &raw const attr, no_flags) };
    }
}

/// How this thread is scheduled.
fn attributes() -> Option<libc::sched_attr> {
    const SIZE: libc::c_uint = size_of::<libc::sched_attr>() as libc::c_uint;
    // SAFETY: `sched_attr` is numbers only: zeros are a value of it.
    let mut attr: libc::sched_attr = unsafe { std::mem::zeroed() };
    let (this_thread, no_flags) = (0, 0 as libc::c_uint);
    // SAFETY: `attr` is valid for the call to write, of the length given.
    let read = unsafe { libc::syscall(libc::SYS_sched_getattr, this_thread, &raw mut attr, SIZE, no_flags) };
    (read == 0).then_some(attr)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_slices_change_nothing_else() {
        let (before, after) = apart(|| {
            let before = attributes();
            set_short_slice();
            (before, attributes())
        })
        .unwrap();
        let (before, after) = (before.unwrap(), after.unwrap());
        let others = |a: libc::sched_attr| (a.sched_policy, a.sched_nice, a.sched_flags);
        assert_eq!(others(before), others(after));
        // A kernel before 6.12 tells of none; another policy than the usual one is left alone.
        let has_slices = before.sched_runtime != 0 && before.sched_policy == libc::SCHED_OTHER.cast_unsigned();
        assert_eq!(after.sched_runtime, if has_slices { 100_000 } else { before.sched_runtime });
    }
}
