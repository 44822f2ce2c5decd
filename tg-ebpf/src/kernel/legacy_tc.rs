//! Filters on interfaces before 6.6, where they have no link that ends with the process: each is noted in a file
//! before it is attached, so that the next start removes what one that was killed has left. Changes when how that is
//! kept does.

use super::enter;
use crate::place::Interface;
use aya::programs::tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle};
use aya::programs::{ProgramError, SchedClassifier, TcAttachType, TcError, tc};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where notes are, one file a process, which has it locked while it lives.
const NOTES: &str = "/run/tg-observe";
/// The filters' priority, and half of what tells them from others'; their handle is the process's number.
const PRIORITY: u16 = 0x7467;
/// So often, and so far apart, a file of its own is tried for: whoever clears it needs some milliseconds.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// One filter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    egress: bool,
    handle: u32,
    /// The namespace's name in /run/netns; `None`: the observer's own.
    netns: Option<String>,
    interface: String,
}

/// The filters of this process; detached when dropped.
pub struct LegacyTc {
    notes: Flock<File>,
    path: PathBuf,
    attached: Vec<Note>,
}

impl LegacyTc {
    /// Removes what others left, and begins a file of its own.
    pub fn start() -> io::Result<LegacyTc> {
        fs::create_dir_all(NOTES)?;
        for entry in fs::read_dir(NOTES)?.flatten() {
            clear(&entry.path());
        }
        let path = Path::new(NOTES).join(std::process::id().to_string());
        let notes = begin(&path)?;
        Ok(LegacyTc { notes, path, attached: Vec::new() })
    }

    /// Attaches a loaded program both ways, or one.
    pub fn attach(&mut self, program: &mut SchedClassifier, interface: &Interface, egress: bool) -> Result<(), String> {
        let handle = std::process::id();
        let note = Note { egress, handle, netns: interface.netns.clone(), interface: interface.name.clone() };
        // Before: one that is killed in between leaves a note of nothing, not a filter without a note.
        writeln!(self.notes, "{}", line(&note)).and_then(|()| self.notes.sync_data()).map_err(|e| e.to_string())?;
        let options = NlOptions { priority: PRIORITY, handle: of_number(handle), classid: None };
        let attach = || {
            match tc::qdisc_add_clsact(&interface.name) {
                Ok(()) => {}
                // It is there already: it may be somebody else's, too, and so it stays.
                Err(TcError::NetlinkError(e)) if e.raw_os_error() == Some(libc::EEXIST) => {}
                Err(e) => return Err(ProgramError::from(e)),
            }
            let link = program.attach_with_options(&interface.name, way(egress), TcAttachOptions::Netlink(options))?;
            // It is detached by its note, in its namespace: never by whoever drops it where it is not.
            std::mem::forget(program.take_link(link)?);
            Ok(())
        };
        within(&note, attach)?.map_err(|e| super::programs::chain(&e))?;
        self.attached.push(note);
        Ok(())
    }
}

impl Drop for LegacyTc {
    fn drop(&mut self) {
        self.attached.iter().for_each(detach);
        let _ = fs::remove_file(&self.path);
    }
}

fn way(egress: bool) -> TcAttachType {
    if egress { TcAttachType::Egress } else { TcAttachType::Ingress }
}

fn of_number(handle: u32) -> TcHandle {
    TcHandle::new((handle >> 16) as u16, (handle & 0xffff) as u16)
}

fn within<T: Send>(note: &Note, work: impl FnOnce() -> T + Send) -> Result<T, String> {
    match &note.netns {
        None => Ok(work()),
        Some(name) => enter::within(&enter::file_of(name), work).map_err(|e| e.to_string()),
    }
}

/// Where the interface or its namespace is gone, so is the filter.
fn detach(note: &Note) {
    let _ = within(note, || {
        let (way, handle) = (way(note.egress), of_number(note.handle));
        // Detached as it is dropped.
        drop(SchedClassifierLink::attached(&note.interface, way, PRIORITY, handle, None));
    });
}

