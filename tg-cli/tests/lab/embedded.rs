//! The library: `tg_lab::lab::run`.

use std::sync::{Arc, Mutex};
use std::time::Duration;
use tg_lab::lab::{self, LabError, Options, Phase};
use tg_model::lab_plan::{LabPlan, LabSpec, SchedulerKind};

fn plan() -> LabPlan {
    let ms = Duration::from_millis;
    let spec = LabSpec {
        scheduler: SchedulerKind::Lc,
        replicas: 2,
        conns: 4,
        ready: ms(100),
        min_ready: ms(0),
        prestop: ms(200),
        settle: ms(300),
        ..LabSpec::default()
    };
    LabPlan::try_from(spec).unwrap()
}

pub fn library() {
    let phases = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&phases);
    let outcome = lab::run(
        &plan(),
        Options {
            response_timeout: Duration::from_secs(3600),
            watch: Box::new(move |progress| seen.lock().unwrap().push(progress.phase)),
            ..Options::new(env!("CARGO_BIN_EXE_tg-cli"))
        },
    )
    .unwrap();
    assert_eq!((outcome.summary.lost, outcome.summary.lasting, outcome.interrupted), (4, 4, false));
    assert!(outcome.folder().join(lab::CLUSTER).is_file());
    let folder = outcome.folder().to_owned();
    drop(outcome);
    assert!(!folder.exists());
    let mut phases = std::mem::take(&mut *phases.lock().unwrap());
    phases.dedup();
    let all = [Phase::Starting, Phase::Settling, Phase::Upgrading, Phase::SettlingAgain, Phase::Ending];
    assert_eq!(phases, all);
}

pub fn broken_program() {
    // It ends at once: the pods are started again a few times, and then the lab gives up.
    match lab::run(&plan(), Options::new("/bin/false")).unwrap_err() {
        LabError::Command { command, .. } => assert!(command.starts_with("/bin/false serve"), "{command}"),
        other => panic!("{other}"),
    }
    match lab::run(&plan(), Options::new("/nowhere/tg-cli")).unwrap_err() {
        LabError::Missing(what) => assert!(what[0].contains("/nowhere/tg-cli"), "{what:?}"),
        other => panic!("{other}"),
    }
}
