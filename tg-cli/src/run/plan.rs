//! From the options to a plan. Changes when an option comes to mean something else.

use super::args::{Resolve, RunArgs};
use super::source;
use crate::exit::Problem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tg_model::plan::{self, Mode, Plan, PlanSpec, Rate, Target, Transport};

/// The plan against `targets`.
///
/// # Errors
/// Something about it cannot be; always a usage error.
pub fn plan(args: &RunArgs, targets: Vec<Target>) -> Result<Plan, Problem> {
    Plan::try_from(spec(args, targets)?).map_err(Problem::usage)
}

fn spec(args: &RunArgs, targets: Vec<Target>) -> Result<PlanSpec, Problem> {
    let sources = match &args.source {
        Some(text) => source::sources(text, args.conns).map_err(Problem::usage_words)?,
        None => Vec::new(),
    };
    Ok(PlanSpec {
        targets,
        transport: if args.udp { Transport::Udp } else { Transport::Tcp },
        family: args.family.into(),
        resolve: match args.resolve {
            Resolve::Start => plan::Resolve::Start,
            Resolve::Each => plan::Resolve::Each,
        },
        conns: args.conns,
        rate: args.total_rate.map_or(args.rate, Rate::Total),
        size: args.size,
        duration: (!args.until_signal).then_some(args.duration),
        mode: if args.closed_loop { Mode::ClosedLoop } else { Mode::OpenLoop },
        batch: args.batch,
        in_flight: args.in_flight,
        connect_timeout: args.connect_timeout,
        response_timeout: args.response_timeout,
        user_timeout: args.user_timeout,
        reconnect: !args.no_reconnect,
        backoff: args.backoff,
        ramp: args.ramp,
        sources,
        seed: args.seed,
        threads: args.threads,
        spin: args.spin,
        realtime: args.realtime,
        engine: args.engine.into(),
    })
}

/// Where the run's own server may listen, port 0, the best place first: loopback, of the family asked
/// for or of the sources'.
///
/// # Errors
/// The options would be refused with any server: told before one is started.
pub fn loopback(args: &RunArgs) -> Result<Vec<SocketAddr>, Problem> {
    let spec = spec(args, Vec::new())?;
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let places = match (spec.family, spec.sources.first()) {
        (plan::Family::Ipv4, _) => vec![v4],
        (plan::Family::Ipv6, _) => vec![v6],
        (plan::Family::Any, Some(source)) if source.0.is_ipv4() => vec![v4],
        (plan::Family::Any, Some(_)) => vec![v6],
        // Not every host has IPv6.
        (plan::Family::Any, None) => vec![v6, v4],
    };
    let stand_in = places.iter().take(1).map(|a| Target::from(SocketAddr::new(a.ip(), 1)));
    Plan::try_from(PlanSpec { targets: stand_in.collect(), ..spec }).map_err(Problem::usage)?;
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;
    use std::time::Duration;

    fn args(line: &str) -> RunArgs {
        let words = ["tg-cli", "run"].into_iter().chain(line.split_whitespace());
        match Cli::try_parse_from(words).unwrap().command {
            Command::Run(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    fn refused(line: &str) -> String {
        let words = ["tg-cli", "run"].into_iter().chain(line.split_whitespace());
        Cli::try_parse_from(words).unwrap_err().to_string()
    }

    fn of(line: &str) -> Plan {
        let args = args(line);
        let targets = args.addresses.clone();
        plan(&args, targets).unwrap()
    }

    #[test]
    fn the_defaults_are_the_plans_own() {
        let target: Target = "[::1]:5003".parse().unwrap();
        assert_eq!(of("--address [::1]:5003"), Plan::try_from(PlanSpec::new([target])).unwrap());
    }

    #[test]
    fn every_option_reaches_the_plan() {
        let got = of("-a 127.0.0.1:1 -a x:2 --conns 3 --total-rate 1.5 --until-signal --udp --family ipv4 \
                      --engine epoll --threads 2 --spin 50us --realtime --source 127.0.0.0/8 --ramp 1s \
                      --connect-timeout 2s --response-timeout 300ms --no-reconnect --backoff 1ms..2s --in-flight 5 \
                      --closed-loop --batch 10ms --seed 9 --resolve each --size 100");
        let ms = Duration::from_millis;
        let spec = PlanSpec {
            targets: vec!["127.0.0.1:1".parse().unwrap(), "x:2".parse().unwrap()],
            transport: Transport::Udp,
            family: plan::Family::Ipv4,
            resolve: plan::Resolve::Each,
            conns: 3,
            rate: Rate::Total(1.5),
            size: 100,
            duration: None,
            mode: Mode::ClosedLoop,
            batch: ms(10),
            in_flight: 5,
            connect_timeout: ms(2000),
            response_timeout: ms(300),
            user_timeout: None,
            reconnect: false,
            backoff: plan::Backoff { min: ms(1), max: ms(2000) },
            ramp: ms(1000),
            sources: (1..4).map(|n| plan::Source(SocketAddr::from(([127, 0, 0, n], 0)))).collect(),
            seed: 9,
            threads: 2,
            spin: plan::Spin::WindowNs(50_000),
            realtime: true,
            engine: plan::EngineChoice::Epoll,
        };
        assert_eq!(got, Plan::try_from(spec).unwrap());
        let got = of("--address x:1 --user-timeout 4s --rate max --closed-loop --spin 0");
        assert_eq!((got.user_timeout, got.rate, got.spin), (Some(ms(4000)), Rate::Unlimited, plan::Spin::WindowNs(0)));
    }

    #[test]
    fn what_cannot_be_is_told_by_the_option() {
        for (line, word) in [
            ("--conns x", "--conns"),
            ("--conns -1", "-1"),
            ("--rate fast", "want packets/s"),
            ("--rate 5 --total-rate 400", "--total-rate"),
            ("--duration 10", "want a number and a unit"),
            ("--duration 5s --until-signal", "--until-signal"),
            ("--address nowhere", "want ADDRESS:PORT"),
            ("--expect lots", "want FIELD OP VALUE"),
            ("--spin often", "or auto"),
            ("--backoff 1..2", "--backoff"),
            ("--engine kqueue", "uring"),
        ] {
            assert!(refused(line).contains(word), "{line}: {}", refused(line));
        }
        for (line, word) in [
            ("--conns 0", "connections"),
            ("--rate 0", "rate"),
            ("--rate -5", "rate"),
            ("--rate NaN", "rate"),
            ("--total-rate 1e300", "rate"),
            ("--size 63", "packet size"),
            ("--duration 0s", "duration"),
            ("--rate max", "closed"),
            ("--rate 5 --batch 201ms", "batch"),
            ("--udp --user-timeout 1s", "user time-out"),
            ("--source 10.0.0.0/30", "2 source addresses for 80"),
            ("--source 10.0.0.0/33", "prefix"),
            ("--source 10.0.0.0/24 --family ipv6", "source"),
        ] {
            let line = line.replace("--rate -5", "--rate=-5");
            match loopback(&args(&line)) {
                Err(Problem::Usage(error)) => assert!(error.to_string().contains(word), "{line}: {error}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_runs_own_server_has_the_family_asked_for() {
        let places = |line| loopback(&args(line)).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(places(""), ["[::1]:0", "127.0.0.1:0"]);
        assert_eq!(places("--family ipv6"), ["[::1]:0"]);
        assert_eq!(places("--family ipv4"), ["127.0.0.1:0"]);
        assert_eq!(places("--source 127.0.1.0/24"), ["127.0.0.1:0"]);
        assert_eq!(places("--source fd00::/64"), ["[::1]:0"]);
    }
}
