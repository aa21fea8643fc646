//! Line charts of time series as SVG.
//!
//! A [`Chart`] is what is to be drawn; [`Chart::svg`] draws it. Drawing is done by `plotters` on its SVG
//! backend. What it doesn't do, or not for any data there can be, is done here: ticks on the clock of a
//! time zone ([`time_ticks`]), ticks of values that don't loop on values far from zero ([`value_ticks`]),
//! texts that XML can hold ([`text`]), a legend below the chart, lines broken at gaps ([`gaps`]).
//!
//! The result is well-formed XML without scripts, links or anything from outside, whatever the texts are.

mod draw;
pub mod gaps;
mod legend;
pub mod text;
pub mod time_ticks;
pub mod value_ticks;

use lake_chunks::Micros;
use std::ops::Range;

/// Widths and heights that a chart can have, in pixels.
pub const SIZES: std::ops::RangeInclusive<u32> = 100..=10_000;

/// What is to be drawn.
pub struct Chart<'a, F> {
    pub title: &'a str,
    /// Said where no line has a point.
    pub nothing: &'a str,
    /// What is said of the time axis: the time zone.
    pub zone: &'a str,
    /// The local clock's offset from UTC at an instant.
    pub offset_at: F,
    pub width: u32,
    pub height: u32,
    /// Of the time axis; where empty, that of the points.
    pub span: Range<Micros>,
    pub lines: Vec<Line>,
    /// Lines that are left out, as the legend says.
    pub left_out: usize,
}

/// A line: stretches of points in order, with nothing between one stretch and the next.
pub struct Line {
    pub name: String,
    pub stretches: Vec<Vec<(Micros, f64)>>,
}

/// Why a chart can't be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the chart can't be drawn: {0}")]
pub struct Failed(pub String);

impl<F: Fn(Micros) -> Micros + Copy> Chart<'_, F> {
    /// The chart as an SVG document, without an XML declaration, so that it can go into HTML as it is.
    pub fn svg(&self) -> Result<String, Failed> {
        draw::svg(self)
    }

    fn points(&self) -> impl Iterator<Item = (Micros, f64)> {
        self.lines.iter().flat_map(|line| line.stretches.iter().flatten().copied())
    }
}
