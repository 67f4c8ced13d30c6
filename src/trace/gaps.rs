//! Where an arrow would go through a text, it is interrupted: it goes on behind the text.

use crate::trace::sheet::{Ground, Point};

/// How much of an arrow is left out on the left and on the right of a text.
const AROUND: f64 = 2.0;

/// Returns the parts of a line that cross none of the texts, from its beginning to its end.
pub fn parts_of(from: Point, to: Point, texts: &[Ground]) -> Vec<(Point, Point)> {
    let mut hidden: Vec<(f64, f64)> =
        texts.iter().filter_map(|text| behind(from, to, text)).collect();
    hidden.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut parts = Vec::new();
    let mut begin = 0.0;
    for (enter, leave) in hidden {
        if enter > begin {
            parts.push((begin, enter));
        }
        begin = leave.max(begin);
    }
    if begin < 1.0 {
        parts.push((begin, 1.0));
    }
    let at = |share: f64| (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1));
    parts.into_iter().map(|(begin, end)| (at(begin), at(end))).collect()
}

/// Returns the shares of a line between which it is behind a text.
fn behind(from: Point, to: Point, text: &Ground) -> Option<(f64, f64)> {
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    let sides = [
        (from.0, to.0 - from.0, text.left - AROUND, text.right + AROUND),
        (from.1, to.1 - from.1, text.top, text.bottom),
    ];
    for (start, way, low, high) in sides {
        if way.abs() < f64::EPSILON {
            if start <= low || start >= high {
                return None;
            }
            continue;
        }
        let (one, other) = ((low - start) / way, (high - start) / way);
        enter = enter.max(one.min(other));
        leave = leave.min(one.max(other));
    }
    (enter < leave).then_some((enter, leave))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Ground = Ground { left: 40.0, right: 60.0, top: 0.0, bottom: 100.0 };

    #[test]
    fn a_line_is_interrupted_by_each_text_in_its_way() {
        let other = Ground { left: 55.0, right: 70.0, ..TEXT };
        let parts = parts_of((0.0, 50.0), (100.0, 50.0), &[other, TEXT]);
        assert_eq!(parts, [((0.0, 50.0), (38.0, 50.0)), ((72.0, 50.0), (100.0, 50.0))]);
        // From right to left, and past it.
        let parts = parts_of((100.0, 50.0), (0.0, 50.0), &[TEXT]);
        assert_eq!(parts, [((100.0, 50.0), (62.0, 50.0)), ((38.0, 50.0), (0.0, 50.0))]);
        let parts = parts_of((0.0, 120.0), (100.0, 120.0), &[TEXT]);
        assert_eq!(parts, [((0.0, 120.0), (100.0, 120.0))]);
    }
}
