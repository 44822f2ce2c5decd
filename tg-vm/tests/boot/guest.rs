//! In the guest, with Debian's 6.1: got from the archive where it is not cached.

use crate::support::{Capability, Suite};
use crate::{Told, tg_vm};
use std::fs;

pub fn add(suite: &mut Suite) {
    let tests: [(&str, fn()); 6] = [
        ("the_kernel_is_debians", the_kernel_is_debians),
        ("the_exit_code_and_both_streams_come_back", the_exit_code_and_both_streams_come_back),
        ("ipvs_modules_load_and_have_types", ipvs_modules_load_and_have_types),
        ("only_what_is_in_out_stays", only_what_is_in_out_stays),
        ("a_panic_is_no_exit_code", a_panic_is_no_exit_code),
        ("a_guest_that_takes_too_long_is_stopped", a_guest_that_takes_too_long_is_stopped),
    ];
    for (name, body) in tests {
        suite.test(format!("guest::{name}"), &[Capability::Vm], body);
    }
}

/// A script in the guest.
fn script(script: &str) -> Told {
    tg_vm(&["run", "--memory", "512", "--", "sh", "-c", script])
}

fn the_kernel_is_debians() {
    let told = tg_vm(&["run", "--", "uname", "-r"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.starts_with("6.1.") && told.stdout.ends_with("-amd64\n"), "{told:?}");
}

/// Though a process that outlives the command holds its streams open.
fn the_exit_code_and_both_streams_come_back() {
    let told = script("sleep 1000000 & pwd; printf 'it''s %s' \"$(id -u)\"; echo wrong >/dev/stderr; exit 7");
    let here = std::env::current_dir().unwrap();
    assert_eq!(told.code, Some(7), "{told:?}");
    assert_eq!(told.stdout, format!("{}\nits 0", here.display()));
    assert!(told.stderr.ends_with("wrong\n"), "{told:?}");
}

fn ipvs_modules_load_and_have_types() {
    let told = script("set -e; ! test -e /sys/kernel/btf/ip_vs; modprobe ip_vs_lc; ls /sys/kernel/btf/ip_vs*");
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(told.stdout, "/sys/kernel/btf/ip_vs\n/sys/kernel/btf/ip_vs_lc\n");
}

fn only_what_is_in_out_stays() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "the host's").unwrap();
    let output = directory.path().join("a, b");
    let write = format!("cat {0}; echo changed >{0}; cat {0} >/out/copy", file.display());
    let told = tg_vm(&["run", "--output", output.to_str().unwrap(), "--", "sh", "-c", &write]);
    assert_eq!((told.code, told.stdout.as_str()), (Some(0), "the host's"), "{told:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "the host's");
    assert_eq!(fs::read_to_string(output.join("copy")).unwrap(), "changed\n");
}

fn a_panic_is_no_exit_code() {
    let told = script("echo c >/proc/sysrq-trigger; sleep 1000000");
    assert_eq!(told.code, Some(125), "{told:?}");
    assert!(told.stderr.contains("Kernel panic"), "{told:?}");
}

fn a_guest_that_takes_too_long_is_stopped() {
    let told = tg_vm(&["run", "--timeout", "1", "--", "sleep", "1000000"]);
    assert_eq!(told.code, Some(125), "{told:?}");
    assert!(told.stderr.contains("longer than 1 s"), "{told:?}");
}
