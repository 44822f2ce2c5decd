//! Doing something in another network namespace. Changes when how one is entered does.

use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Where names of namespaces are.
pub const NAMED: &str = "/run/netns";

/// The file of a name.
pub fn file_of(name: &str) -> PathBuf {
    Path::new(NAMED).join(name)
}

/// Does it in the namespace of this file, on a thread of its own that ends with it: a thread that could not
/// come back would do the rest of its work in the wrong place.
pub fn within<T: Send>(file: &Path, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let namespace = File::open(file)?;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("tg-netns".into()).spawn_scoped(scope, move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
            Ok(work())
        })?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread ended early")))
    })
}
