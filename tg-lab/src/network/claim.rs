//! A lab's number: held by a lock on a file, which the kernel releases however the lab ends. Changes when how
//! labs tell their namespaces from others' does.

use super::error::{NetworkError, Result, file};
use super::netns;
use nix::fcntl::{Flock, FlockArg};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::path::Path;

/// So many labs can run side by side.
pub const LABS_MAX: u8 = 64;

const DIRECTORY: &str = "/run/tg-lab";
const PREFIX: &str = "tg-lab-";

/// A number that no other lab of this machine has, until it is dropped.
#[derive(Debug)]
pub struct Claim {
    number: u8,
    _lock: Flock<File>,
}

impl Claim {
    /// The first free number; what an earlier lab of that number left is removed.
    pub fn new() -> Result<Claim> {
        fs::create_dir_all(DIRECTORY).map_err(file("make", DIRECTORY))?;
        sweep()?;
        for number in 0..LABS_MAX {
            if let Some(claim) = Claim::of(number)? {
                return Ok(claim);
            }
        }
        Err(NetworkError::Busy { labs: LABS_MAX })
    }

    /// `None` where another has it.
    fn of(number: u8) -> Result<Option<Claim>> {
        let path = Path::new(DIRECTORY).join(number.to_string());
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(file("open", &path))?;
        match Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Claim { number, _lock: lock })),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(file("lock", path)(errno.into())),
        }
    }

    pub fn number(&self) -> u8 {
        self.number
    }

    /// The name of one of this lab's namespaces.
    pub fn name(&self, role: &str) -> String {
        format!("{PREFIX}{}-{role}", self.number)
    }

    /// Removes every namespace of this number, and ends what runs in its pods.
    pub fn clear(&self) -> Result<()> {
        let names: Vec<String> = netns::names()?.into_iter().filter(|n| number_of(n) == Some(self.number)).collect();
        netns::remove(&names)
    }
}

/// Removes what labs that are no more left behind: those whose lock nobody holds.
fn sweep() -> Result<()> {
    let numbers: BTreeSet<u8> = netns::names()?.iter().filter_map(|name| number_of(name)).collect();
    for number in numbers {
        if let Some(stale) = Claim::of(number)? {
            stale.clear()?;
        }
    }
    Ok(())
}

/// The lab that a namespace is of.
fn number_of(name: &str) -> Option<u8> {
    let (number, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    number.parse::<u8>().ok().filter(|n| *n < LABS_MAX && n.to_string() == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_labs_own_names_have_its_number() {
        for (name, number) in [
            ("tg-lab-0-client", Some(0)),
            ("tg-lab-63-mserver-8d75c6567-55fdh", Some(63)),
            ("tg-lab-64-client", None),
            ("tg-lab-007-client", None),
            ("tg-lab-1", None),
            ("tg-lab--client", None),
            ("tg2299x25c", None),
            ("", None),
        ] {
            assert_eq!(number_of(name), number, "{name}");
        }
    }
}
