//! Which engine a run uses, and why.

use super::error::StartError;
use crate::engine::uring;
use crate::sys::thread;
use tg_model::plan::EngineChoice;

/// The engine that a run uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Uring,
    Epoll,
}

impl Choice {
    pub fn name(self) -> &'static str {
        match self {
            Choice::Uring => "uring",
            Choice::Epoll => "epoll",
        }
    }
}

/// The engine for a choice, and why it is not a better one.
pub(super) fn select(choice: EngineChoice) -> Result<(Choice, Option<String>), StartError> {
    if choice == EngineChoice::Epoll {
        return Ok((Choice::Epoll, None));
    }
    match (choice, thread::apart(uring::probe).map_err(StartError::Thread)?) {
        (_, Ok(())) => Ok((Choice::Uring, None)),
        (EngineChoice::Auto, Err(e)) if e.is_refused() => {
            Ok((Choice::Epoll, Some(format!("io_uring cannot be used here: {e}"))))
        }
        (_, Err(e)) => Err(StartError::Engine { engine: "uring", why: e.to_string() }),
    }
}
