//! The picture: title, axes, lines, legend.

use crate::text::clean;
use crate::{Chart, Failed, legend, time_ticks, value_ticks};
use lake_chunks::Micros;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use std::fmt::Display;
use std::ops::Range;

const TITLE: u32 = 15;
const FONT: u32 = 12;
/// What a tick's label takes of the axis, with room to the next.
const TICK_WIDTH: u32 = 90;
const TICK_HEIGHT: u32 = 40;
/// Where a line of a single point is no line: its radius.
const DOT: i32 = 2;

const GRID: RGBColor = RGBColor(228, 228, 228);
const AXIS: RGBColor = RGBColor(120, 120, 120);

/// An axis whose ticks are given. Those that plotters finds itself may never end on values that are far
/// from zero and near to each other.
struct Axis {
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, pixels: (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        pixels.0 + (f64::from(pixels.1 - pixels.0) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { vec![] } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

fn failed(error: &dyn Display) -> Failed {
    Failed(error.to_string())
}

pub fn svg<F: Fn(Micros) -> Micros + Copy>(chart: &Chart<'_, F>) -> Result<String, Failed> {
    let mut out = String::new();
    {
        let root =
            SVGBackend::with_string(&mut out, (chart.width, chart.height)).into_drawing_area();
        root.fill(&WHITE).map_err(|e| failed(&e))?;
        let title = ("sans-serif", TITLE).into_font().color(&BLACK);
        root.draw(&Text::new(clean(chart.title), (10, 8), title)).map_err(|e| failed(&e))?;
        let (_, below) = root.split_vertically(TITLE + 12);
        if chart.points().next().is_none() {
            let text = ("sans-serif", FONT).into_font().color(&AXIS);
            root.draw(&Text::new(clean(chart.nothing), (10, TITLE as i32 + 20), text))
                .map_err(|e| failed(&e))?;
        } else {
            let height = chart.height.saturating_sub(TITLE + 12 + legend::height(chart));
            let (middle, bottom) = below.split_vertically(height);
            lines(chart, &middle)?;
            legend::draw(chart, &bottom)?;
        }
        root.present().map_err(|e| failed(&e))?;
    }
    Ok(out)
}

/// What the time axis covers: what was asked for, or else the points; never nothing.
fn span<F: Fn(Micros) -> Micros + Copy>(chart: &Chart<'_, F>) -> Range<Micros> {
    let mut span = chart.span.clone();
    if span.is_empty() {
        let first = chart.points().map(|point| point.0).min().unwrap_or(0);
        let last = chart.points().map(|point| point.0).max().unwrap_or(0);
        span = first..last;
    }
    if span.is_empty() {
        // A single instant is in the middle of two seconds.
        span = span.start.saturating_sub(lake_chunks::SECOND)
            ..span.start.saturating_add(lake_chunks::SECOND);
    }
    span
}

fn lines<F: Fn(Micros) -> Micros + Copy, D: DrawingBackend>(
    chart: &Chart<'_, F>,
    area: &DrawingArea<D, Shift>,
) -> Result<(), Failed> {
    let span = span(chart);
    let values = value_ticks::range(chart.points().map(|point| point.1));
    let (width, height) = area.dim_in_pixel();
    let most = (height / TICK_HEIGHT).clamp(2, 12) as usize;
    let value_at = value_ticks::ticks(&values, most);
    let step = value_at.get(1).map_or(1.0, |second| second - value_at[0]);
    let longest = value_at.iter().map(|v| value_ticks::label(*v, step).len()).max().unwrap_or(1);
    let left = 14 + 7 * longest as u32;
    let most = (width.saturating_sub(left) / TICK_WIDTH).clamp(1, 20) as usize;
    let time_at = time_ticks::ticks(&span, most, chart.offset_at);

    // As numbers from 0 to 1: times are larger than what the axis can count with.
    let length = (span.end as f64) - (span.start as f64);
    let x = |ts: Micros| ((ts as f64) - (span.start as f64)) / length;
    let label_at = |place: &f64| {
        let near = time_at.iter().find(|tick| x(tick.0) == *place);
        near.map_or_else(String::new, |tick| tick.1.clone())
    };
    let mut drawn = ChartBuilder::on(area)
        .margin_right(24)
        .margin_top(6)
        .x_label_area_size(36)
        .y_label_area_size(left)
        .build_cartesian_2d(
            Axis { range: 0.0..1.0, ticks: time_at.iter().map(|tick| x(tick.0)).collect() },
            Axis { range: values, ticks: value_at },
        )
        .map_err(|e| failed(&e))?;
    let font = ("sans-serif", FONT);
    drawn
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(AXIS)
        .label_style(font)
        .x_desc(clean(&described(&span, chart)))
        .axis_desc_style(font)
        .x_label_formatter(&label_at)
        .y_label_formatter(&|value| value_ticks::label(*value, step))
        .draw()
        .map_err(|e| failed(&e))?;

    let inside = |point: &(Micros, f64)| (x(point.0), value_ticks::clamp(point.1));
    for (index, line) in chart.lines.iter().enumerate() {
        let colour = legend::colour(index);
        for stretch in &line.stretches {
            if let [alone] = stretch.as_slice() {
                let dot = Circle::new(inside(alone), DOT, colour.filled());
                drawn.draw_series([dot]).map_err(|e| failed(&e))?;
            } else {
                let points = stretch.iter().map(inside);
                let line = LineSeries::new(points, colour.stroke_width(2));
                drawn.draw_series(line).map_err(|e| failed(&e))?;
            }
        }
    }
    Ok(())
}

/// From when to when, and by which clock.
fn described<F: Fn(Micros) -> Micros>(span: &Range<Micros>, chart: &Chart<'_, F>) -> String {
    let local = |instant: Micros| {
        let text = lake_chunks::text::format(instant.saturating_add((chart.offset_at)(instant)));
        text.get(..16).map_or_else(|| text.clone(), |start| start.replace('T', " "))
    };
    format!("{} – {}, {}", local(span.start), local(span.end), chart.zone)
}