/// An empty file, locked. Another that starts may take it for a dead one's before it is locked: then again.
fn begin(path: &Path) -> io::Result<Flock<File>> {
    for _ in 0..TRIES {
        // Emptied only once it is this one's own.
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        if let Some(notes) = lock(file, path)? {
            notes.set_len(0)?;
            return Ok(notes);
        }
        std::thread::sleep(PAUSE);
    }
    Err(io::Error::other(format!("{} is another's: end the observer that has it", path.display())))
}

/// Locks an open file; `None` where another has it, or it has gone from its path: then the lock would be of nothing.
fn lock(file: File, path: &Path) -> io::Result<Option<Flock<File>>> {
    let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(file) => file,
        Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
        Err((_, errno)) => return Err(errno.into()),
    };
    let held = file.metadata()?;
    let same = |there: fs::Metadata| (held.dev(), held.ino()) == (there.dev(), there.ino());
    Ok(fs::metadata(path).is_ok_and(same).then_some(file))
}

/// Removes what a file notes, unless who wrote it lives.
fn clear(path: &Path) {
    let Ok(file) = File::open(path) else { return };
    let Ok(Some(mut file)) = lock(file, path) else { return };
    let mut text = String::new();
    if file.read_to_string(&mut text).is_ok() {
        text.lines().filter_map(note).for_each(|n| detach(&n));
    }
    let _ = fs::remove_file(path);
}

/// `out HANDLE INTERFACE`, and the namespace's name after it: of these only it may have spaces.
fn line(note: &Note) -> String {
    let way = if note.egress { "out" } else { "in" };
    let netns = note.netns.as_ref().map(|n| format!(" {n}")).unwrap_or_default();
    format!("{way} {} {}{netns}", note.handle, note.interface)
}

fn note(line: &str) -> Option<Note> {
    let mut words = line.splitn(4, ' ');
    let egress = match words.next()? {
        "in" => false,
        "out" => true,
        _ => return None,
    };
    let (handle, interface) = (words.next()?.parse().ok()?, words.next()?.to_owned());
    Some(Note { egress, handle, netns: words.next().map(str::to_owned), interface })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_another_cleared_meanwhile_is_begun_anew() {
        let folder = std::env::temp_dir().join(format!("tg-observe-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("1");
        fs::write(&path, "in 1 eth0\n").unwrap();
        let early = File::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(lock(early, &path).unwrap().is_none(), "it is gone");
        fs::write(&path, "in 1 eth0\n").unwrap();
        let clearing = lock(File::open(&path).unwrap(), &path).unwrap().unwrap();
        let end = std::thread::spawn({
            let path = path.clone();
            // Whoever clears it has it for a while.
            move || {
                std::thread::sleep(PAUSE);
                fs::remove_file(path).unwrap();
                drop(clearing);
            }
        });
        let mut notes = begin(&path).unwrap();
        end.join().unwrap();
        notes.write_all(b"out 2 eth0\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "out 2 eth0\n");
        clear(&path);
        assert!(path.exists(), "who wrote it lives");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        for netns in [None, Some("pod-1"), Some("two words")] {
            let it = Note {
                egress: netns.is_some(),
                handle: 70000,
                netns: netns.map(str::to_owned),
                interface: "eth0".into(),
            };
            assert_eq!(note(&line(&it)), Some(it));
        }
        for text in ["", "in", "in x eth0", "up 1 eth0", "in 1"] {
            assert_eq!(note(text), None, "{text}");
        }
    }

    #[test]
    fn only_what_nobody_holds_is_cleared() {
        let notes = tempfile::tempdir().unwrap();
        let [held, dead] = ["1", "2"].map(|name| notes.path().join(name));
        let _holds = begin(&held).unwrap();
        drop(begin(&dead).unwrap());
        [&held, &dead].into_iter().for_each(|path| clear(path));
        assert_eq!([held.exists(), dead.exists()], [true, false]);
    }
}
