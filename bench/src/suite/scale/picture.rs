//! The picture of `scale`: lateness and cost of many packets, growth with connections. Changes when it is to
//! show something else.

use super::{MANY, SIZES};
use crate::load::Load;
use crate::report::picture::{Line, Panel, Picture, bars, lines};
use crate::report::series::{Series, median_of};

/// `growth` has the clients' figures by the number of connections.
pub fn of(load: &Load, many: &[Series], growth: &[(&Load, Vec<Series>)]) -> Picture {
    let which = &MANY[..3];
    let late = Panel::Lines {
        title: format!("Lateness at {} connections × {} packets/s", load.conns, load.rate),
        x_axis: "quantile".to_owned(),
        y_axis: "µs (logarithmic)".to_owned(),
        categories: ["p50", "p99", "max"].map(str::to_owned).into(),
        lines: lines(many, &MANY, which),
    };
    let cost = Panel::Bars {
        title: "CPU of the client, the same load".to_owned(),
        axis: "µs a packet".to_owned(),
        rows: bars(many, &MANY, "CPU"),
    };
    let grown = |title: &str, y_axis: &str, column: &str, growth: &[(&Load, Vec<Series>)]| Panel::Lines {
        title: title.to_owned(),
        x_axis: "connections (the same packets/s in all)".to_owned(),
        y_axis: y_axis.to_owned(),
        categories: growth.iter().map(|(load, _)| load.conns.to_string()).collect(),
        lines: by_count(growth, column),
    };
    let panels = vec![
        late,
        cost,
        grown("Growth: CPU", "µs a packet (logarithmic)", "CPU", growth),
        // The fewest are what memory is compared with.
        grown("Growth: memory", "bytes a connection (logarithmic)", "B/conn", growth.get(1..).unwrap_or_default()),
    ];
    Picture { title: "scale: what many connections do to precision, cost and memory".to_owned(), panels }
}

fn by_count(growth: &[(&Load, Vec<Series>)], column: &str) -> Vec<Line> {
    let Some((_, series)) = growth.first() else { return Vec::new() };
    let line = |client: &String| {
        let values = growth.iter().map(|(_, series)| median_of(series, client, &SIZES, column)).collect();
        Line { name: client.clone(), values }
    };
    series.iter().map(|s| line(&s.client)).filter(|line| line.values.iter().any(Option::is_some)).collect()
}
