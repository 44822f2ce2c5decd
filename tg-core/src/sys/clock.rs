//! Clocks. CLOCK_MONOTONIC is the base of everything that is recorded: the kernel stamps its own
//! events with it.

use tg_model::time::Nanos;

/// Now on CLOCK_MONOTONIC.
pub fn monotonic() -> Nanos {
    read(libc::CLOCK_MONOTONIC)
}

/// Now on CLOCK_REALTIME, since the Unix epoch.
pub fn realtime() -> Nanos {
    read(libc::CLOCK_REALTIME)
}

/// CPU time that the calling thread has used.
pub fn thread_cpu() -> Nanos {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn read(clock: libc::clockid_t) -> Nanos {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a valid timespec for the call to write. The call cannot fail for these clocks.
    unsafe { libc::clock_gettime(clock, &mut t) };
    Nanos::from_secs(t.tv_sec as u64) + Nanos(t.tv_nsec as u64)
}

/// Sleeps until CLOCK_MONOTONIC shows `at`, or a signal comes.
pub fn sleep_until(at: Nanos) {
    let at_ns = at.0.min(i64::MAX as u64);
    let at = libc::timespec {
        tv_sec: (at_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (at_ns % 1_000_000_000) as libc::c_long,
    };
    // SAFETY: `at` is valid for the call to read; what is left of the sleep is not asked for.
    unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &at, std::ptr::null_mut()) };
}

/// Both clocks as of one moment: the pair of readings that lie closest together of a few tries.
pub fn both() -> (Nanos, Nanos) {
    let try_once = || {
        let before = monotonic();
        let real = realtime();
        (monotonic().since(before), before, real)
    };
    let (_, mono, real) = (0..5).map(|_| try_once()).min_by_key(|(gap, ..)| *gap).unwrap_or_else(try_once);
    (mono, real)
}
