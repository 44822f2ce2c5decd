//! What made something wrong confirmed once, as the properties found it: no longer.

use super::harm::{Harm, harmed, lie, lossy};
use super::plain;
use super::sim::{Clocks, Director, Scenario, Scheduler, Setup, simulate};

enum Damage {
    /// So many percent of the nodes' lines are lost.
    Lossy(u64),
    Harmed(Harm),
}

use Damage::{Harmed, Lossy};

/// `sizes`: slots, replicas, nodes, ports.
fn of(scenario: Scenario, director: Director, seed: u64, sizes: [u32; 4]) -> Setup {
    let [slots, replicas, nodes, ports] = sizes;
    Setup { seed, slots, replicas, nodes, ports: ports as u16, ..plain(scenario, director) }
}

/// Each with the seed of the damage.
fn cases() -> Vec<(Setup, Damage, u64)> {
    vec![
        // Of an attempt the run's line is lost, and its event is taken for another's.
        (
            of(Scenario::FullAndDrained, Director::Rules, 0, [20, 1, 3, 3]),
            Harmed(Harm { lost: [0, 0, 17], gone: [true, false], ..Harm::NONE }),
            7455634536066087514,
        ),
        // Of a connection the run's lines are lost, and its end is taken for that of the one before it, or after it.
        (
            Setup {
                scheduler: Scheduler::Lc,
                clocks: Clocks::NodesApart,
                ..of(Scenario::PortReuse, Director::Ipvs, 15238824840924022970, [4, 1, 2, 1])
            },
            Harmed(Harm { lost: [0, 2, 36], clocks_ns: 4914088583664, ..Harm::NONE }),
            16587365228544099975,
        ),
        (
            Setup {
                scheduler: Scheduler::Lc,
                ..of(Scenario::ScaleDown, Director::Proxy, 16175701340642288450, [8, 2, 2, 1])
            },
            Harmed(Harm { lost: [0, 0, 22], ..Harm::NONE }),
            9885438783188587624,
        ),
        (
            Setup {
                scheduler: Scheduler::Lc,
                clocks: Clocks::AllApart,
                ..of(Scenario::Mixed, Director::Proxy, 1063818475678945333, [9, 4, 3, 1])
            },
            Harmed(Harm { lost: [0, 0, 49], clocks_ns: 3802009482140, ..Harm::NONE }),
            1783465747985081679,
        ),
        // The cluster's line is lost by which a pod was asked to end.
        (
            Setup {
                scheduler: Scheduler::Wrr,
                clocks: Clocks::NodesApart,
                ..of(Scenario::Mixed, Director::Rules, 6285768488134670330, [9, 5, 2, 1])
            },
            Harmed(Harm { lost: [0, 21, 0], ..Harm::NONE }),
            12273745941068424272,
        ),
        // A node's line is lost: the first by which its balancer followed; the entry that was made for a connection.
        (
            Setup {
                masquerade: true,
                clocks: Clocks::NodesApart,
                ..of(Scenario::Stall, Director::Ipvs, 199645914063051, [23, 4, 1, 1])
            },
            Lossy(43),
            9027191393138256514,
        ),
        (
            Setup {
                scheduler: Scheduler::Wlc,
                ..of(Scenario::ScaleDown, Director::Ipvs, 13260468209448630749, [11, 5, 2, 1])
            },
            Lossy(23),
            15668844616713338744,
        ),
        // The same, and what led another connection with its ends is taken for what led this one.
        (
            Setup {
                masquerade: true,
                clocks: Clocks::NodesApart,
                ..of(Scenario::Mixed, Director::Rules, 13679809897104155390, [5, 5, 2, 1])
            },
            Lossy(29),
            13719505806992333383,
        ),
        (
            Setup {
                scheduler: Scheduler::Lc,
                clocks: Clocks::AllApart,
                ..of(Scenario::Mixed, Director::Rules, 2415707297610607614, [11, 3, 2, 1])
            },
            Harmed(Harm { lost: [4, 38, 0], clocks_ns: 1958340920042, ..Harm::NONE }),
            14710268138500312072,
        ),
        // Attempts that failed before connections, by the same pause each, make a node's clock wrong.
        (
            Setup {
                scheduler: Scheduler::Wlc,
                clocks: Clocks::NodesApart,
                ..of(Scenario::Lag, Director::Proxy, 2824414749753717544, [23, 5, 1, 1])
            },
            Harmed(Harm { lost: [0, 0, 42], clocks_ns: 3997749010548, ..Harm::NONE }),
            14491758464951166595,
        ),
        (
            Setup {
                scheduler: Scheduler::Lc,
                masquerade: true,
                clocks: Clocks::NodesApart,
                ..of(Scenario::Stall, Director::Ipvs, 3090685982247295596, [10, 2, 2, 1])
            },
            Lossy(46),
            3018959409219338284,
        ),
        (
            Setup {
                scheduler: Scheduler::Random,
                clocks: Clocks::NodesApart,
                ..of(Scenario::Stall, Director::Proxy, 4952379700550911198, [2, 5, 3, 4])
            },
            Lossy(45),
            16894856835819053664,
        ),
        // A pod is started anew, and its first process' end is taken for that of the second, by a clock that is far off.
        (
            Setup {
                clocks: Clocks::AllApart,
                ..of(Scenario::PodRestart, Director::Ipvs, 300152567853869363, [3, 2, 1, 1])
            },
            Lossy(0),
            0,
        ),
        // An entry of another connection with the same ends, of the same pod, is destroyed while this one is alive.
        (
            Setup { masquerade: true, ..of(Scenario::PodRestart, Director::Rules, 7437914928041014463, [16, 3, 3, 2]) },
            Lossy(0),
            0,
        ),
        // What tells of the connection's own entry is lost, and a reset by another is taken for its pod's.
        (
            Setup { masquerade: true, ..of(Scenario::EcmpChange, Director::Rules, 503278852260900966, [12, 3, 3, 3]) },
            Harmed(Harm { gone: [true, false], ..Harm::NONE }),
            0,
        ),
        (
            Setup {
                scheduler: Scheduler::Random,
                masquerade: true,
                ..of(Scenario::ConntrackFlush, Director::Rules, 11227536476428797061, [20, 3, 2, 2])
            },
            Lossy(26),
            1371665950163162141,
        ),
    ]
}

#[test]
fn what_was_confirmed_and_wrong_is_so_no_more() {
    let lies = cases().into_iter().enumerate().filter_map(|(nth, (setup, damage, seed))| {
        let mut zoo = simulate(setup);
        zoo.inputs = match damage {
            Lossy(percent) => lossy(&zoo.inputs, percent, seed),
            Harmed(harm) => harmed(&zoo.inputs, harm, seed),
        };
        Some(format!("{nth}: {}", lie(&zoo)?))
    });
    let lies: Vec<String> = lies.collect();
    assert!(lies.is_empty(), "{}", lies.join("\n"));
}
