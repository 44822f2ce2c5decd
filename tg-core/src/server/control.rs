//! What a server's thread and its handle share: the command, the means to wake the thread, the
//! figures. Changes when a server can be told something new.

use super::stats::Counters;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

/// What the server is to do. The later ones cannot be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Command {
    Serve,
    /// The drain that was configured.
    Drain,
    /// Close everything at once.
    Close,
}

pub(super) struct Control {
    command: AtomicU8,
    wake: Box<dyn Fn() + Send + Sync>,
    pub counters: Counters,
}

impl Control {
    /// `wake` makes the server's thread look at the command.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Control {
        let command = AtomicU8::new(Command::Serve as u8);
        Control { command, wake: Box::new(wake), counters: Counters::default() }
    }

    pub fn give(&self, command: Command) {
        // Release, with the Acquire below: the thread that is woken sees it.
        self.command.fetch_max(command as u8, Ordering::Release);
        (self.wake)();
    }

    pub fn command(&self) -> Command {
        match self.command.load(Ordering::Acquire) {
            0 => Command::Serve,
            1 => Command::Drain,
            _ => Command::Close,
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("command", &self.command()).finish_non_exhaustive()
    }
}
