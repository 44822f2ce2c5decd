//! Network namespaces: made, entered, removed. Changes when how one is named or entered does.

use super::error::{Result, file};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where names of namespaces are.
const NAMED: &str = "/run/netns";

/// For what `mount` does not need.
const NONE: Option<&str> = None;

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

/// Makes them, as `ip netns add` does.
pub(super) fn add(names: &[&str]) -> Result<()> {
    make_shared()?;
    names.iter().try_for_each(|name| {
        let path = Path::new(NAMED).join(name);
        File::create_new(&path).map_err(file("make", &path))?;
        // On a thread of its own: it is in the new namespace for good.
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("tg-netns".into()).spawn_scoped(scope, || {
                unshare(CloneFlags::CLONE_NEWNET)?;
                mount(Some("/proc/thread-self/ns/net"), &path, NONE, MsFlags::MS_BIND, NONE)
            })?;
            let made = thread.join().unwrap_or(Err(nix::errno::Errno::EINTR));
            made.map_err(io::Error::from)
        })
        .map_err(file("mount a namespace at", &path))
    })
}

/// The names' directory is a mount that is shared, so that other mount namespaces have its names, too, and a name
/// that is removed in one is gone in all.
fn make_shared() -> Result<()> {
    let failed = |errno: nix::errno::Errno| file("mount", NAMED)(errno.into());
    fs::create_dir_all(NAMED).map_err(file("make", NAMED))?;
    let share = || mount(NONE, NAMED, NONE, MsFlags::MS_SHARED | MsFlags::MS_REC, NONE);
    match share() {
        Ok(()) => Ok(()),
        // It is no mount yet.
        Err(nix::errno::Errno::EINVAL) => {
            mount(Some(NAMED), NAMED, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE).map_err(failed)?;
            share().map_err(failed)
        }
        Err(errno) => Err(failed(errno)),
    }
}

/// Ends what runs in them and removes them; those that are gone are no failure.
pub(super) fn remove(names: &[String]) -> Result<()> {
    let paths: Vec<PathBuf> = names.iter().map(|name| Path::new(NAMED).join(name)).filter(|p| p.exists()).collect();
    let inodes: Vec<u64> = paths.iter().filter_map(|path| fs::metadata(path).ok()).map(|m| m.ino()).collect();
    end_processes(&inodes);
    let mut removed = Ok(());
    for path in paths {
        // One that was killed before it was mounted is a plain file.
        let _ = umount2(&path, MntFlags::MNT_DETACH);
        removed = removed.and(fs::remove_file(&path).map_err(file("remove", path)));
    }
    removed
}

/// Kills every process whose first thread is in one of these namespaces (a lab puts only its pods there), and waits
/// until they are gone: a killed one holds its sockets until the kernel comes to it.
fn end_processes(inodes: &[u64]) {
    let inside: Vec<PathBuf> = inodes.iter().map(|inode| format!("net:[{inode}]").into()).collect();
    // One that sleeps in the kernel for longer is left to it.
    let until = Instant::now() + Duration::from_secs(5);
    while kill_inside(&inside) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether any was there. One that ended, waited for or not, has no namespace any more.
fn kill_inside(inside: &[PathBuf]) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    let mut any = false;
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if fs::read_link(process.path().join("ns/net")).is_ok_and(|link| inside.contains(&link)) {
            any = true;
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    any
}
