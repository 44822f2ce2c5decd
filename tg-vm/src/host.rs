//! What the host must have, and what it lacks. Changes when a guest needs another program of the host.

use crate::error::{Error, Result, file};
use std::path::{Path, PathBuf};

/// A program or file, and Debian's package that has it.
type Need = (&'static str, &'static str);

/// Programs that run a guest; it loads modules by the host's modprobe.
const TO_RUN: [Need; 3] = [("qemu-system-x86_64", "qemu-system-x86"), ("setpriv", "util-linux"), ("modprobe", "kmod")];

/// Programs that get a kernel.
const TO_GET: [Need; 4] = [("apt-get", "apt"), ("apt-cache", "apt"), ("dpkg-deb", "dpkg"), ("depmod", "kmod")];

/// The keys that apt checks the archive's signatures against.
pub(crate) const KEYRING: Need = ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring");

const BUSYBOX: Need = ("busybox", "busybox-static");

/// Where programs are: ordinary users often have no sbin in their path.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// The path of `program`, or its name where it is not found: starting it then fails with its name.
pub(crate) fn program(program: &'static str) -> PathBuf {
    find(program).unwrap_or_else(|| program.into())
}

/// Whether all is there to run a guest; `get`: to get a kernel, too.
///
/// # Errors
/// [`Error::Missing`]: what is missing, with the command that installs it.
pub fn check(get: bool) -> Result<()> {
    if !cfg!(target_arch = "x86_64") {
        return Err(Error::Missing("tg-vm runs amd64 guests on amd64 hosts only".to_owned()));
    }
    let mut missing: Vec<Need> =
        TO_RUN.iter().chain(TO_GET.iter().filter(|_| get)).filter(|(name, _)| find(name).is_none()).copied().collect();
    if get && !Path::new(KEYRING.0).is_file() {
        missing.push(KEYRING);
    }
    if busybox().is_err() {
        missing.push(BUSYBOX);
    }
    if missing.is_empty() { Ok(()) } else { Err(Error::Missing(advice(&missing))) }
}

fn advice(missing: &[Need]) -> String {
    let names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    let install = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    format!("this machine lacks {}\nto install what is missing: {install}", names.join(", "))
}

/// A busybox that needs no libraries: the guest starts with nothing else.
pub(crate) fn busybox() -> Result<Vec<u8>> {
    let path = program(BUSYBOX.0);
    let bytes = std::fs::read(&path).map_err(file("read", &path))?;
    if needs_libraries(&bytes) != Some(false) {
        return Err(Error::Missing(advice(&[BUSYBOX])));
    }
    Ok(bytes)
}

/// Whether a 64-bit ELF program names an interpreter; `None` for other files.
fn needs_libraries(elf: &[u8]) -> Option<bool> {
    const INTERPRETER: u32 = 3;
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let headers = usize::try_from(u64::from_le_bytes(*elf.get(32..)?.first_chunk()?)).ok()?;
    let size = usize::from(u16::from_le_bytes(*elf.get(54..)?.first_chunk()?));
    let count = usize::from(u16::from_le_bytes(*elf.get(56..)?.first_chunk()?));
    for n in 0..count {
        let kind = elf.get(headers.checked_add(n * size)?..)?.first_chunk()?;
        if u32::from_le_bytes(*kind) == INTERPRETER {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_missing_is_named_with_one_command() {
        let words = advice(&[TO_GET[0], TO_GET[1], BUSYBOX]);
        let expected = "this machine lacks apt-get, apt-cache, busybox\n\
                        to install what is missing: apt-get install --no-install-recommends apt busybox-static";
        assert_eq!(words, expected);
    }

    /// A program with these kinds of headers.
    fn elf(kinds: &[u32]) -> Vec<u8> {
        let mut elf = b"\x7fELF\x02\x01".to_vec();
        elf.resize(64, 0);
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = u8::try_from(kinds.len()).unwrap();
        for kind in kinds {
            elf.extend_from_slice(&kind.to_le_bytes());
            elf.resize(elf.len() + 52, 0);
        }
        elf
    }

    #[test]
    fn a_program_with_an_interpreter_is_told_from_one_without() {
        assert_eq!(needs_libraries(&elf(&[6, 1, 1])), Some(false));
        assert_eq!(needs_libraries(&elf(&[6, 1, 3])), Some(true));
        assert_eq!(needs_libraries(b"#!/bin/sh\n"), None);
        assert_eq!(needs_libraries(&elf(&[1, 1])[..100]), None);
    }

    #[test]
    fn this_test_needs_libraries() {
        let me = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(needs_libraries(&me), Some(!cfg!(target_feature = "crt-static")));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = needs_libraries(&bytes);
            bytes.splice(..0, *b"\x7fELF\x02\x01");
            let _ = needs_libraries(&bytes);
        }
    }
}
