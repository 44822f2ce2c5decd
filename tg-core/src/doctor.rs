//! What this machine gives a run: asked before one, so that nobody has to guess afterwards.

use crate::engine::{Engine, epoll, uring};
use crate::run::{NAPS_FROM_PAUSE, WakeUp, measure_wake_up};
use crate::sys::{host, limits, thread};
use std::io;
use std::sync::Arc;
use tg_model::plan::EngineChoice;

/// Whether the io_uring engine can be had.
///
/// # Errors
/// Why not, in words.
pub fn probe_uring() -> Result<(), String> {
    let outcome = thread::apart(uring::probe).map_err(|e| e.to_string())?;
    outcome.map_err(|e| e.to_string())
}

/// Soft and hard limit on open files.
///
/// # Errors
/// The kernel refuses to say.
pub fn descriptor_limit() -> io::Result<(u64, u64)> {
    limits::descriptors()
}

/// The kernel's clock source; empty where it does not say.
pub fn clock_source() -> String {
    host::clock_source()
}

/// How late the engine that a run would use wakes up where a thread's packets are 1 ms or more apart, from the short
/// sleep before each; and the engine's name.
/// Takes about 30 ms.
///
/// # Errors
/// That engine cannot be had.
pub fn wake_up_error(choice: EngineChoice) -> io::Result<(&'static str, WakeUp)> {
    thread::apart(move || {
        thread::set_timer_slack_1ns();
        thread::set_short_slice();
        let payload: Arc<[u8]> = vec![0; 64].into();
        if choice != EngineChoice::Epoll {
            let config = uring::Config { slots: 1, payload: payload.clone(), packet_size: 64, datagram: false };
            match uring::UringEngine::new(config) {
                Ok(mut engine) => return Ok((engine.name(), measure_wake_up(&mut engine, NAPS_FROM_PAUSE)?)),
                Err(e) if choice == EngineChoice::Uring => return Err(io::Error::other(e)),
                Err(_) => {}
            }
        }
        let mut engine = epoll::Epoll::new(1, payload)?;
        Ok((engine.name(), measure_wake_up(&mut engine, NAPS_FROM_PAUSE)?))
    })?
}

/// Whether `--realtime` would be allowed.
///
/// # Errors
/// Why not.
pub fn realtime() -> io::Result<()> {
    thread::apart(thread::set_realtime)?
}
