//! How clients are told apart in a picture, in each the same: tg blue and thick, floors grey, peers warm.
//! Changes when they are to look otherwise.

use plotters::prelude::*;

/// Plain and otherwise (batched, two threads, closed loop), for epoll and for io_uring.
const TG: [[RGBColor; 2]; 2] =
    [[RGBColor(66, 150, 240), RGBColor(0, 172, 156)], [RGBColor(13, 71, 161), RGBColor(106, 27, 154)]];
const FLOOR: [[RGBColor; 2]; 2] =
    [[RGBColor(165, 165, 165), RGBColor(200, 180, 170)], [RGBColor(84, 84, 84), RGBColor(121, 85, 72)]];
const PEERS: [(&str, RGBColor); 6] = [
    ("ctraffic", RGBColor(230, 81, 0)),
    ("wrk2", RGBColor(198, 40, 40)),
    ("wrk", RGBColor(240, 98, 146)),
    ("tcpkali", RGBColor(249, 168, 37)),
    ("sockperf", RGBColor(216, 27, 96)),
    ("iperf3", RGBColor(104, 159, 56)),
];
const OTHER: RGBColor = RGBColor(46, 125, 50);

/// How one client is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    pub color: RGBColor,
    /// Of its line.
    pub width: u32,
    /// Radius of its points.
    pub radius: i32,
}

impl Style {
    /// By its name.
    pub fn of(name: &str) -> Style {
        let mut words = name.trim_end_matches('*').split(' ');
        let kind = words.next().unwrap_or_default();
        let uring = usize::from(words.next().is_some_and(|engine| engine == "uring" || engine == "1-5ms"));
        let otherwise = usize::from(words.next().is_some());
        match kind {
            "tg" => Style { color: TG[uring][otherwise], width: 3, radius: 5 },
            "floor" => Style { color: FLOOR[uring][otherwise], width: 2, radius: 4 },
            _ => {
                let color = PEERS.iter().find(|(peer, _)| *peer == kind).map_or(OTHER, |(_, color)| *color);
                Style { color, width: 1, radius: 3 }
            }
        }
    }

    /// A point of its line, at this distance from where it is drawn.
    pub fn mark(&self, at: (i32, i32)) -> Circle<(i32, i32), i32> {
        Circle::new(at, self.radius, self.color.filled())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_that_share_a_picture_differ() {
        let names = [
            "tg epoll",
            "tg epoll batch",
            "tg uring",
            "tg uring ×2",
            "floor epoll",
            "floor uring",
            "floor epoll batch",
            "floor uring batch",
            "wrk",
            "wrk2*",
            "ctraffic*",
            "tcpkali",
            "sockperf",
            "iperf3",
            "arithmetic",
        ];
        let mut colors: Vec<RGBColor> = names.iter().map(|name| Style::of(name).color).collect();
        let count = colors.len();
        colors.sort_by_key(|c| (c.0, c.1, c.2));
        colors.dedup();
        assert_eq!(colors.len(), count);
        assert_eq!(Style::of("ctraffic*"), Style::of("ctraffic"));
        assert_ne!(Style::of("floor 1ms").color, Style::of("floor 1-5ms").color);
        assert!(Style::of("tg uring").width > Style::of("floor uring").width);
    }
}
