//! How clients are told apart in a picture: tg blue and thick, floors grey, peers warm. Changes when they
//! are to look otherwise.

use plotters::prelude::*;

const TG: [RGBColor; 4] =
    [RGBColor(66, 150, 240), RGBColor(13, 71, 161), RGBColor(0, 172, 156), RGBColor(106, 27, 154)];
const FLOOR: [RGBColor; 4] =
    [RGBColor(165, 165, 165), RGBColor(84, 84, 84), RGBColor(200, 180, 170), RGBColor(121, 85, 72)];
const PEER: [RGBColor; 5] = [
    RGBColor(230, 81, 0),
    RGBColor(198, 40, 40),
    RGBColor(249, 168, 37),
    RGBColor(216, 27, 96),
    RGBColor(104, 159, 56),
];

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
    /// A point of its line, at this distance from where it is drawn.
    pub fn mark(&self, at: (i32, i32)) -> Circle<(i32, i32), i32> {
        Circle::new(at, self.radius, self.color.filled())
    }
}

/// Of each client, by its name: equal kinds are told apart by their order.
pub fn styles<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Style> {
    let (mut own, mut floors, mut peers) = (0, 0, 0);
    let of = |name: &str| {
        let (colors, seen, width, radius): (&[RGBColor], &mut usize, u32, i32) = match name {
            name if name.starts_with("tg") => (&TG, &mut own, 3, 5),
            name if name.starts_with("floor") => (&FLOOR, &mut floors, 2, 4),
            _ => (&PEER, &mut peers, 1, 3),
        };
        let color = colors[*seen % colors.len()];
        *seen += 1;
        Style { color, width, radius }
    };
    names.map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_clients_differ() {
        let styles = styles(["tg epoll", "floor epoll", "tg uring", "wrk*"].into_iter());
        let colors: Vec<RGBColor> = styles.iter().map(|s| s.color).collect();
        assert_eq!(colors, [TG[0], FLOOR[0], TG[1], PEER[0]]);
        assert!(styles[0].width > styles[1].width && styles[1].width > styles[3].width);
    }
}
