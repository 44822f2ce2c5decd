//! Network namespaces: made, entered, removed. Changes when how one is named or entered does.

use super::error::{Result, file};
use super::program::{Input, run_in};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where names of namespaces are.
const NAMED: &str = "/run/netns";

/// A namespace that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Netns {
    name: String,
}

impl Netns {
    pub(super) fn new(name: String) -> Netns {
        Netns { name }
    }

    /// What `ip netns` calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its file: what `nsenter --net=` takes.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        Path::new(NAMED).join(&self.name)
    }
}

/// Does it in a namespace, on a thread of its own that ends with it: a thread that could not come back would do
/// the rest of its work in the wrong place.
///
/// # Errors
/// The namespace cannot be entered.
pub fn within<T: Send>(netns: &Netns, work: impl FnOnce() -> T + Send) -> Result<T> {
    let path = netns.path();
    let opened = File::open(&path).map_err(file("open", &path))?;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("tg-netns".into()).spawn_scoped(scope, move || {
            setns(opened, CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
            Ok(work())
        })?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread ended early")))
    })
    .map_err(file("enter", path))
}

/// Sets kernel settings in a namespace, each a path below `/proc/sys` and its value.
pub(crate) fn sysctl(netns: &Netns, settings: &[(&str, &str)]) -> Result<()> {
    within(netns, || {
        settings.iter().try_for_each(|(name, value)| {
            let path = Path::new("/proc/sys").join(name);
            fs::write(&path, value).map_err(file("set", path))
        })
    })?
}

/// The names there are.
pub(super) fn names() -> Result<Vec<String>> {
    match fs::read_dir(NAMED) {
        Ok(entries) => Ok(entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(file("list", NAMED)(e)),
    }
}

/// Makes them all at once.
pub(super) fn add(names: &[&str]) -> Result<()> {
    batch(names.iter().map(|name| format!("netns add {name}\n")).collect())
}

/// Ends what runs in them and removes them, all at once; those that are gone are no failure.
pub(super) fn remove(names: &[String]) -> Result<()> {
    let there: Vec<&String> = names.iter().filter(|name| Path::new(NAMED).join(name).exists()).collect();
    let inodes: Vec<u64> =
        there.iter().filter_map(|name| fs::metadata(Path::new(NAMED).join(name)).ok()).map(|m| m.ino()).collect();
    end_processes(&inodes);
    batch(there.iter().map(|name| format!("netns delete {name}\n")).collect())
}

fn batch(script: String) -> Result<()> {
    if script.is_empty() {
        return Ok(());
    }
    run_in(None, "ip", &["-force", "-batch", "-"], Input::Text(&script)).map(drop)
}

/// Kills every process whose first thread is in one of these namespaces: a lab puts only its pods there.
fn end_processes(inodes: &[u64]) {
    let inside: Vec<PathBuf> = inodes.iter().map(|inode| format!("net:[{inode}]").into()).collect();
    let Ok(processes) = fs::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if fs::read_link(process.path().join("ns/net")).is_ok_and(|link| inside.contains(&link)) {
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
