//! What the rounds of each client gave, and the tables made of it: medians, spreads, ratios. Changes when
//! clients are compared otherwise.

use super::table::Table;
use crate::stats::Spread;
use std::iter;

/// What stands where there is no figure.
const NONE: &str = "–";

/// One client's figures, round by round.
#[derive(Clone, Debug, Default)]
pub struct Series {
    pub client: String,
    /// A figure for each column; NaN where there is none.
    pub rounds: Vec<Vec<f64>>,
}

impl Series {
    /// Of a column over the rounds.
    pub fn spread(&self, column: usize) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(|r| r.get(column)).copied().filter(|v| !v.is_nan()))
    }
}

/// One client's figures of the column of that name.
pub fn spread_of(series: &[Series], client: &str, columns: &[&str], column: &str) -> Option<Spread> {
    let column = columns.iter().position(|c| *c == column)?;
    series.iter().find(|s| s.client == client)?.spread(column)
}

/// Their median.
pub fn median_of(series: &[Series], client: &str, columns: &[&str], column: &str) -> Option<f64> {
    spread_of(series, client, columns, column).map(|s| s.median)
}

/// One figure by another, where both are there and it is a number.
pub fn ratio(of: Option<f64>, by: Option<f64>) -> Option<f64> {
    Some(of? / by?).filter(|r| r.is_finite())
}

/// The medians of the rounds.
pub fn medians(title: &str, columns: &[&str], series: &[Series]) -> Table {
    let cell = |s: &Series, column| s.spread(column).map(|s| short(s.median));
    table(title, columns, series.iter().map(|s| (s.client.clone(), row(columns, |c| cell(s, c)))))
}

/// The least and the greatest of the rounds, of the columns that `which` names.
pub fn spreads(title: &str, columns: &[&str], which: &[&str], series: &[Series]) -> Table {
    let cell = |s: &Series, name: &&str| {
        let column = columns.iter().position(|c| c == name)?;
        s.spread(column).map(|s| format!("{} to {}", short(s.min), short(s.max)))
    };
    let measured = series.iter().filter(|s| s.rounds.len() > 1);
    table(title, which, measured.map(|s| (s.client.clone(), row(which, |c| cell(s, &which[c])))))
}

/// Medians of one client by those of another, for each pair of names that both have figures, of the columns
/// that `which` names.
pub fn ratios(title: &str, columns: &[&str], which: &[&str], pairs: &[(&str, &str)], series: &[Series]) -> Table {
    let find = |name: &str| series.iter().find(|s| s.client == name && !s.rounds.is_empty());
    let rows = pairs.iter().filter_map(|(name, reference)| {
        let (of, by) = (find(name)?, find(reference)?);
        let cell = |index: usize| {
            let column = columns.iter().position(|c| *c == which[index])?;
            ratio(of.spread(column).map(|s| s.median), by.spread(column).map(|s| s.median)).map(short)
        };
        Some((format!("{name} / {reference}"), row(which, cell)))
    });
    table(title, which, rows)
}

/// `1 round`, `5 rounds`.
pub fn rounds(count: u32) -> String {
    format!("{count} round{}", if count == 1 { "" } else { "s" })
}

fn row(columns: &[&str], cell: impl Fn(usize) -> Option<String>) -> Vec<String> {
    (0..columns.len()).map(|column| cell(column).unwrap_or_else(|| NONE.to_owned())).collect()
}

fn table(title: &str, columns: &[&str], rows: impl Iterator<Item = (String, Vec<String>)>) -> Table {
    Table {
        title: title.to_owned(),
        header: iter::once("client").chain(columns.iter().copied()).map(str::to_owned).collect(),
        rows: rows.map(|(name, cells)| iter::once(name).chain(cells).collect()).collect(),
    }
}

/// Three digits, without needless decimals.
pub fn short(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        0.0..0.0995 => 3,
        0.0995..9.995 => 2,
        9.995..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 2] = ["p50", "p99"];

    fn series() -> Vec<Series> {
        let of = |client: &str, rounds: &[[f64; 2]]| Series {
            client: client.into(),
            rounds: rounds.iter().map(|r| r.to_vec()).collect(),
        };
        vec![
            of("tg", &[[4.0, 100.0], [6.0, 300.0], [5.0, f64::NAN]]),
            of("floor", &[[2.0, 0.0], [2.5, 0.0]]),
            of("peer*", &[[50.0, 900.0]]),
            of("absent", &[]),
        ]
    }

    fn rows(table: &Table) -> Vec<String> {
        table.rows.iter().map(|r| r.join(" ")).collect()
    }

    #[test]
    fn medians_of_what_there_is() {
        let table = medians("t", &COLUMNS, &series());
        assert_eq!(table.header, ["client", "p50", "p99"]);
        assert_eq!(rows(&table), ["tg 5.00 200", "floor 2.25 0", "peer* 50.0 900", "absent – –"]);
    }

    #[test]
    fn spreads_of_what_was_repeated() {
        let table = spreads("t", &COLUMNS, &["p99"], &series());
        assert_eq!(table.header, ["client", "p99"]);
        assert_eq!(rows(&table), ["tg 100 to 300", "floor 0 to 0"]);
    }

    #[test]
    fn single_figures() {
        assert_eq!(median_of(&series(), "tg", &COLUMNS, "p50"), Some(5.0));
        assert_eq!(median_of(&series(), "absent", &COLUMNS, "p50"), None);
        assert_eq!(spread_of(&series(), "tg", &COLUMNS, "p99").map(|s| s.max), Some(300.0));
        assert_eq!(
            (ratio(Some(3.0), Some(2.0)), ratio(Some(3.0), Some(0.0)), ratio(None, Some(1.0))),
            (Some(1.5), None, None)
        );
    }

    #[test]
    fn ratios_where_both_have_a_figure() {
        let pairs = [("tg", "floor"), ("peer*", "tg"), ("absent", "tg"), ("tg", "absent"), ("tg", "unknown")];
        assert_eq!(
            rows(&ratios("t", &COLUMNS, &COLUMNS, &pairs, &series())),
            ["tg / floor 2.22 –", "peer* / tg 10.0 4.50"]
        );
    }

    #[test]
    fn three_digits() {
        let shown: Vec<String> = [0.0, 0.0144, 0.14, 9.994, 9.995, 12.34, 99.95, 4823.4, -3.5].map(short).into();
        assert_eq!(shown, ["0", "0.014", "0.14", "9.99", "10.0", "12.3", "100", "4823", "-3.50"]);
    }
}
