//! A server on one core and its client's packet threads on the others. Left to the scheduler they share one in some
//! runs and not in others, which changes what a packet costs by half: no figure that is compared may hang on that.
//! Changes when what runs where does.

use anyhow::Context;
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How tg's packet threads and the floor's are called.
const PACKET_THREADS: [&str; 2] = ["tg-shard-", "floor"];
/// The packet threads of a client are started one right after the other.
const ALL_STARTED: Duration = Duration::from_millis(20);
const TICK: Duration = Duration::from_millis(2);

/// Who runs where.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    server: CpuSet,
    packet_threads: CpuSet,
}

impl Cores {
    /// The last core that this process may use for the server, the others for packet threads. `None` where it may
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

    /// Puts a client's packet threads onto theirs, as soon as there are any.
    ///
    /// # Errors
    /// There are none within `limit`, or the kernel refuses it.
    pub fn place_packet_threads(&self, client: Pid, limit: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + limit;
        while packet_threads(client).is_empty() {
            anyhow::ensure!(
                Instant::now() < until,
                "the client has no packet threads {} ms after its start",
                limit.as_millis()
            );
            thread::sleep(TICK);
        }
        thread::sleep(ALL_STARTED);
        for thread in packet_threads(client) {
            match sched_setaffinity(thread, &self.packet_threads) {
                // It has ended.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(e) => return Err(e).context("giving a packet thread its cores"),
            }
        }
        Ok(())
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
    Ok(Some(Cores { server: set(&[*last])?, packet_threads: set(others)? }))
}

fn packet_threads(client: Pid) -> Vec<Pid> {
    let Ok(threads) = Path::new("/proc").join(client.to_string()).join("task").read_dir() else { return Vec::new() };
    let sends = |directory: &Path| {
        let name = std::fs::read_to_string(directory.join("comm")).unwrap_or_default();
        PACKET_THREADS.iter().any(|start| name.starts_with(start))
    };
    let found = threads.flatten().filter(|thread| sends(&thread.path()));
    found.filter_map(|thread| thread.file_name().to_str()?.parse().ok().map(Pid::from_raw)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn set(cores: &[usize]) -> CpuSet {
        let mut set = CpuSet::new();
        cores.iter().for_each(|core| set.set(*core).unwrap());
        set
    }

    #[test]
    fn the_server_has_the_last_core() {
        let cores = split(&set(&[1, 2, 5])).unwrap().unwrap();
        assert_eq!((cores.server, cores.packet_threads), (set(&[5]), set(&[1, 2])));
        assert!(split(&set(&[3])).unwrap().is_none() && split(&set(&[])).unwrap().is_none());
    }

    #[test]
    fn packet_threads_alone_are_placed() {
        let Some(cores) = Cores::apart().unwrap() else { return };
        let all = sched_getaffinity(Pid::from_raw(0)).unwrap();
        let (this, own) = (Pid::this(), || sched_getaffinity(Pid::from_raw(0)).unwrap());
        let (stay, end) = mpsc::channel::<()>();
        let named = thread::Builder::new().name("tg-shard-7".to_owned());
        let thread = named
            .spawn(move || {
                let _ = end.recv();
                own()
            })
            .unwrap();
        cores.place_packet_threads(this, Duration::from_secs(60)).unwrap();
        drop(stay);
        assert_eq!(thread.join().unwrap(), cores.packet_threads);
        assert_eq!(own(), all);
    }

    #[test]
    fn a_client_without_packet_threads_is_an_error() {
        let cores = Cores { server: set(&[0]), packet_threads: set(&[0]) };
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        let error = cores.place_packet_threads(pid, Duration::from_millis(10)).unwrap_err();
        assert!(error.to_string().contains("no packet threads"));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
