//! ctraffic's statistics as types. Changes when ctraffic's fields do. Every `*_ns` counts from the
//! run's start, counts are packets where not said otherwise.

use super::go::GoFormatter;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use std::io;

/// One run, as ctraffic prints it.
///
/// A file must have the fields that tell what run it was (`Started`, `Duration`, `Connections`,
/// `PacketSize`); any other may be missing and is 0 or empty then. Unknown fields are passed over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statistics {
    /// When the run began.
    pub started: Timestamp,
    /// How long it took.
    #[serde(rename = "Duration")]
    pub duration_ns: u64,
    /// KiB/s over all connections, as asked for; 0: unlimited.
    #[serde(default, deserialize_with = "rate")]
    pub rate: f64,
    /// Connections kept up at a time.
    pub connections: u64,
    /// Bytes a packet.
    pub packet_size: u64,
    /// Established connections that were lost.
    #[serde(default)]
    pub failed_connections: u64,
    /// Packets sent.
    #[serde(default)]
    pub sent: u64,
    /// Echoes received.
    #[serde(default)]
    pub received: u64,
    /// Packets that were due and not sent.
    #[serde(default)]
    pub dropped: u64,
    /// TCP segments retransmitted.
    #[serde(default)]
    pub retransmits: u64,
    /// Attempts to connect that failed.
    #[serde(default)]
    pub failed_connects: u64,
    /// Its connections; empty without `-stats all`.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub conn_stats: Vec<ConnStat>,
    /// Totals so far, one a second; empty without `-stats all`.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
}

/// One connection, with the failed attempts before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ConnStat {
    /// When its slot first tried for it.
    #[serde(rename = "Started")]
    pub started_ns: u64,
    /// When it was established; 0: never.
    #[serde(rename = "Connect")]
    pub connect_ns: u64,
    /// When it ended; never 0.
    #[serde(rename = "Ended")]
    pub ended_ns: u64,
    /// What ended it; empty: it lasted, or never was.
    pub err: String,
    /// Packets sent.
    pub sent: u64,
    /// Echoes received.
    pub received: u64,
    /// Packets that were due and not sent.
    pub dropped: u64,
    /// TCP segments retransmitted.
    pub retransmits: u64,
    /// This end, `addr:port`.
    pub local: String,
    /// The other end, `addr:port`.
    pub remote: String,
    /// What the server calls itself; empty where it did not say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
}

/// Totals at one time of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Sample {
    /// That time.
    #[serde(rename = "Time")]
    pub time_ns: u64,
    /// Packets sent so far.
    pub sent: u64,
    /// Echoes received so far.
    pub received: u64,
    /// Packets dropped so far.
    pub dropped: u64,
}

/// A file that holds no statistics of ctraffic.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nothing in it.
    #[error("the file is empty: ctraffic prints its statistics when it ends")]
    Empty,
    /// The JSON has no end.
    #[error("the file is cut at line {line}, column {column}: ctraffic's statistics are one JSON object")]
    Cut {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Something else, or a value that cannot be.
    #[error("not ctraffic's statistics: {0}")]
    Other(serde_json::Error),
}

impl Statistics {
    /// Reads a file's text.
    pub fn read(text: &[u8]) -> Result<Statistics, ReadError> {
        if text.iter().all(u8::is_ascii_whitespace) {
            return Err(ReadError::Empty);
        }
        serde_json::from_slice(text).map_err(|e| match e.classify() {
            serde_json::error::Category::Eof => ReadError::Cut { line: e.line(), column: e.column() },
            _ => ReadError::Other(e),
        })
    }

    /// Writes what ctraffic would print: one line of JSON and a newline. The error is `out`'s.
    pub fn write(&self, out: impl io::Write) -> io::Result<()> {
        let mut json = serde_json::Serializer::with_formatter(out, GoFormatter);
        self.serialize(&mut json)?;
        json.into_inner().write_all(b"\n")
    }
}

fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

/// JSON has no infinite numbers: one that is too large is an error of the parser.
fn rate<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    let rate = Option::<f64>::deserialize(d)?.unwrap_or_default();
    if rate < 0.0 {
        return Err(serde::de::Error::custom(format!("Rate is {rate}: want 0 or more")));
    }
    Ok(rate)
}
