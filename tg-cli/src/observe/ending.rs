//! How long the observer may take to end: who does not read what it writes must not keep it. Changes when what it waits
//! for at its end does.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tg_model::wire::printable;

/// From when it was asked to end, or from what was read last, for readers who do not read.
const AT_MOST: Duration = Duration::from_secs(1);
/// So often it is asked whether it shall end.
const LOOK: u16 = 100;
/// A pipe that has room at all has it for so much (PIPE_BUF): writing that does not wait.
const AT_ONCE: usize = 4096;

/// When the observer was asked to end.
#[derive(Clone, Debug, Default)]
pub struct Ending(Arc<OnceLock<Instant>>);

impl Ending {
    /// Asks it to.
    pub fn ask(&self) {
        let _ = self.0.set(Instant::now());
    }

    pub fn is_asked(&self) -> bool {
        self.0.get().is_some()
    }

    /// As [`output::stderr`](crate::output::stderr), for what is said while it observes.
    pub fn stderr(&self, text: &str) {
        let mut lines = text.split('\n').map(|line| format!("{}\n", printable(line.as_bytes())));
        // Where that fails there is no place left to say so.
        let to = Patient::new(&io::stderr(), self.clone());
        let _ = to.and_then(|mut to| lines.try_for_each(|line| to.write_all(line.as_bytes())));
    }
}

/// A place that may have no room: a pipe, a terminal. It is waited for, but not past the observer's end.
pub struct Patient {
    to: File,
    ending: Ending,
    patience: Duration,
    /// When there was room last.
    moved: Instant,
}

impl Patient {
    pub fn new(to: &dyn AsFd, ending: Ending) -> io::Result<Patient> {
        let to = to.as_fd().try_clone_to_owned()?.into();
        Ok(Patient { to, ending, patience: AT_MOST, moved: Instant::now() })
    }

    fn is_over(&self) -> bool {
        self.ending.0.get().is_some_and(|asked| self.moved.max(*asked).elapsed() >= self.patience)
    }

    fn wait_for_room(&self) -> io::Result<()> {
        loop {
            match poll(&mut [PollFd::new(self.to.as_fd(), PollFlags::POLLOUT)], PollTimeout::from(LOOK)) {
                Ok(0) if self.is_over() => {
                    return Err(io::Error::new(ErrorKind::TimedOut, "nobody reads it, and the observer ends"));
                }
                Ok(0) | Err(nix::Error::EINTR) => {}
                // Also where its reader has left: writing tells.
                Ok(_) => return Ok(()),
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait_for_room()?;
        self.moved = Instant::now();
        self.to.write(&bytes[..bytes.len().min(AT_ONCE)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// More than a pipe holds.
    const MUCH: usize = 4 << 20;

    fn asked() -> Ending {
        let ending = Ending::default();
        ending.ask();
        ending
    }

    #[test]
    fn who_never_reads_is_not_waited_for_at_the_end() {
        let (reader, writer) = io::pipe().unwrap();
        let mut to = Patient::new(&writer, asked()).unwrap();
        let error = to.write_all(&vec![0; MUCH]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop((reader, writer));
        assert_eq!(to.write_all(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn who_reads_gets_all_of_it_also_at_the_end() {
        for ending in [Ending::default(), asked()] {
            let (mut reader, writer) = io::pipe().unwrap();
            // A starved machine's reader reads late.
            let mut to = Patient { patience: Duration::from_secs(60), ..Patient::new(&writer, ending).unwrap() };
            drop(writer);
            let reader = std::thread::spawn(move || {
                let mut all = Vec::new();
                reader.read_to_end(&mut all).map(|_| all.len())
            });
            to.write_all(&vec![0; MUCH]).unwrap();
            drop(to);
            assert_eq!(reader.join().unwrap().unwrap(), MUCH);
        }
    }

    #[test]
    fn it_waits_for_room_until_it_is_asked_to_end() {
        let (reader, writer) = io::pipe().unwrap();
        let ending = Ending::default();
        let mut to = Patient::new(&writer, ending.clone()).unwrap();
        let writing = std::thread::spawn(move || to.write_all(&vec![0; MUCH]).unwrap_err().kind());
        assert!(!ending.is_asked());
        ending.ask();
        assert_eq!(writing.join().unwrap(), ErrorKind::TimedOut);
        drop(reader);
    }
}
