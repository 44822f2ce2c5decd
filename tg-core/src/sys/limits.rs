//! The limit on open files.

use std::io;

/// Soft and hard limit of this process.
///
/// # Errors
/// The kernel refuses to say.
pub fn descriptors() -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit for the call to write.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Raises the soft limit to `want`, or as near as the hard limit lets. Gives the soft limit then.
///
/// # Errors
/// The kernel refuses.
pub fn raise_descriptors(want: u64) -> io::Result<u64> {
    let (soft, hard) = descriptors()?;
    if soft >= want {
        return Ok(soft);
    }
    let limit = libc::rlimit { rlim_cur: want.min(hard), rlim_max: hard };
    // SAFETY: `limit` is a valid rlimit that the call only reads.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

/// Descriptors that this process has open now.
pub fn open_descriptors() -> u64 {
    std::fs::read_dir("/proc/self/fd").map(|d| d.count() as u64).unwrap_or(0)
}
