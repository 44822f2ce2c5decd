//! Whether the engine works on this machine: tried on a socket pair, with the engine itself. Changes
//! never, as long as that goes through everything that the engine relies on.

use super::{Config, UringEngine, UringError};
use crate::engine::{Engine, Event, Op, Token};
use crate::payload::Message;
use socket2::{Domain, Socket, Type};
use std::io;
use std::sync::Arc;
use tg_model::time::Nanos;

/// How long the trial may take.
const PATIENCE: Nanos = Nanos::from_secs(2);
const BYTES: u32 = 64;

/// Tries what the engine uses: the ring's flags, a ring of buffers, a receive that stays pending over
/// several messages, a send.
///
/// # Errors
/// The step that failed; see [`UringError::is_refused`].
pub fn probe() -> Result<(), UringError> {
    let token = Token { slot: 0, generation: 0 };
    let config =
        Config { slots: 1, payload: Arc::from([0; BYTES as usize]), packet_size: BYTES as usize, datagram: false };
    let mut engine = UringEngine::new(config)?;
    let pair = Socket::pair(Domain::UNIX, Type::STREAM, None);
    let (ours, theirs) = pair.map_err(UringError::at("socket pair"))?;
    engine.adopt(token, false, ours).map_err(UringError::at("socket pair"))?;
    for _ in 0..2 {
        theirs.send(&[1]).map_err(UringError::at("socket pair"))?;
        await_event(&mut engine, "receive", |event| *event == Event::Received)?;
    }
    engine.submit(Op::Send(token, Message { start: 0, len: BYTES, sequence: None }));
    await_event(&mut engine, "send", |event| *event == Event::Sent { whole: true })
}

fn await_event(
    engine: &mut UringEngine,
    operation: &'static str,
    is_it: impl Fn(&Event) -> bool,
) -> Result<(), UringError> {
    let deadline = engine.now() + PATIENCE;
    while engine.now() < deadline {
        engine.wait(deadline, Nanos::ZERO).map_err(UringError::at("enter"))?;
        while let Some(completion) = engine.next() {
            match completion.event {
                Event::Failed { errno } | Event::Unsent { errno: Some(errno) } => {
                    return Err(UringError::at(operation)(io::Error::from_raw_os_error(errno)));
                }
                event if is_it(&event) => return Ok(()),
                _ => {}
            }
        }
    }
    Err(UringError::Stalled(operation))
}
