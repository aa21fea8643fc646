//! The legend: which colour is which line, in columns below the chart.

use crate::text::clean;
use crate::{Chart, Failed};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::fmt::Display;

pub const ROW: u32 = 18;
const COLUMN: u32 = 220;
const FONT: u32 = 12;

/// Colours that are told apart also by those who don't see all of them (Okabe and Ito), then darker ones.
const COLOURS: [RGBColor; 12] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(150, 140, 20),
    RGBColor(0, 60, 100),
    RGBColor(120, 45, 0),
    RGBColor(0, 85, 60),
    RGBColor(110, 50, 85),
    RGBColor(90, 90, 90),
];

pub fn colour(line: usize) -> RGBColor {
    COLOURS[line % COLOURS.len()]
}

fn columns(width: u32) -> u32 {
    (width / COLUMN).max(1)
}

/// How high the legend is, at most half of the picture: lines that it has no room for are in the
/// number of those left out.
pub fn height<F>(chart: &Chart<'_, F>) -> u32 {
    let entries = chart.lines.len() as u32 + u32::from(chart.left_out > 0);
    let rows = entries.div_ceil(columns(chart.width));
    rows.min(chart.height / 2 / ROW) * ROW
}

pub fn draw<F, D: DrawingBackend>(
    chart: &Chart<'_, F>,
    area: &DrawingArea<D, Shift>,
) -> Result<(), Failed> {
    let failed = |error: &dyn Display| Failed(error.to_string());
    let columns = columns(chart.width) as usize;
    let places = (height(chart) / ROW) as usize * columns;
    let mut shown = chart.lines.len();
    if chart.left_out > 0 || shown > places {
        shown = shown.min(places.saturating_sub(1));
    }
    let font = ("sans-serif", FONT).into_font().color(&BLACK);
    let place = |index: usize| {
        let column = chart.width / columns as u32 * (index % columns) as u32;
        (column as i32 + 10, (index / columns) as i32 * ROW as i32)
    };
    for (index, line) in chart.lines.iter().take(shown).enumerate() {
        let (x, y) = place(index);
        let swatch = Rectangle::new([(x, y + 6), (x + 14, y + 9)], colour(index).filled());
        area.draw(&swatch).map_err(|e| failed(&e))?;
        let name =
            EmptyElement::at((x + 20, y + 1)) + Text::new(clean(&line.name), (0, 0), font.clone());
        area.draw(&name).map_err(|e| failed(&e))?;
    }
    let rest = chart.left_out + chart.lines.len() - shown;
    if rest > 0 && shown < places {
        let (x, y) = place(shown);
        let more = Text::new(format!("… and {rest} more"), (x + 20, y + 1), font);
        area.draw(&more).map_err(|e| failed(&e))?;
    }
    Ok(())
}
