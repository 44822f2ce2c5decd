//! The folder that a lab writes its files in. Changes when where that is does.

use super::error::LabError;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Uid, geteuid};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What folders of labs that nobody asked to keep are called.
const PREFIX: &str = "tg-lab-";
/// Locked as long as the lab lives: what a killed lab left is known by it.
const LOCK: &str = "lock";
/// At the end of the name of one that is being removed.
const GONE: &str = "-gone";
/// Folders that are made until one is this lab's own.
const TRIES: u32 = 100;

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
        let Some(path) = output else { return temporary(&std::env::temp_dir()) };
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

fn temporary(parent: &Path) -> Result<Folder, LabError> {
    remove_stale(parent, geteuid());
    for _ in 0..TRIES {
        let mut name = tempfile::Builder::new();
        let folder = name.prefix(PREFIX).tempdir_in(parent).map_err(LabError::io("making a temporary folder"))?;
        // Another lab that starts may take it for stale before it is locked.
        if let Some(lock) = lock(&folder.path().join(LOCK)) {
            return Ok(Folder { path: folder.path().to_owned(), temporary: Some((folder, lock)) });
        }
    }
    Err(LabError::Failed(format!(
        "no folder in {} can be locked: give another by TMPDIR, or --output",
        parent.display()
    )))
}

/// `None`: another has it, or it cannot be had.
fn lock(path: &Path) -> Option<Flock<File>> {
    hold(File::options().write(true).create(true).truncate(false).open(path).ok()?, path)
}

/// Locks an open file, unless it has gone from its path meanwhile: then the lock would be of nothing.
fn hold(file: File, path: &Path) -> Option<Flock<File>> {
    let file = Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()?;
    let (held, there) = (file.metadata().ok()?, fs::metadata(path).ok()?);
    ((held.dev(), held.ino()) == (there.dev(), there.ino())).then_some(file)
}

/// Removes what labs of this user left that were killed. Others' folders are theirs, also where this user could.
fn remove_stale(parent: &Path, user: Uid) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        // Of the entry itself: a link to a folder is none.
        let is_ours = entry.metadata().is_ok_and(|m| m.is_dir() && m.uid() == user.as_raw());
        let name = entry.file_name().to_string_lossy().into_owned();
        if !is_ours || !name.starts_with(PREFIX) {
            continue;
        }
        if name.ends_with(GONE) {
            // Who removed it was killed, or is still at it.
            let _ = fs::remove_dir_all(path);
            continue;
        }
        if !path.join(LOCK).is_file() {
            continue;
        }
        let Some(_held) = lock(&path.join(LOCK)) else { continue };
        // Moved away first: nobody can begin to lock what is being removed.
        let gone = parent.join(name + GONE);
        if fs::rename(&path, &gone).is_ok() {
            let _ = fs::remove_dir_all(gone);
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
        let path = |name: &str| parent.path().join(name);
        let [stale, living, foreign, half_gone] = ["tg-lab-1", "tg-lab-2", "tg-lab-3", "tg-lab-5-gone"].map(path);
        [&stale, &living, &foreign, &half_gone].into_iter().for_each(|p| fs::create_dir(p).unwrap());
        drop(lock(&stale.join(LOCK)).unwrap());
        let held = lock(&living.join(LOCK)).unwrap();
        // What a link leads to is not below this folder.
        let elsewhere = tempfile::tempdir().unwrap();
        drop(lock(&elsewhere.path().join(LOCK)).unwrap());
        std::os::unix::fs::symlink(elsewhere.path(), path("tg-lab-4")).unwrap();
        remove_stale(parent.path(), geteuid());
        assert_eq!([&stale, &living, &foreign, &half_gone].map(|p| p.exists()), [false, true, true, false]);
        assert!(path("tg-lab-4").join(LOCK).exists());
        drop(held);
        remove_stale(parent.path(), Uid::from_raw(geteuid().as_raw() + 1));
        assert!(living.exists(), "another user's stays");
    }

    #[test]
    fn a_lock_of_what_was_removed_meanwhile_is_none() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join(LOCK);
        let open = || File::options().write(true).create(true).truncate(false).open(&path).unwrap();
        let early = open();
        fs::remove_file(&path).unwrap();
        assert!(hold(early, &path).is_none(), "it is gone");
        let early = open();
        fs::rename(&path, parent.path().join("old")).unwrap();
        let _other = open();
        assert!(hold(early, &path).is_none(), "another's is there");
        assert!(hold(open(), &path).is_some());
    }

    #[test]
    fn labs_that_start_at_once_leave_each_others_alone() {
        let parent = tempfile::tempdir().unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    remove_stale(parent.path(), geteuid());
                }
            });
            for n in 0..1000 {
                let folder = temporary(parent.path());
                let there = folder.as_ref().is_ok_and(|folder| folder.path().join(LOCK).exists());
                over.store(n == 999 || !there, Ordering::Relaxed);
                assert!(there, "{n}: {folder:?}");
            }
        });
    }
}
