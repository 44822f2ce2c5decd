//! What cannot be asked for.

use crate::start;

pub fn refused() {
    let full = tempfile::tempdir().unwrap();
    std::fs::write(full.path().join("x"), "").unwrap();
    let full = full.path().to_str().unwrap();
    for (words, want) in [
        (&["--fault", "conntrack-flush"][..], "--director nft or ipvs"),
        (&["--fault", "node-loss", "--nodes", "2"], "--director nft or ipvs"),
        (&["--fault", "endpoint-lag"], "needs the lag"),
        (&["--scheduler", "mh"], "it has rr, lc"),
        (&["--director", "nft", "--scheduler", "lc"], "it has rr, random"),
        (&["--ecmp"], "--nodes 2 or more"),
        (&["--max-surge", "0"], "both 0"),
        (&["--expect", "lots"], "FIELD OP VALUE"),
        (&["--output", full], "not empty"),
    ] {
        let done = start(words).finish().with(2);
        assert!(done.stderr.iter().any(|l| l.contains(want)), "{words:?}: {:?}", done.stderr);
        assert_eq!(done.stdout, "");
    }
}
