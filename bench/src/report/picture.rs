//! A suite's picture: bars for one figure of each client, lines for several. Changes when pictures are to
//! look otherwise.

mod style;

use super::series::{Series, short};
use anyhow::Context;
use plotters::coord::Shift;
use plotters::prelude::*;
use style::Style;

const WIDTH: u32 = 960;
const TITLE_HEIGHT: u32 = 44;
const LEGEND_WIDTH: u32 = 210;
const LINES_HEIGHT: u32 = 400;
const BAR_HEIGHT: u32 = 30;
const BARS_FRAME: u32 = 90;
const FONT: &str = "sans-serif";
const TEXT: u32 = 14;
const GRID: RGBColor = RGBColor(225, 225, 225);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Panels below one another.
#[derive(Clone, Debug)]
pub struct Picture {
    pub title: String,
    pub panels: Vec<Panel>,
}

/// One diagram.
#[derive(Clone, Debug)]
pub enum Panel {
    /// From zero; a whisker from the least to the greatest.
    Bars { title: String, axis: String, rows: Vec<Bar> },
    /// Over categories, logarithmic: what is not above zero is left out.
    Lines { title: String, x_axis: String, y_axis: String, categories: Vec<String>, lines: Vec<Line> },
}

/// One client's figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    pub name: String,
    pub median: f64,
    pub least: f64,
    pub greatest: f64,
}

/// One client's figures: one for each category.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub name: String,
    pub values: Vec<Option<f64>>,
}

/// A bar for each client that has the figure.
pub fn bars(series: &[Series], columns: &[&str], column: &str) -> Vec<Bar> {
    let Some(column) = columns.iter().position(|c| *c == column) else { return Vec::new() };
    let bar = |s: &Series| {
        let spread = s.spread(column)?;
        Some(Bar { name: s.client.clone(), median: spread.median, least: spread.min, greatest: spread.max })
    };
    series.iter().filter_map(bar).collect()
}

/// A line for each client that has a figure of these columns.
pub fn lines(series: &[Series], columns: &[&str], which: &[&str]) -> Vec<Line> {
    let value = |s: &Series, name: &&str| {
        let column = columns.iter().position(|c| c == name)?;
        Some(s.spread(column)?.median)
    };
    let line = |s: &Series| Line { name: s.client.clone(), values: which.iter().map(|name| value(s, name)).collect() };
    series.iter().map(line).filter(|line| line.values.iter().any(Option::is_some)).collect()
}

impl Picture {
    /// # Errors
    /// It cannot be drawn.
    pub fn svg(&self) -> anyhow::Result<String> {
        let height = TITLE_HEIGHT + self.panels.iter().map(Panel::height).sum::<u32>();
        let mut text = String::new();
        {
            let root = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
            self.draw(&root).context("drawing a picture")?;
            root.present().context("finishing a picture")?;
        }
        Ok(text)
    }

    fn draw(&self, root: &Area<'_>) -> anyhow::Result<()> {
        root.fill(&WHITE)?;
        let (head, mut rest) = root.split_vertically(TITLE_HEIGHT);
        head.draw(&Text::new(self.title.clone(), (16, 14), (FONT, 20).into_font().color(&BLACK)))?;
        for panel in &self.panels {
            let (area, below) = rest.split_vertically(panel.height());
            panel.draw(&area)?;
            rest = below;
        }
        Ok(())
    }
}

impl Panel {
    fn height(&self) -> u32 {
        match self {
            Panel::Bars { rows, .. } => BARS_FRAME + BAR_HEIGHT * rows.len() as u32,
            Panel::Lines { .. } => LINES_HEIGHT,
        }
    }

    fn draw(&self, area: &Area<'_>) -> anyhow::Result<()> {
        match self {
            Panel::Bars { title, axis, rows } => draw_bars(area, title, axis, rows),
            Panel::Lines { title, x_axis, y_axis, categories, lines } => {
                let (plot, legend) = area.split_horizontally(WIDTH - LEGEND_WIDTH);
                draw_lines(&plot, (title, x_axis, y_axis), categories, lines)?;
                draw_legend(&legend, lines)
            }
        }
    }
}

fn draw_bars(area: &Area<'_>, title: &str, axis: &str, rows: &[Bar]) -> anyhow::Result<()> {
    let greatest = rows.iter().map(|r| r.greatest).fold(0.0, f64::max);
    if greatest <= 0.0 {
        return Ok(());
    }
    let count = rows.len() as i32;
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 16))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(190)
        .build_cartesian_2d(0.0..greatest * 1.15, (0..count).into_segmented())?;
    // The first one on top.
    let row_at = |place: i32| rows.get((count - 1 - place) as usize);
    let name = |at: &SegmentValue<i32>| match at {
        SegmentValue::CenterOf(place) | SegmentValue::Exact(place) => {
            row_at(*place).map_or_else(String::new, |r| r.name.clone())
        }
        SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .label_style((FONT, TEXT))
        .x_desc(axis)
        .x_labels(8)
        .x_label_formatter(&|x| short(*x))
        .y_labels(rows.len())
        .y_label_formatter(&name)
        .draw()?;
    for (index, row) in rows.iter().enumerate() {
        let style = Style::of(&row.name);
        let place = count - 1 - index as i32;
        let middle = SegmentValue::CenterOf(place);
        let corners = [(0.0, SegmentValue::Exact(place)), (row.median, SegmentValue::Exact(place + 1))];
        let mut bar = Rectangle::new(corners, style.color.filled());
        bar.set_margin(4, 4, 0, 0);
        chart.draw_series([bar])?;
        let whisker = vec![(row.least, middle.clone()), (row.greatest, middle.clone())];
        chart.draw_series([PathElement::new(whisker, BLACK.stroke_width(2))])?;
        let label = EmptyElement::at((row.greatest.max(row.median), middle))
            + Text::new(short(row.median), (8, -7), (FONT, TEXT).into_font());
        chart.draw_series([label])?;
    }
    Ok(())
}

