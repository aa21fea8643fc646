//! `lake.series_plot`: what `lake.series_query` reads, as a chart. [`lake_plot`] draws it.

use crate::catalog::Store;
use crate::error::{Error, Result};
use crate::series::query::{self, Answer, Query};
use crate::series::zone::{self, Zone};
use crate::series::{metric, time};
use crate::spi;
use lake_chunks::Micros;
use lake_plot::{Chart, Line, SIZES, gaps};
use lake_samples::{Sample, lttb};
use serde_json::{Map, Value};
use std::ops::Range;

/// Most points that are read for one chart: they are held in memory, at 100 bytes each while they are
/// read. A chart shows some thousands.
const MAX_POINTS: usize = 5_000_000;

/// More lines than this nobody tells apart.
const MAX_LINES: i32 = 100;

/// The picture that is asked for.
pub struct Picture<'a> {
    pub width: i32,
    pub height: i32,
    pub title: Option<&'a str>,
    pub max_series: i32,
}

/// An SVG document.
pub fn svg(store: &Store, query: &Query<'_>, picture: &Picture<'_>) -> Result<String> {
    let (width, height) = (size("width", picture.width)?, size("height", picture.height)?);
    if !(1..=MAX_LINES).contains(&picture.max_series) {
        return Err(Error::invalid_parameter(format!(
            "max_series must be from 1 to {MAX_LINES}, not {}",
            picture.max_series
        )));
    }
    let mut series = query::find_series(store, query.metric, &query.tags)?;
    let left_out = series.len().saturating_sub(picture.max_series as usize);
    series.truncate(picture.max_series as usize);
    if left_out > 0 {
        pgrx::notice!(
            "{} of {} series are shown; select fewer by their tags, or raise max_series (to {MAX_LINES} at most)",
            series.len(),
            series.len() + left_out
        );
    }
    let answer = query::read(store, query, series, Some(MAX_POINTS))?;
    let span = span(query, &answer);
    let title = match picture.title {
        Some(title) => title.to_owned(),
        None => title(query, metric::unit(store, query.metric)?)?,
    };
    let zone = spi::setting("TimeZone").unwrap_or_default();
    let chart = Chart {
        title: &title,
        nothing: "There are no points.",
        zone: &zone,
        offset_at: |instant| Zone::session().offset_at(instant),
        width,
        height,
        lines: lines(query, &answer, &span, width as usize)?,
        span,
        left_out,
    };
    chart.svg().map_err(|e| Error::internal(e.to_string()))
}

fn size(name: &str, given: i32) -> Result<u32> {
    u32::try_from(given).ok().filter(|size| SIZES.contains(size)).ok_or_else(|| {
        Error::invalid_parameter(format!(
            "{name} must be from {} to {} pixels, not {given}",
            SIZES.start(),
            SIZES.end()
        ))
    })
}

/// `cpu (percent), p95 of 5 minutes`.
fn title(query: &Query<'_>, unit: Option<String>) -> Result<String> {
    let mut title = query.metric.to_owned();
    if let Some(unit) = unit {
        title.push_str(&format!(" ({unit})"));
    }
    if let Some(bucket) = query.bucket {
        let width = crate::series::options::interval_text(bucket)?;
        title.push_str(&format!(", {} of {width}", query.agg));
    }
    Ok(title)
}

/// What was asked for, and the points outside it: the first bucket begins before the range does.
fn span(query: &Query<'_>, answer: &Answer) -> Range<Micros> {
    let times = || answer.rows.iter().map(|row| row.ts);
    let (Some(first), Some(last)) = (times().min(), times().max()) else { return 0..0 };
    let from = query.from.map_or(first, |from| time::from_pg(from).min(first));
    let to = query.to.map_or(last, |to| time::from_pg(to).max(last));
    from..to
}

fn lines(
    query: &Query<'_>,
    answer: &Answer,
    span: &Range<Micros>,
    width: usize,
) -> Result<Vec<Line>> {
    // What is narrower than a pixel can't be seen, and isn't a gap.
    let pixel = (span.end - span.start) / width as i64;
    let buckets = query
        .bucket
        .as_ref()
        .map(|width| zone::buckets(width, Zone::session(), None))
        .transpose()?;
    let mut lines: Vec<Line> = answer
        .series
        .iter()
        .map(|(_, tags)| Line {
            name: name(&tags.parse().unwrap_or_default(), query.metric),
            stretches: vec![],
        })
        .collect();
    for of_series in answer.rows.chunk_by(|a, b| a.series == b.series) {
        pgrx::check_for_interrupts!();
        let Some(first) = of_series.first() else { continue };
        let points: Vec<(Micros, f64)> =
            of_series.iter().map(|row| (row.ts, row.value.unwrap_or(f64::NAN))).collect();
        let stretches = match &buckets {
            Some(buckets) => gaps::cut(&points, |before, after| {
                after - before > pixel && buckets.next(before) < after
            }),
            None => gaps::by_step(&points, pixel),
        };
        let stretches = stretches.into_iter();
        let thinned = stretches.map(|stretch| thin(stretch, points.len(), width));
        lines[first.series].stretches = thinned.collect::<Result<_>>()?;
    }
    Ok(lines)
}

/// A stretch with as many points as its share of the chart's width has pixels.
fn thin(stretch: Vec<(Micros, f64)>, of: usize, width: usize) -> Result<Vec<(Micros, f64)>> {
    let share = (stretch.len() * width).div_ceil(of.max(1)).max(3);
    if stretch.len() <= share {
        return Ok(stretch);
    }
    let samples: Vec<Sample> =
        stretch.into_iter().map(|(ts, value)| Sample { ts, value }).collect();
    let kept = lttb::lttb(&samples, share, || -> Result<()> {
        pgrx::check_for_interrupts!();
        Ok(())
    })?;
    Ok(kept.into_iter().map(|sample| (sample.ts, sample.value)).collect())
}

/// `dc=x, host=a`; the metric, for a series without tags.
fn name(tags: &Value, metric: &str) -> String {
    let tags: Vec<String> = tags
        .as_object()
        .into_iter()
        .flat_map(Map::iter)
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key}={text}"),
            other => format!("{key}={other}"),
        })
        .collect();
    if tags.is_empty() { metric.to_owned() } else { tags.join(", ") }
}
