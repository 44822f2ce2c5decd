//! Tests of `cache`: what is left of a kernel that could not be got.

use super::*;
use crate::kernels::KERNELS;

fn stamp() -> Stamp {
    Stamp { package: "linux-image-1".into(), version: "1-1".into(), release: "1".into() }
}

fn fill(directory: &Path) -> Result<Stamp> {
    assert_eq!(fs::read_dir(directory).unwrap().count(), 0);
    fs::write(directory.join("vmlinux"), "whole").unwrap();
    Ok(stamp())
}

fn fail(directory: &Path) -> Result<Stamp> {
    fs::write(directory.join("vmlinux"), "half").unwrap();
    Err(Error::Missing("the network".into()))
}

fn directories(cache: &Path) -> Vec<String> {
    let entries = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap()).filter(|e| e.path().is_dir());
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
fn a_kernel_is_got_once() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path().join("not/yet"));
    assert!(cache.installed(&KERNELS[0]).unwrap().is_none());
    cache.install(&KERNELS[0], fill).unwrap();
    let again = cache.install(&KERNELS[0], |_| panic!("it is there")).unwrap();
    assert_eq!(again.stamp, stamp());
    assert_eq!(fs::read(again.image()).unwrap(), b"whole");
    assert!(cache.installed(&KERNELS[1]).unwrap().is_none());
}

#[test]
fn a_failure_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path().to_owned());
    cache.install(&KERNELS[0], fail).unwrap_err();
    assert!(directories(directory.path()).is_empty());
    assert!(cache.installed(&KERNELS[0]).unwrap().is_none());
    cache.install(&KERNELS[0], fill).unwrap();
    assert_eq!(directories(directory.path()), [KERNELS[0].name]);
}

#[test]
fn what_a_killed_process_left_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path().to_owned());
    let left = directory.path().join(format!("{}.partial", KERNELS[0].name));
    fs::create_dir(&left).unwrap();
    fs::write(left.join("vmlinux"), "half").unwrap();
    cache.install(&KERNELS[0], fill).unwrap();
    assert_eq!(directories(directory.path()), [KERNELS[0].name]);
}

#[test]
fn those_who_come_while_it_is_got_wait_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let filled = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let cache = Cache::new(directory.path().to_owned());
                let once = |path: &Path| {
                    filled.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    fill(path)
                };
                cache.install(&KERNELS[0], once).unwrap();
            });
        }
    });
    assert_eq!(filled.into_inner(), 1);
}
