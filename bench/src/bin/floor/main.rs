//! The floor: the least that does tg's work on this machine, to hold tg against. One thread (`closed`: or
//! several, which share nothing), no accounting, no recovery; whatever fails ends it. Changes when the work that is compared does.
//!
//! ```text
//! floor paced epoll|uring ADDR CONNS PPS SIZE SECONDS [nap US] [spin US] [batch US] [fifo]
//!                                               paced sends, echoes read
//! floor closed epoll|uring ADDR CONNS SIZE SECONDS [THREADS]
//!                                               each echo is answered by the next packet
//! floor reconnect ADDR CONNS SECONDS [MIN_US [MAX_US]]
//!                                               connections kept up, nothing sent
//! floor serve epoll|uring ADDR                  an echo server, until its stdin ends
//! floor churn close|refused PORT seconds S|count N [PER_SECOND]
//!                                               connections made and ended at once, in a namespace of its own
//! ```
#![allow(unsafe_code)]

mod churn;
mod closed;
mod connect;
mod paced;
mod reconnect;
mod ring;
mod serve;
mod sys;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: floor paced epoll|uring ADDR CONNS PPS SIZE SECONDS [nap US] [spin US] [batch US] [fifo]
       floor closed epoll|uring ADDR CONNS SIZE SECONDS [THREADS]
       floor reconnect ADDR CONNS SECONDS [MIN_US [MAX_US]]
       floor serve epoll|uring ADDR
       floor churn close|refused PORT seconds S|count N [PER_SECOND]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match sys::raise_file_limit().map_err(Into::into).and_then(|()| run(&words)) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How sockets are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// epoll(7).
    Epoll,
    /// io_uring(7).
    Uring,
}

fn run(words: &[&str]) -> Result<String, Box<dyn Error>> {
    match words {
        ["paced", engine, rest @ ..] => Ok(paced::run(self::engine(engine)?, &paced_load(rest)?)?.to_string()),
        ["closed", engine, address, conns, size, seconds, threads @ ..] => {
            let threads = match threads {
                [] => 1,
                [threads] => threads.parse()?,
                _ => return Err(USAGE.into()),
            };
            let load = closed::Load {
                address: address.parse()?,
                conns: conns.parse()?,
                size: size.parse()?,
                seconds: seconds.parse()?,
                threads,
            };
            load.check()?;
            Ok(closed::run(self::engine(engine)?, &load)?.to_string())
        }
        ["reconnect", address, conns, seconds, rest @ ..] => {
            let time = Duration::try_from_secs_f64(seconds.parse()?)?;
            let backoff = match rest {
                [] => reconnect::Backoff::default(),
                [min] => reconnect::Backoff::new(min.parse()?, min.parse()?),
                [min, max] => reconnect::Backoff::new(min.parse()?, max.parse()?),
                _ => return Err(USAGE.into()),
            };
            let kept = reconnect::run(address.parse()?, conns.parse()?, time, backoff)?;
            Ok(format!("{{\"reconnects\":{},\"refused\":{}}}", kept.reconnects, kept.refused))
        }
        ["serve", engine, address] => Ok(serve::run(self::engine(engine)?, address.parse()?)?.to_string()),
        ["churn", kind, port, unit, until, rest @ ..] => {
            let kind = match *kind {
                "close" => churn::Kind::Close,
                "refused" => churn::Kind::Refused,
                _ => return Err(USAGE.into()),
            };
            let until = match *unit {
                "seconds" => churn::Until::Time(Duration::try_from_secs_f64(until.parse()?)?),
                "count" => churn::Until::Count(until.parse()?),
                _ => return Err(USAGE.into()),
            };
            let rate = rest.first().map(|r| r.parse()).transpose()?;
            Ok(churn::run(kind, port.parse()?, until, rate)?.to_string())
        }
        _ => Err(USAGE.into()),
    }
}

fn engine(word: &str) -> Result<Engine, Box<dyn Error>> {
    match word {
        "epoll" => Ok(Engine::Epoll),
        "uring" => Ok(Engine::Uring),
        _ => Err(USAGE.into()),
    }
}

fn paced_load(words: &[&str]) -> Result<paced::Load, Box<dyn Error>> {
    let [address, conns, pps, size, seconds, rest @ ..] = words else { return Err(USAGE.into()) };
    let mut load = paced::Load {
        address: address.parse()?,
        conns: conns.parse()?,
        pps: pps.parse()?,
        size: size.parse()?,
        seconds: seconds.parse()?,
        nap_ns: 0,
        spin_ns: 0,
        batch_ns: 0,
        fifo: false,
    };
    let mut rest = rest;
    while !rest.is_empty() {
        rest = match rest {
            ["nap", us, rest @ ..] => {
                load.nap_ns = nanos(us)?;
                rest
            }
            ["spin", us, rest @ ..] => {
                load.spin_ns = nanos(us)?;
                rest
            }
            ["batch", us, rest @ ..] => {
                load.batch_ns = nanos(us)?;
                rest
            }
            ["fifo", rest @ ..] => {
                load.fifo = true;
                rest
            }
            _ => return Err(USAGE.into()),
        };
    }
    load.check()?;
    Ok(load)
}

/// From microseconds.
fn nanos(us: &str) -> Result<u64, Box<dyn Error>> {
    Ok((us.parse::<f64>()? * 1e3) as u64)
}
