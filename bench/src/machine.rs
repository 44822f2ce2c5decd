//! What the figures were measured on. Changes when something else of a machine matters.

use crate::process::realtime_ns;

/// In one line: date, cores, kernel.
pub fn describe() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpuinfo = read("/proc/cpuinfo");
    let kernel = read("/proc/sys/kernel/osrelease");
    let date = jiff::Timestamp::from_nanosecond(realtime_ns().into()).map(|now| now.to_string()).unwrap_or_default();
    let day = date.split('T').next().unwrap_or_default();
    format!("{day}, tg {}, {cores} cores of {}, Linux {}", env!("CARGO_PKG_VERSION"), model(&cpuinfo), kernel.trim())
}

fn model(cpuinfo: &str) -> &str {
    let value = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    value.map_or("unknown make", |(_, name)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processors_name() {
        assert_eq!(model("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t: a\n"), "Some CPU @ 2 GHz");
        assert_eq!(model(""), "unknown make");
        assert!(describe().contains("Linux "));
    }
}
