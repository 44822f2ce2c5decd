//! Tests of IPVS where this kernel has none: this very binary in a virtual machine whose kernel has it.

use crate::support::{Capability, Suite};
use std::time::Duration;
use tg_vm::{Cache, Job, KERNELS, Outcome};

pub fn add(suite: &mut Suite) {
    suite.test("guest::ipvs_balances".into(), &[Capability::Vm], ipvs_balances);
}

fn ipvs_balances() {
    let cache = Cache::new(Cache::default_directory().unwrap());
    let kernel = cache.get(&KERNELS[0], |what| eprintln!("{what}")).unwrap();
    let binary = std::env::current_exe().unwrap();
    // Without any of these the tests would be skipped there, and nobody would see.
    let command = ["env", "TG_MUST_RUN=ipvs,nft,netns,root", binary.to_str().unwrap(), "ipvs::"].map(Into::into);
    let job = Job {
        command: &command,
        directory: &std::env::current_dir().unwrap(),
        output: None,
        memory_mib: 1024,
        processors: 1,
        timeout: Duration::from_secs(600),
        // One that is starved loses connections that no balancer would.
        realtime: tg_core::doctor::realtime().is_ok(),
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let outcome = tg_vm::run(&kernel, &job, &mut stdout, &mut stderr).unwrap();
    let said = format!("{}\n{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(outcome, Outcome::Exited(0), "{said}");
    assert!(said.contains(" 0 failed; 0 ignored;"), "{said}");
}
