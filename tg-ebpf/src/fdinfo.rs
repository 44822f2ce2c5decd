//! What the kernel says of a loaded program in `/proc/self/fdinfo`. Pure. Changes when what is read of it does.

/// A program's own figures. Run time and count stay 0 where `kernel.bpf_stats_enabled` is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramFigures {
    /// Time in it.
    pub run_time_ns: u64,
    /// How often it ran.
    pub run_count: u64,
    /// How often the kernel did not start it because it was running on that processor: those events are lost.
    pub missed: u64,
}

/// Reads `/proc/self/fdinfo/N` of a program's descriptor (`bpf_prog_show_fdinfo`, `kernel/bpf/syscall.c`).
pub fn parse(text: &str) -> ProgramFigures {
    let mut figures = ProgramFigures::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let Ok(value) = value.trim().parse() else { continue };
        match key {
            "run_time_ns" => figures.run_time_ns = value,
            "run_cnt" => figures.run_count = value,
            "recursion_misses" => figures.missed = value,
            _ => {}
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_6_18_writes() {
        let text = "pos:\t0\nflags:\t02000002\nmnt_id:\t16\nprog_type:\t26\nprog_jited:\t1\nprog_tag:\tb1\n\
                    memlock:\t4096\nprog_id:\t12\nrun_time_ns:\t345\nrun_cnt:\t6\nrecursion_misses:\t7\n";
        assert_eq!(parse(text), ProgramFigures { run_time_ns: 345, run_count: 6, missed: 7 });
        assert_eq!(parse("run_cnt:\tmany\nnothing"), ProgramFigures::default());
    }
}
