//! The folder that a lab writes its files in. Changes when where that is does.

use super::error::LabError;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What folders of labs that nobody asked to keep are called.
const PREFIX: &str = "tg-lab-";
/// Locked as long as the lab lives: what a killed lab left is known by it.
const LOCK: &str = "lock";

/// A folder: one that was asked for, or a temporary one that goes with this.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    temporary: Option<(TempDir, Flock<File>)>,
}

impl Folder {
    /// Makes the folder, or a temporary one.
    ///
    /// # Errors
    /// It cannot be made, or it holds something.
    pub fn open(output: Option<&Path>) -> Result<Folder, LabError> {
        let Some(path) = output else { return temporary() };
        let shown = path.display();
        fs::create_dir_all(path).map_err(LabError::io(format!("making the folder {shown}")))?;
        let mut entries = fs::read_dir(path).map_err(LabError::io(format!("reading the folder {shown}")))?;
        if entries.next().is_some() {
            return Err(LabError::Usage(format!("the folder {shown} is not empty: give another, or empty it first")));
        }
        Ok(Folder { path: path.to_owned(), temporary: None })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// It stays.
    pub fn is_kept(&self) -> bool {
        self.temporary.is_none()
    }
}

fn temporary() -> Result<Folder, LabError> {
    remove_stale(&std::env::temp_dir());
    let folder =
        tempfile::Builder::new().prefix(PREFIX).tempdir().map_err(LabError::io("making a temporary folder"))?;
    let lock = mark(folder.path()).map_err(LabError::io("locking a temporary folder"))?;
    Ok(Folder { path: folder.path().to_owned(), temporary: Some((folder, lock)) })
}

/// The lock has its name only once it is held: a lab that starts at this moment would take it for a dead one's.
fn mark(folder: &Path) -> io::Result<Flock<File>> {
    let unnamed = folder.join("lock-to-be");
    let lock = lock(File::create(&unnamed)?)?;
    fs::rename(unnamed, folder.join(LOCK))?;
    Ok(lock)
}

fn lock(file: File) -> io::Result<Flock<File>> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno.into())
}

/// Removes what labs left that were killed. What cannot be removed is another user's, or is being used.
fn remove_stale(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_lab = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if is_lab && File::open(path.join(LOCK)).and_then(lock).is_ok() {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_folder_with_something_in_it_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        assert!(Folder::open(Some(&path)).unwrap().is_kept());
        fs::write(path.join("x"), "").unwrap();
        assert!(Folder::open(Some(&path)).unwrap_err().is_usage());
    }

    #[test]
    fn what_a_killed_lab_left_goes_and_a_living_labs_stays() {
        let parent = tempfile::tempdir().unwrap();
        let [stale, living, foreign] = ["tg-lab-1", "tg-lab-2", "tg-lab-3"].map(|n| parent.path().join(n));
        [&stale, &living, &foreign].into_iter().for_each(|p| fs::create_dir(p).unwrap());
        drop(mark(&stale).unwrap());
        let held = mark(&living).unwrap();
        remove_stale(parent.path());
        assert_eq!([stale.exists(), living.exists(), foreign.exists()], [false, true, true]);
        drop(held);
    }

    #[test]
    fn labs_that_start_at_once_leave_each_others_alone() {
        let parent = tempfile::tempdir().unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    remove_stale(parent.path());
                }
            });
            for n in 0..1000 {
                let folder = parent.path().join(format!("{PREFIX}{n}"));
                fs::create_dir(&folder).unwrap();
                let marked = mark(&folder).map(|held| (held, folder.join(LOCK).exists()));
                over.store(n == 999 || marked.is_err(), Ordering::Relaxed);
                assert!(marked.unwrap().1, "{n}");
            }
        });
    }
}