fn draw_lines(
    area: &Area<'_>,
    (title, x_axis, y_axis): (&str, &str, &str),
    categories: &[String],
    lines: &[Line],
) -> anyhow::Result<()> {
    let positive = || lines.iter().flat_map(|l| &l.values).flatten().copied().filter(|v| *v > 0.0);
    let (least, greatest) = (positive().fold(f64::INFINITY, f64::min), positive().fold(0.0, f64::max));
    if greatest <= 0.0 {
        return Ok(());
    }
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 16))
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(80)
        .build_cartesian_2d((0..categories.len() as i32).into_segmented(), decades(least, greatest).log_scale())?;
    let name = |at: &SegmentValue<i32>| match at {
        SegmentValue::CenterOf(place) => categories.get(*place as usize).cloned().unwrap_or_default(),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .label_style((FONT, TEXT))
        .x_desc(x_axis)
        .y_desc(y_axis)
        .x_labels(categories.len())
        .x_label_formatter(&name)
        .y_label_formatter(&|y| short(*y))
        .draw()?;
    for line in lines {
        let style = Style::of(&line.name);
        let point = |(place, value): (usize, &Option<f64>)| {
            Some((SegmentValue::CenterOf(place as i32), value.filter(|v| *v > 0.0)?))
        };
        let points: Vec<_> = line.values.iter().enumerate().filter_map(point).collect();
        chart.draw_series([PathElement::new(points.clone(), style.color.stroke_width(style.width))])?;
        chart.draw_series(points.into_iter().map(|at| EmptyElement::at(at) + style.mark((0, 0))))?;
    }
    Ok(())
}

/// Whole decades, or halves of them where the values span less than one.
fn decades(least: f64, greatest: f64) -> std::ops::Range<f64> {
    let (low, high) = (least.log10().floor(), greatest.log10().ceil());
    10f64.powf(low)..10f64.powf(if high > low { high } else { low + 1.0 })
}

fn draw_legend(area: &Area<'_>, lines: &[Line]) -> anyhow::Result<()> {
    for (index, line) in lines.iter().enumerate() {
        let style = Style::of(&line.name);
        let y = 56 + 24 * index as i32;
        area.draw(&PathElement::new(vec![(4, y), (32, y)], style.color.stroke_width(style.width)))?;
        area.draw(&(EmptyElement::at((0, 0)) + style.mark((18, y))))?;
        area.draw(&Text::new(line.name.clone(), (40, y - 7), (FONT, TEXT).into_font()))?;
    }
    Ok(())
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
        vec![of("tg epoll", &[[4.0, 100.0], [6.0, 300.0]]), of("floor", &[[0.0, f64::NAN]]), of("absent", &[])]
    }

    #[test]
    fn figures_are_taken_from_the_rounds() {
        let bars = bars(&series(), &COLUMNS, "p50");
        assert_eq!(bars[0], Bar { name: "tg epoll".into(), median: 5.0, least: 4.0, greatest: 6.0 });
        assert_eq!(bars.len(), 2);
        let lines = lines(&series(), &COLUMNS, &["p99", "p50"]);
        assert_eq!(lines[0].values, [Some(200.0), Some(5.0)]);
        assert_eq!((lines[1].values.clone(), lines.len()), (vec![None, Some(0.0)], 2));
    }

    #[test]
    fn a_picture_shows_its_words_and_lines() {
        let panels = vec![
            Panel::Bars { title: "Bars".into(), axis: "k/s".into(), rows: bars(&series(), &COLUMNS, "p50") },
            Panel::Lines {
                title: "Lines".into(),
                x_axis: "quantile".into(),
                y_axis: "µs".into(),
                categories: COLUMNS.map(str::to_owned).into(),
                lines: lines(&series(), &COLUMNS, &COLUMNS),
            },
        ];
        let svg = Picture { title: "What was measured".into(), panels }.svg().unwrap();
        for word in ["What was measured", "Bars", "k/s", "Lines", "quantile", "µs", "tg epoll", "p99"] {
            assert!(svg.contains(word), "{word}");
        }
        assert!(svg.contains("<polyline") && svg.contains("<rect"));
    }

    #[test]
    fn nothing_to_draw_is_no_error() {
        let empty = Panel::Bars { title: String::new(), axis: String::new(), rows: Vec::new() };
        assert!(Picture { title: "T".into(), panels: vec![empty] }.svg().is_ok());
    }

    #[test]
    fn an_axis_covers_its_values() {
        let shown = |least, greatest| {
            let range = decades(least, greatest);
            (range.start.log10().round(), range.end.log10().round())
        };
        assert_eq!(shown(3.0, 4000.0), (0.0, 4.0));
        assert_eq!(shown(0.02, 0.9), (-2.0, 0.0));
        assert_eq!(shown(10.0, 10.0), (1.0, 2.0));
    }
}
