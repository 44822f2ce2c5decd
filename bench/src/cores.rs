//! A server on one core and its client's packet thread on the others. Left to the scheduler they share one in some
//! runs and not in others, which changes what a packet costs by half (`bench/TRIED.md`): what a floor is compared by
//! must not hang on that. Where peers of many threads are compared, too, all share the cores. Changes when what runs
//! where does.

use crate::process::TooLate;
use anyhow::Context;
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::fs::DirEntry;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How tg's packet thread and the floor's are called.
const PACKET_THREADS: [&str; 2] = ["tg-shard-0", "floor"];
const TICK: Duration = Duration::from_millis(1);

/// Who runs where.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    server: CpuSet,
    packet_thread: CpuSet,
}

impl Cores {
    /// The last core that this process may use for the server, the others for the packet thread. `None` where it may
    /// use one only.
    ///
    /// # Errors
    /// The kernel does not say which.
    pub fn apart() -> anyhow::Result<Option<Cores>> {
        let all = sched_getaffinity(Pid::from_raw(0)).context("asking for the cores of this process")?;
        split(&all).context("choosing the server's core")
    }

    /// Puts the server, of one thread, onto its core.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn place_server(&self, pid: Pid) -> anyhow::Result<()> {
        sched_setaffinity(pid, &self.server).context("giving the server a core")
    }

    /// Puts a client's packet thread onto the others, as soon as there is one.
    ///
    /// # Errors
    /// [`TooLate`] where there is none within `limit`; the kernel refuses it.
    pub fn place_packet_thread(&self, client: Pid, limit: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + limit;
        loop {
            if let Some(thread) = packet_thread(client) {
                return match sched_setaffinity(thread, &self.packet_thread) {
                    // It has ended.
                    Ok(()) | Err(Errno::ESRCH) => Ok(()),
                    Err(e) => Err(e).context("giving a packet thread its cores"),
                };
            }
            if Instant::now() >= until {
                return Err(TooLate(format!("no packet thread {} ms after a client's start", limit.as_millis())).into());
            }
            thread::sleep(TICK);
        }
    }
}

fn split(all: &CpuSet) -> nix::Result<Option<Cores>> {
    let used: Vec<usize> = (0..CpuSet::count()).filter(|core| all.is_set(*core) == Ok(true)).collect();
    let Some((last, others)) = used.split_last().filter(|(_, others)| !others.is_empty()) else { return Ok(None) };
    let set = |cores: &[usize]| -> nix::Result<CpuSet> {
        let mut set = CpuSet::new();
        cores.iter().try_for_each(|core| set.set(*core))?;
        Ok(set)
    };
    Ok(Some(Cores { server: set(&[*last])?, packet_thread: set(others)? }))
}

fn packet_thread(client: Pid) -> Option<Pid> {
    let threads = Path::new("/proc").join(client.to_string()).join("task").read_dir().ok()?;
    let sends = |thread: &DirEntry| {
        let name = std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
        PACKET_THREADS.contains(&name.trim_end())
    };
    let found = threads.flatten().find(sends)?;
    found.file_name().to_str()?.parse().ok().map(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Guard;
    use std::process::Command;
    use std::sync::mpsc;

    fn set(cores: &[usize]) -> CpuSet {
        let mut set = CpuSet::new();
        cores.iter().for_each(|core| set.set(*core).unwrap());
        set
    }

    #[test]
    fn the_server_has_the_last_core() {
        let cores = split(&set(&[1, 2, 5])).unwrap().unwrap();
        assert_eq!((cores.server, cores.packet_thread), (set(&[5]), set(&[1, 2])));
        assert!(split(&set(&[3])).unwrap().is_none() && split(&set(&[])).unwrap().is_none());
    }

    #[test]
    fn the_packet_thread_alone_is_placed() {
        // Any core will do, also where there is one only.
        let all = sched_getaffinity(Pid::from_raw(0)).unwrap();
        let one = (0..CpuSet::count()).find(|core| all.is_set(*core) == Ok(true)).unwrap();
        let cores = Cores { server: all, packet_thread: set(&[one]) };
        let own = || sched_getaffinity(Pid::from_raw(0)).unwrap();
        let (stay, end) = mpsc::channel::<()>();
        let named = thread::Builder::new().name("tg-shard-0".to_owned());
        let thread = named.spawn(move || {
            let _ = end.recv();
            own()
        });
        cores.place_packet_thread(Pid::this(), Duration::from_secs(60)).unwrap();
        drop(stay);
        assert_eq!((thread.unwrap().join().unwrap(), own()), (cores.packet_thread, all));
    }

    #[test]
    fn a_client_without_a_packet_thread_is_tried_again() {
        let cores = Cores { server: set(&[0]), packet_thread: set(&[0]) };
        let client = Guard(Command::new("sleep").arg("60").spawn().unwrap());
        let error = cores.place_packet_thread(client.pid(), Duration::from_millis(10)).unwrap_err();
        assert!(error.is::<TooLate>());
    }
}
