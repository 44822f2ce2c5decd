//! On the host: a boot for each kernel. Changes when what a guest is given does.

use crate::GUEST;
use crate::support::{Capability, Suite};
use std::time::Duration;
use tg_vm::{Cache, Job, KERNELS, Kernel, Outcome};

/// What the guest's kernel gives, whatever the host's does.
const MUST_RUN: &str = "bpf,nft,netns,ipv6,capture,ipvsadm";

pub fn add(suite: &mut Suite) {
    let needs = [Capability::Vm, Capability::Ipvsadm, Capability::Nftables, Capability::Capture];
    for kernel in &KERNELS {
        suite.test(format!("vm::{}", kernel.name), &needs, || boot(kernel));
    }
}

/// Every test passes in the guest.
fn boot(kernel: &Kernel) {
    let cache = Cache::new(Cache::default_directory().unwrap());
    let installed = cache.get(kernel, |what| eprintln!("{what}")).unwrap();
    let me = std::env::current_exe().unwrap();
    let set = [format!("{GUEST}=1"), format!("TG_MUST_RUN={MUST_RUN}")];
    let command = ["env".into(), (&set[0]).into(), (&set[1]).into(), me.into_os_string()];
    let job = Job {
        command: &command,
        directory: &std::env::current_dir().unwrap(),
        output: None,
        memory_mib: 1024,
        processors: 1,
        timeout: Duration::from_secs(600),
        realtime: tg_core::doctor::realtime().is_ok(),
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let outcome = tg_vm::run(&installed, &job, &mut stdout, &mut stderr).unwrap();
    let said = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert_eq!(outcome, Outcome::Exited(0), "{said}");
    assert!(said.contains(" 0 failed; 0 ignored;"), "{said}");
}
