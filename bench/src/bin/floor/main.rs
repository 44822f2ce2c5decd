//! The floor: the least that does tg's work on this machine, to hold tg against. One thread, no
//! accounting, no recovery; whatever fails ends it. Changes when the work that is compared does.
//!
//! ```text
//! floor epoll|uring ADDR CONNS PPS SIZE SECONDS [SPIN_US] [fifo]   paced sends, echoes read
//! floor reconnect ADDR CONNS SECONDS [BACKOFF_US]                  connections kept up, nothing sent
//! ```
#![allow(unsafe_code)]

mod epoll;
mod paced;
mod reconnect;
mod sys;
mod uring;

use paced::Load;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: floor epoll|uring ADDR CONNS PPS SIZE SECONDS [SPIN_US] [fifo]
       floor reconnect ADDR CONNS SECONDS [BACKOFF_US]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
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

fn run(words: &[&str]) -> Result<String, Box<dyn Error>> {
    match words {
        ["epoll", rest @ ..] => Ok(epoll::run(&load(rest)?)?.to_string()),
        ["uring", rest @ ..] => Ok(uring::run(&load(rest)?)?.to_string()),
        ["reconnect", address, conns, seconds, rest @ ..] => {
            let backoff_us = rest.first().map_or(Ok(0), |word| word.parse())?;
            let time = Duration::try_from_secs_f64(seconds.parse()?)?;
            let kept = reconnect::run(address.parse()?, conns.parse()?, time, Duration::from_micros(backoff_us))?;
            Ok(format!("{{\"reconnects\":{},\"refused\":{}}}", kept.reconnects, kept.refused))
        }
        _ => Err(USAGE.into()),
    }
}

fn load(words: &[&str]) -> Result<Load, Box<dyn Error>> {
    let [address, conns, pps, size, seconds, rest @ ..] = words else { return Err(USAGE.into()) };
    let (spin_us, fifo): (f64, bool) = match rest {
        [] => (0.0, false),
        ["fifo"] => (0.0, true),
        [spin] => (spin.parse()?, false),
        [spin, "fifo"] => (spin.parse()?, true),
        _ => return Err(USAGE.into()),
    };
    let load = Load {
        address: address.parse()?,
        conns: conns.parse()?,
        pps: pps.parse()?,
        size: size.parse()?,
        seconds: seconds.parse()?,
        spin_ns: (spin_us * 1e3) as u64,
        fifo,
    };
    load.check()?;
    Ok(load)
}
