//! Programs under measurement: started, watched, ended. Changes when something else is measured of a process.

use anyhow::{Context, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::time::ClockId;
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Seek};
use std::ops::{Range, RangeInclusive};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often a program that is about to end is looked at.
const TICK: Duration = Duration::from_millis(20);

/// This machine does not allow to measure: nothing was found to be wrong with what is measured.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CannotMeasure(pub String);

/// A program did what it was asked for, but this process came too late to see it: the machine is busy.
#[derive(Debug, thiserror::Error)]
#[error("{0}: the machine is too busy to look in time")]
pub struct TooLate(pub String);

/// So often is a turn taken that could not be looked at in time.
const TRIES: u32 = 5;

/// Takes a turn, and takes it again where it could not be looked at in time.
///
/// # Errors
/// As the turn's; [`TooLate`] where all of them were.
pub fn in_time<T>(mut turn: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    for _ in 1..TRIES {
        match turn() {
            Err(why) if why.is::<TooLate>() => eprintln!("once more: {why}"),
            outcome => return outcome,
        }
    }
    turn()
}

/// A child process that does not outlive its guard.
pub struct Guard(pub Child);

impl Guard {
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().cast_signed())
    }

    /// # Errors
    /// It has ended already.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill(self.pid(), signal).with_context(|| format!("sending {signal}"))
    }

    /// CPU time of all its threads so far, nanoseconds.
    ///
    /// # Errors
    /// It has ended already.
    pub fn cpu_ns(&self) -> anyhow::Result<u64> {
        let clock = ClockId::pid_cpu_clock_id(self.pid()).context("asking for a process's CPU clock")?;
        let time = Duration::from(clock.now().context("reading a process's CPU clock")?);
        Ok(nanos(time))
    }

    /// Memory that it has resident, KiB; `None` once it has ended.
    fn rss_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        kib_of(&status, "VmRSS:")
    }

    /// The most memory that it had resident so far, KiB; `None` once it has ended. Not the kernel's
    /// `ru_maxrss`: that begins with the memory of the process that started it.
    fn peak_rss_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        kib_of(&status, "VmHWM:")
    }

    /// Waits for its end, looking each `tick`, and calls `watch` before each sleep.
    ///
    /// # Errors
    /// It does not end within `limit`.
    pub fn wait(
        &mut self,
        limit: Duration,
        tick: Duration,
        mut watch: impl FnMut(&Guard),
    ) -> anyhow::Result<ExitStatus> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.0.try_wait().context("waiting for a program")? {
                return Ok(status);
            }
            if Instant::now() >= until {
                bail!("it has not ended within {} s", limit.as_secs());
            }
            watch(self);
            thread::sleep(tick);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // One that has ended has nothing to be ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn kib_of(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Now, ns since the Unix epoch: the clock that captures are stamped with.
