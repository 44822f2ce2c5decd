//! `predict`: the seed's case as text and JSON, and what it refuses.

use crate::faults_support::{run, tg};
use crate::support::Suite;

pub fn add(suite: &mut Suite) {
    suite.test("predict::the_seeds_two_cases".into(), &[], the_seeds_two_cases);
    suite.test("predict::a_long_hook_spares_nothing".into(), &[], a_long_hook_spares_nothing);
    suite.test("predict::json".into(), &[], json);
    suite.test("predict::what_cannot_be".into(), &[], what_cannot_be);
}

fn the_seeds_two_cases() {
    for scheduler in ["lc", "rr"] {
        let done = run(&mut tg(&format!("predict --director ipvs --scheduler {scheduler} --runs 50"))).exits(0);
        assert_eq!(done.stderr, "", "{done}");
        assert!(done.stdout.lines().all(|l| l.chars().count() <= 80), "{done}");
        let lost: f64 = done.stdout.lines().find_map(|l| l.strip_prefix("Lost connections ")).unwrap()[..30]
            .split_whitespace()
            .next()
            .unwrap()
            .parse()
            .unwrap();
        match scheduler {
            "lc" => assert_eq!(lost, 80.0, "{done}"),
            // The seed's cluster lost 119.
            _ => assert!((117.0..=121.0).contains(&lost), "{done}"),
        }
    }
}

/// The last old pods end long after the upgrade is complete: what they have is lost too.
fn a_long_hook_spares_nothing() {
    for line in [
        "predict --prestop 8s --runs 9 --format json",
        "predict --replicas 100 --max-surge 25% --max-unavailable 25% --conns 10000 --ready 20s --prestop 15s --runs 1 \
         --format json",
        "predict --grace 1s --prestop 2s --replicas 1 --conns 2 --settle 1s --runs 9 --format json",
    ] {
        let json = run(&mut tg(line)).exits(0).json();
        let of = |figure: &str| json["expected"][figure]["mean"].as_f64().unwrap();
        let perfect = json["expected"]["perfect"].as_f64().unwrap();
        assert!((of("lost") - of("to_doomed") - perfect).abs() < 1e-6, "{json}");
    }
}

fn json() {
    let line = "predict --replicas 4 --max-surge 25% --conns 40 --scheduler lc --seed 7 --runs 9 --format json";
    let json = run(&mut tg(line)).exits(0).json();
    assert_eq!(json["plan"]["max_surge"], "25%", "{json}");
    let expected = &json["expected"];
    assert_eq!((&expected["runs"], &expected["seed"], &expected["perfect"]), (&9.into(), &7.into(), &40.into()));
    assert_eq!(expected["lost"], serde_json::json!({"mean": 40.0, "p5": 40, "p95": 40, "min": 40, "max": 40}));
    assert_eq!(expected["lost_by_old_pod"].as_array().map(Vec::len), Some(4), "{json}");
}

fn what_cannot_be() {
    for (line, why) in [
        ("predict --director ipvs --scheduler mh", "the scheduler mh is not simulated: only the kernel has it"),
        ("predict --director nft --scheduler lc", "--scheduler lc is not there with --director nft: it has rr, random"),
        ("predict --max-surge 0", "--max-surge and --max-unavailable are both 0"),
        ("predict --ecmp", "give --nodes 2 or more"),
        ("predict --runs 0", "--runs"),
        ("predict --fault flood", "pod-kill"),
        ("predict --ready 1", "want a number and a unit"),
    ] {
        run(&mut tg(line)).exits(2).prints_nothing().tells(&[why]);
    }
}
