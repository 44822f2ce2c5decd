//! What machine this is, for the journal's header.

use std::fs;

fn line(path: &str) -> String {
    fs::read_to_string(path).map(|s| s.trim().to_owned()).unwrap_or_default()
}

/// Host name; empty where /proc is not there.
pub fn name() -> String {
    line("/proc/sys/kernel/hostname")
}

/// Kernel release.
pub fn kernel() -> String {
    line("/proc/sys/kernel/osrelease")
}

/// The kernel's boot id.
pub fn boot_id() -> String {
    line("/proc/sys/kernel/random/boot_id")
}

/// The clock source in use.
pub fn clock_source() -> String {
    line("/sys/devices/system/clocksource/clocksource0/current_clocksource")
}
