//! Whether anything else uses the machine. Changes when quiet is judged otherwise.

use anyhow::Context;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use std::thread;
use std::time::{Duration, Instant};

/// A machine that is busier than this is not quiet.
const BUSY_MAX: f64 = 0.06;
/// It must have been quiet for so many looks on end.
const LOOKS: u32 = 2;
const LOOK: Duration = Duration::from_secs(1);
/// While a program is measured, others may use this share of the machine.
const FOREIGN_MAX: f64 = 0.04;

/// What the cores did since boot, in ticks of 10 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    total: u64,
    idle: u64,
}

impl Ticks {
    fn now() -> anyhow::Result<Ticks> {
        let stat = std::fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
        parse(&stat).context("/proc/stat does not begin with the cores' times")
    }

    /// Share of the machine that was busy since `earlier`, 0 to 1.
    fn busy_since(self, earlier: Ticks) -> f64 {
        let total = self.total.saturating_sub(earlier.total);
        let idle = self.idle.saturating_sub(earlier.idle);
        if total == 0 { 0.0 } else { total.saturating_sub(idle) as f64 / total as f64 }
    }
}

fn parse(stat: &str) -> Option<Ticks> {
    let times = stat.lines().next()?.strip_prefix("cpu ")?;
    // user nice system idle iowait irq softirq steal; what follows is contained in user and nice.
    let times: Vec<u64> = times.split_whitespace().take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    let [.., idle, iowait, _, _, _] = times.as_slice() else { return None };
    Some(Ticks { total: times.iter().sum(), idle: idle + iowait })
}

/// Waits until nothing uses the machine, at most so long. Gives the share that was in use at the last look
/// where it did not become quiet.
///
/// # Errors
/// The kernel does not say.
fn wait(at_most: Duration) -> anyhow::Result<Option<f64>> {
    let until = Instant::now() + at_most;
    let mut quiet_looks = 0;
    loop {
        let before = Ticks::now()?;
        thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
        let busy = Ticks::now()?.busy_since(before);
        quiet_looks = if busy < BUSY_MAX { quiet_looks + 1 } else { 0 };
        if quiet_looks >= LOOKS {
            return Ok(None);
        }
        if Instant::now() >= until {
            return Ok(Some(busy));
        }
    }
}

/// Tells how much of the machine others used while something was measured.
pub struct Watch {
    began: Instant,
    ticks: Ticks,
    own: Duration,
}

impl Watch {
    /// `server` is the CPU time so far of what runs on before and after.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn start(server: Duration) -> anyhow::Result<Watch> {
        Ok(Watch { began: Instant::now(), ticks: Ticks::now()?, own: own(server)? })
    }

    /// Share of the machine that was used by neither this process, nor by children that have ended
    /// since, nor by the server.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn foreign(&self, server: Duration) -> anyhow::Result<f64> {
        let cores = thread::available_parallelism().map_or(1, usize::from) as f64;
        let machine = self.began.elapsed().as_secs_f64() * cores;
        let own = own(server)?.saturating_sub(self.own).as_secs_f64();
        Ok(foreign(Ticks::now()?.busy_since(self.ticks), own / machine.max(f64::MIN_POSITIVE)))
    }
}

/// Whether the machine was quiet throughout a suite.
#[derive(Debug)]
pub struct Diary {
    at_most: Duration,
    before: f64,
    during: f64,
}

impl Diary {
    /// Each [`Diary::await_quiet`] waits so long at most; not at all if it is zero.
    pub fn new(at_most: Duration) -> Diary {
        Diary { at_most, before: 0.0, during: 0.0 }
    }

    /// Waits for quiet, and remembers it where there was none.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn await_quiet(&mut self) -> anyhow::Result<()> {
        if !self.at_most.is_zero() {
            self.before = self.before.max(wait(self.at_most)?.unwrap_or(0.0));
        }
        Ok(())
    }

    /// Remembers what others used.
    pub fn note(&mut self, foreign: f64) {
        self.during = self.during.max(foreign);
    }

    /// In words.
    pub fn conclusion(&self) -> String {
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        let (before, during) = (percent(self.before), percent(self.during));
        match (self.before > 0.0, self.during > FOREIGN_MAX) {
            (false, false) => format!("The machine was quiet: others used at most {during} of it in any run."),
            (false, true) => format!("The machine was not quiet: others used up to {during} of it during a run."),
            (true, _) => format!(
                "The machine was not quiet: it was {before} busy before a round, after waiting {} s, and others \
                 used up to {during} of it during a run.",
                self.at_most.as_secs()
            ),
        }
    }
}

fn foreign(busy: f64, own: f64) -> f64 {
    // Ticks are coarse: own time may seem more than all.
    (busy - own).max(0.0)
}

fn own(server: Duration) -> anyhow::Result<Duration> {
    let of = |who| getrusage(who).map(|u| cpu(&u)).context("asking for CPU times");
    Ok(of(UsageWho::RUSAGE_SELF)? + of(UsageWho::RUSAGE_CHILDREN)? + server)
}

fn cpu(usage: &Usage) -> Duration {
    let micros = |t: nix::sys::time::TimeVal| {
        Duration::from_secs(t.tv_sec().cast_unsigned()) + Duration::from_micros(t.tv_usec().cast_unsigned())
    };
    micros(usage.user_time()) + micros(usage.system_time())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_ticks() {
        let stat = "cpu  100 0 50 800 50 0 7 3 11 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n";
        let ticks = parse(stat).unwrap();
        assert_eq!(ticks, Ticks { total: 1010, idle: 850 });
        let later = Ticks { total: 1110, idle: 925 };
        assert!((later.busy_since(ticks) - 0.25).abs() < 1e-9);
        assert_eq!(ticks.busy_since(ticks).to_bits(), 0.0f64.to_bits());
        for bad in ["", "cpu  1 2 3\n", "cpu a b c d e f g h\n", "intr 1 2\n"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert!(Ticks::now().unwrap().total > 0);
    }

    #[test]
    fn a_loud_run_is_told() {
        let mut diary = Diary::new(Duration::ZERO);
        diary.await_quiet().unwrap();
        diary.note(0.01);
        assert!(diary.conclusion().starts_with("The machine was quiet: others used at most 1 %"));
        diary.note(0.12);
        diary.note(0.02);
        assert_eq!(diary.conclusion(), "The machine was not quiet: others used up to 12 % of it during a run.");
        let before = Diary { before: 0.5, ..diary };
        assert!(before.conclusion().contains("50 % busy before a round"), "{}", before.conclusion());
    }

    #[test]
    fn what_is_neither_own_nor_idle_is_foreign() {
        assert!((foreign(0.3, 0.1) - 0.2).abs() < 1e-9);
        assert!(foreign(0.1, 0.3).abs() < 1e-9);
    }
}
