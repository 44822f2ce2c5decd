//! On the host, before there is a guest.

use crate::support::{Capability, Suite};
use crate::{Told, tg_vm};
use std::io::Seek;
use std::process::Command;
use tg_vm::initramfs::Initramfs;

pub fn add(suite: &mut Suite) {
    suite.test("host::a_wrong_command_line_is_2".into(), &[], a_wrong_command_line_is_2);
    suite.test("host::a_new_cache_has_no_kernel".into(), &[], a_new_cache_has_no_kernel);
    suite.test("host::busybox_reads_the_archive".into(), &[Capability::Vm], busybox_reads_the_archive);
    let needs = [Capability::Vm, Capability::Netns];
    suite.test("host::a_kernel_that_cannot_be_got_leaves_nothing".into(), &needs, nothing_is_left);
}

fn a_wrong_command_line_is_2() {
    for arguments in [&["run"][..], &["run", "--kernel", "2.4", "--", "true"], &["boot"], &[]] {
        let told = tg_vm(arguments);
        assert_eq!((told.code, told.stdout.as_str()), (Some(2), ""), "{told:?}");
        assert!(told.stderr.contains("Usage:") || told.stderr.contains("--help"), "{told:?}");
    }
    assert_eq!(tg_vm(&["run", "--help"]).code, Some(0));
}

fn a_new_cache_has_no_kernel() {
    let directory = tempfile::tempdir().unwrap();
    let told = tg_vm(&["kernels", "--cache", directory.path().to_str().unwrap()]);
    assert_eq!(told.code, Some(0));
    for kernel in ["6.1", "backports"] {
        let line = told.stdout.lines().find(|line| line.starts_with(kernel)).unwrap();
        assert_eq!(line.split_whitespace().nth(1), Some("no"), "{line}");
    }
}

fn busybox_reads_the_archive() {
    let mut archive = tempfile::tempfile().unwrap();
    let modules = [b"one".to_vec(), b"more".to_vec()];
    let initramfs = Initramfs { busybox: b"\x7fELF", init: b"#!/bin/busybox sh\n", job: b"", modules: &modules };
    initramfs.write(&archive).unwrap();
    archive.rewind().unwrap();
    let told = Told::from(Command::new("busybox").args(["cpio", "-tv"]).stdin(archive).output().unwrap());
    assert_eq!(told.code, Some(0), "{told:?}");
    let listed: Vec<Vec<&str>> = told.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    for (mode, size, name) in [
        ("drwxr-xr-x", "0", "proc"),
        ("-rwxr-xr-x", "4", "bin/busybox"),
        ("-rwxr-xr-x", "18", "init"),
        ("-rwxr-xr-x", "0", "job"),
        ("-rwxr-xr-x", "3", "modules/000.ko"),
        ("-rwxr-xr-x", "4", "modules/001.ko"),
    ] {
        let fits =
            |line: &&Vec<&str>| line.first() == Some(&mode) && line.contains(&size) && line.last() == Some(&name);
        assert_eq!(listed.iter().filter(fits).count(), 1, "{name} in {}", told.stdout);
    }
}

/// Where there is no network.
fn nothing_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.args(["-n", env!("CARGO_BIN_EXE_tg-vm"), "--cache"]).arg(directory.path());
    let told = Told::from(command.args(["run", "--", "true"]).output().unwrap());
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.stderr.contains("apt-get failed"), "{told:?}");
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [directory.path().join("6.1.lock")]);
}
