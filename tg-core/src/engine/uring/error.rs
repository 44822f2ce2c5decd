//! Why there is no io_uring engine. Changes when another step of its making can fail.

use std::io;

/// The engine could not be made, or does not work here.
#[derive(Debug, thiserror::Error)]
pub enum UringError {
    /// The kernel refused a step.
    #[error("io_uring: {operation}: {error}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// Its answer.
        error: io::Error,
    },
    /// The ring lacks something that the engine relies on.
    #[error("io_uring: this kernel has no {0}")]
    Lacks(&'static str),
    /// A trial operation never completed.
    #[error("io_uring: {0} did not complete")]
    Stalled(&'static str),
}

impl UringError {
    /// For `map_err`: names the step that failed.
    pub(super) fn at(operation: &'static str) -> impl FnOnce(io::Error) -> UringError {
        move |error| UringError::Refused { operation, error }
    }

    /// io_uring is forbidden here (seccomp, sysctl), or this kernel's is too old: another engine will do.
    /// False where this host is short of something (memory, descriptors) that another engine needs too.
    pub fn is_refused(&self) -> bool {
        match self {
            UringError::Refused { error, .. } => {
                matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS | libc::EINVAL))
            }
            UringError::Lacks(_) | UringError::Stalled(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_no_refusal() {
        let of = |errno| UringError::at("setup")(io::Error::from_raw_os_error(errno));
        for errno in [libc::EPERM, libc::ENOSYS, libc::EINVAL] {
            assert!(of(errno).is_refused());
        }
        for errno in [libc::ENOMEM, libc::EMFILE, libc::ENFILE] {
            assert!(!of(errno).is_refused());
        }
        assert!(of(libc::EPERM).to_string().starts_with("io_uring: setup: "));
    }
}