pub fn realtime_ns() -> u64 {
    nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// A program under way whose output is kept.
pub struct Running {
    guard: Guard,
    started: Instant,
    stdout: File,
    stderr: File,
}

/// What a program did from one moment to another.
#[derive(Clone, Debug)]
pub struct Window {
    /// ns since the Unix epoch.
    pub realtime_ns: RangeInclusive<u64>,
    /// CPU time that it used meanwhile.
    pub cpu_ns: u64,
    /// Memory that it had resident at its end.
    pub rss_kib: u64,
}

impl Window {
    pub fn seconds(&self) -> f64 {
        (self.realtime_ns.end() - self.realtime_ns.start()) as f64 / 1e9
    }
}

/// A program that ended well.
#[derive(Debug)]
pub struct Finished {
    pub stdout: String,
    pub peak_rss_kib: u64,
}

impl Running {
    /// # Errors
    /// There is no such program.
    pub fn start(command: &mut Command) -> anyhow::Result<Running> {
        let file = || tempfile::tempfile().context("making a file for a program's output");
        let (stdout, stderr) = (file()?, file()?);
        let again = |file: &File| file.try_clone().context("opening an output file again");
        let child = command.stdin(Stdio::null()).stdout(again(&stdout)?).stderr(again(&stderr)?).spawn();
        let program = command.get_program().to_string_lossy();
        let child = child.with_context(|| format!("starting {program}"))?;
        Ok(Running { guard: Guard(child), started: Instant::now(), stdout, stderr })
    }

    pub fn pid(&self) -> Pid {
        self.guard.pid()
    }

    /// Measures from one time after its start to another, and leaves it alone in between.
    ///
    /// # Errors
    /// It ended before; well: [`TooLate`].
    pub fn window(&mut self, span: Range<Duration>) -> anyhow::Result<Window> {
        let (from_ns, cpu_before_ns) = self.at(span.start)?;
        let (to_ns, cpu_after_ns) = self.at(span.end)?;
        let rss_kib = self.guard.rss_kib().context("a program's status does not tell its memory")?;
        Ok(Window { realtime_ns: from_ns..=to_ns, cpu_ns: cpu_after_ns.saturating_sub(cpu_before_ns), rss_kib })
    }

    fn at(&mut self, moment: Duration) -> anyhow::Result<(u64, u64)> {
        thread::sleep(moment.saturating_sub(self.started.elapsed()));
        if let Some(status) = self.guard.0.try_wait().context("waiting for a program")? {
            let why = format!("it ended early, {status}: {}", self.complaint());
            return Err(if status.success() { TooLate(why).into() } else { anyhow!(why) });
        }
        Ok((realtime_ns(), self.guard.cpu_ns()?))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not end within `limit`, or not well.
    pub fn finish(mut self, limit: Duration) -> anyhow::Result<Finished> {
        let mut peak_rss_kib = 0;
        let status = self.guard.wait(limit, TICK, |guard| {
            // It only grows: the last look before the end is the one that counts.
            peak_rss_kib = guard.peak_rss_kib().unwrap_or(peak_rss_kib);
        })?;
        if !status.success() {
            bail!("{status}: {}", self.complaint());
        }
        Ok(Finished { stdout: content(&mut self.stdout), peak_rss_kib })
    }

    /// What it said last on stderr.
    fn complaint(&mut self) -> String {
        let said = content(&mut self.stderr);
        let last = said.trim().lines().next_back().unwrap_or("it said nothing");
        last.trim_start_matches("error: ").to_owned()
    }
}

fn content(file: &mut File) -> String {
    let mut bytes = Vec::new();
    // What cannot be read back is missing from an error's words, or found missing by who needs it.
    let _ = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Running {
        Running::start(Command::new("sh").args(["-c", script])).unwrap()
    }

    const LIMIT: Duration = Duration::from_secs(60);

    #[test]
    fn output_and_failure_are_told() {
        assert_eq!(shell("echo out; echo err >&2").finish(LIMIT).unwrap().stdout, "out\n");
        let error = shell("echo first >&2; echo error: last >&2; exit 7").finish(LIMIT).unwrap_err().to_string();
        assert!(error.contains('7') && error.ends_with(": last") && !error.contains("error"), "{error}");
        let error = Running::start(&mut Command::new("/no/such/program")).err().unwrap();
        assert!(error.to_string().contains("/no/such/program"));
    }

    #[test]
    fn a_program_that_ends_too_early_has_no_window() {
        let mut running = shell("echo why >&2; exit 1");
        running.guard.0.wait().unwrap();
        let error = running.window(Duration::ZERO..Duration::ZERO).unwrap_err().to_string();
        assert!(error.contains("ended early") && error.ends_with("why"), "{error}");
    }

    #[test]
    fn what_was_seen_too_late_is_tried_again_and_nothing_else() {
        let turns = |script: &str| {
            let mut count = 0;
            let outcome = in_time(|| {
                count += 1;
                let mut running = shell(script);
                running.guard.0.wait()?;
                running.window(Duration::ZERO..Duration::ZERO)
            });
            assert!(outcome.is_err());
            count
        };
        assert_eq!((turns("exit 0"), turns("exit 1")), (TRIES, 1));
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let running = shell("exec sleep 600");
        let pid = running.guard.pid();
        assert!(running.finish(Duration::ZERO).unwrap_err().to_string().contains("not ended"));
        assert_eq!(kill(pid, None), Err(nix::errno::Errno::ESRCH));
    }

    #[test]
    fn memory_is_read_from_the_status() {
        let status = "Name:\tx\nVmPeak:\t  99 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 12 kB\n";
        assert_eq!((kib_of(status, "VmHWM:"), kib_of(status, "VmRSS:")), (Some(1234), Some(12)));
        assert_eq!(kib_of("Name:\tx\nState:\tZ (zombie)\n", "VmHWM:"), None);
    }
}
