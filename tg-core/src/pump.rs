//! Turns a driver and an engine over: commands one way, completions the other. The same for a real run
//! and a simulated one.

use crate::driver::{Command, Driver, Wake};
use crate::engine::{Engine, Op, Token};
use std::io;
use tg_model::journal::Line;
use tg_model::time::Nanos;

/// A wake-up so much later than asked for means that this process stood still (SIGSTOP, a starved host).
const STOOD_STILL: Nanos = Nanos::from_millis(20);
/// Completions taken in before the sends that come of them are handed over: many receives in a row, then many sends,
/// find the kernel's code for each in the processor's cache.
const COMPLETIONS_AT_ONCE: usize = 64;

/// What a driver needs besides an engine.
pub trait Surroundings {
    /// Takes a line to be recorded.
    fn record(&mut self, line: Line);

    /// Asks for the address of one of the plan's names; [`Driver::resolved`] is to be called with it.
    ///
    /// # Errors
    /// It cannot be asked for, in words.
    fn resolve(&mut self, token: Token, target: usize) -> Result<(), String>;
}

/// How a thread that sleeps gets to a point in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Approach {
    /// A sleep of more than twice this length is made as two, the last of this length. A processor that was awake a
    /// moment ago wakes up less late than one that slept for milliseconds, be it a core in a deep idle state or a
    /// virtual one that its host has given away. Zero: one sleep of any length.
    pub nap: Nanos,
    /// The thread is awake, waiting busily, for so long before. Zero: it sleeps to the end, without a nap.
    pub spin: Nanos,
}

impl Approach {
    /// Asleep to the end.
    pub const ASLEEP: Approach = Approach { nap: Nanos::ZERO, spin: Nanos::ZERO };
}

/// A driver and its engine.
#[derive(Debug)]
pub struct Pump<E> {
    /// The driver.
    pub driver: Driver,
    /// The engine.
    pub engine: E,
    /// When the last wait should have been over at the latest.
    expected: Nanos,
}

impl<E: Engine> Pump<E> {
    /// Puts the two together.
    pub fn new(driver: Driver, engine: E) -> Pump<E> {
        Pump { driver, engine, expected: Nanos::MAX }
    }

    /// Does what is due and says when there is more.
    ///
    /// After this process stood still, what the kernel holds for it is taken in first: an echo that
    /// came in time must not be overdue because nobody looked. See [`Driver::stood_still`], too.
    ///
    /// # Errors
    /// The engine failed.
    pub fn turn(&mut self, around: &mut impl Surroundings) -> io::Result<(Nanos, Wake)> {
        let mut now = self.engine.now();
        if now > self.expected + STOOD_STILL {
            self.carry_out(now, around);
            loop {
                self.engine.wait(now, Nanos::ZERO)?;
                if !self.take_completions(around) {
                    break;
                }
            }
            now = self.engine.now();
            self.driver.stood_still(self.expected, now);
        }
        let wake = self.driver.poll(now);
        self.carry_out(now, around);
        Ok((now, wake))
    }

    /// Waits until `until`, approached so, or until something comes, and takes it in. True where something came.
    ///
    /// # Errors
    /// The engine failed.
    pub fn wait(&mut self, until: Nanos, approach: Approach, around: &mut impl Surroundings) -> io::Result<bool> {
        let Approach { nap, spin } = approach;
        if spin > Nanos::ZERO {
            let (awake_from, now) = (until - spin, self.engine.now());
            let naps = nap > Nanos::ZERO && now < awake_from - nap - nap;
            if naps {
                let came = self.sleep(awake_from - nap, around)?;
                if came || self.engine.now() < awake_from - nap {
                    return Ok(came);
                }
            }
            if naps || now < awake_from {
                // What the caller does until it comes back to spend the rest of the time awake, a turn in which
                // nothing is due, is then in the processor's cache when something is.
                return self.sleep(awake_from, around);
            }
            if let Some(token) = self.driver.warm_next() {
                self.engine.warm(token);
            }
        }
        self.expected = until;
        self.engine.wait(until, spin)?;
        Ok(self.take_completions(around))
    }

    /// [`Self::wait`], asleep all of the time.
    fn sleep(&mut self, until: Nanos, around: &mut impl Surroundings) -> io::Result<bool> {
        self.expected = until;
        self.engine.wait(until, Nanos::ZERO)?;
        Ok(self.take_completions(around))
    }

    /// Takes in what has come. True where that was anything.
    pub fn take_completions(&mut self, around: &mut impl Surroundings) -> bool {
        let mut any = false;
        while let Some(now) = self.take_some() {
            any = true;
            self.carry_out(now, around);
        }
        any
    }

    /// Takes in the next completions, up to one that asks for more than a send. Gives the time of the last one.
    fn take_some(&mut self) -> Option<Nanos> {
        let mut last = None;
        for _ in 0..COMPLETIONS_AT_ONCE {
            let Some(completion) = self.engine.next() else { break };
            last = Some(completion.at);
            self.driver.handle(completion, self.engine.received());
            if !matches!(self.driver.commands().back(), None | Some(Command::Engine(Op::Send(..)))) {
                break;
            }
        }
        last
    }

    /// Carries out what the driver wants, and hands out what it records.
    pub fn carry_out(&mut self, now: Nanos, around: &mut impl Surroundings) {
        while let Some(command) = self.driver.commands().pop_front() {
            match command {
                Command::Engine(op) => self.engine.submit(op),
                Command::Resolve { token, target } => {
                    if let Err(why) = around.resolve(token, target) {
                        self.driver.resolved(token, Err(why), now);
                    }
                }
            }
        }
        // Back to the first cell: round the ring each packet would find a cold one.
        self.driver.commands().clear();
        while let Some(line) = self.driver.lines().pop_front() {
            around.record(line);
        }
    }
}
