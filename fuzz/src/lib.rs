//! What several targets check.

use std::fmt::{self, Write};
use std::net::SocketAddr;
use tg_model::ctraffic::{Analysis, Statistics, analyze};
use tg_model::id::{ConnId, SlotId};
use tg_model::journal::Established;

/// Prints every analysis of `statistics`.
///
/// # Panics
/// What is printed could steer a terminal.
pub fn print_analyses(statistics: &Statistics) {
    for analysis in Analysis::ALL {
        if let Ok(table) = analyze(statistics, analysis) {
            let _ = write!(Printed(0), "{table}");
        }
    }
}

/// Takes no more of a table than this: a year of seconds is a long one.
const PRINTED_MAX: usize = 1 << 16;

/// Looks at what is printed.
struct Printed(usize);

impl fmt::Write for Printed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        self.0 += text.len();
        if self.0 > PRINTED_MAX { Err(fmt::Error) } else { Ok(()) }
    }
}

/// How a connection came to be.
pub fn established() -> Established {
    Established {
        conn: ConnId { slot: SlotId(0), nth: 0 },
        first_attempt_ns: 0,
        attempt_ns: 0,
        established_ns: 1,
        failed_attempts: 0,
        local: SocketAddr::from(([127, 0, 0, 1], 1024)),
        remote: SocketAddr::from(([127, 0, 0, 1], 5003)),
    }
}
