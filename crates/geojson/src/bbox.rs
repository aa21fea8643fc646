//! Bounding boxes (section 5): their shape, their order, and whether they hold what they bound.

use crate::cursor::{Cursor, Extent, Read};
use crate::fault::Rule;
use crate::lexer::Token;
use crate::object::Object;

impl Cursor<'_, '_> {
    pub fn bbox_member(&mut self, o: &mut Object) -> Read<()> {
        let token = self.token()?;
        let at = self.pos;
        if token != Token::Array {
            self.report_hint(
                Rule::BboxShape,
                at,
                format!("the bbox is {}, not an array of numbers", token.describe()),
                "It is [west, south, east, north].",
            );
            return self.skip_value().map(drop);
        }
        let mut values = Vec::new();
        let mut good = true;
        let imprecise = self.imprecise;
        self.array(|c, _| {
            let token = c.token()?;
            if token == Token::Number {
                let at = c.pos;
                let value = c.number()?;
                if value.is_infinite() && c.src[c.pos - 1] != b'y' {
                    c.report(Rule::NumberTooLarge, at, "a number is too large for a double");
                }
                good &= value.is_finite();
                if values.len() < 8 {
                    values.push(value);
                }
                return Ok(());
            }
            good = false;
            let message = format!("{} where a number should be", token.describe());
            c.report(Rule::BboxShape, c.pos, message);
            c.skip_value().map(drop)
        })?;
        self.imprecise = imprecise;
        if good {
            o.bbox = Some((at, values));
        }
        Ok(())
    }

    pub fn check_bbox(&mut self, at: usize, bbox: &[f64]) {
        let extent: Extent = self.extent;
        let axes = bbox.len() / 2;
        if !matches!(bbox.len(), 4 | 6) {
            self.report_hint(
                Rule::BboxShape,
                at,
                format!(
                    "the bbox has {}{} numbers",
                    bbox.len(),
                    if bbox.len() == 8 { " or more" } else { "" }
                ),
                "It is [west, south, east, north], or [west, south, floor, east, north, roof].",
            );
            return;
        }
        if extent.any && (axes == 3) != extent.with_z {
            let hint = if extent.with_z {
                "It has as many dimensions as the positions: [west, south, floor, east, north, roof]."
            } else {
                "It has as many dimensions as the positions: [west, south, east, north]."
            };
            self.report_hint(
                Rule::BboxShape,
                at,
                format!("the bbox has {axes} dimensions and the positions have {}", 5 - axes),
                hint,
            );
        }
        let (low, high) = bbox.split_at(axes);
        if low[1] > high[1] {
            self.report_hint(
                Rule::BboxOrder,
                at,
                format!("the south of the bbox, {}, is north of its north, {}", low[1], high[1]),
                "It is [west, south, east, north].",
            );
        }
        if axes == 3 && low[2] > high[2] {
            self.report(Rule::BboxOrder, at, "the floor of the bbox is above its roof");
        }
        if low[1].abs() > 90.0 || high[1].abs() > 90.0 {
            self.report(Rule::BboxRange, at, "the bbox reaches beyond a pole");
        }
        if low[0].abs() > 180.0 || high[0].abs() > 180.0 {
            self.report_hint(
                Rule::BboxRange,
                at,
                "the bbox has a longitude outside -180 to 180",
                "A box across the antimeridian has its west greater than its east.",
            );
        }
        if extent.any && low[1] <= high[1] && !holds(low, high, &extent) {
            self.report(Rule::BboxContains, at, "the bbox doesn't hold what it bounds");
        }
    }
}

/// Whether the box holds the extent; west greater than east means across the antimeridian.
fn holds(low: &[f64], high: &[f64], extent: &Extent) -> bool {
    let (west, east) = (low[0], high[0]);
    let in_longitude = if west <= east {
        extent.min[0] >= west && extent.max[0] <= east
    } else if west >= 0.0 && east < 0.0 {
        extent.min_east.is_none_or(|x| x >= west) && extent.max_west.is_none_or(|x| x <= east)
    } else {
        true
    };
    let in_latitude = extent.min[1] >= low[1] && extent.max[1] <= high[1];
    let in_height =
        low.len() < 3 || !extent.with_z || (extent.min[2] >= low[2] && extent.max[2] <= high[2]);
    in_longitude && in_latitude && in_height
}
