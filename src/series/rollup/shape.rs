//! How the rows of a rollup follow from what lies below it: the statements, and nothing that talks to the
//! database.
//!
//! Kept rows hold for the buckets that no entry of the log covers; all others are computed from the
//! source, which is either points or the rows of a narrower rollup, kept or computed likewise.

use super::parts::{self, kept};
use crate::names::Relation;
use pgrx::datum::Interval;

/// One rollup, as far as its rows go.
pub struct Shape {
    pub id: i64,
    /// The table of kept rows, as SQL.
    pub parts: String,
    pub bucket: Interval,
    /// Width and time zone of buckets, as literals.
    pub width: String,
    pub zone: String,
    /// Whether a sketch is kept.
    pub sketch: bool,
    pub source: Source,
}

pub enum Source {
    Points(Points),
    Lower(Box<Shape>),
}

/// Where points are; columns as SQL.
pub struct Points {
    pub table: Relation,
    pub time: String,
    pub value: String,
    /// What tells series apart.
    pub keys: Vec<String>,
}

impl Shape {
    pub fn points(&self) -> &Points {
        match &self.source {
            Source::Points(points) => points,
            Source::Lower(lower) => lower.points(),
        }
    }

    /// `, m.key` for each key.
    fn keys(&self, alias: &str) -> String {
        self.points().keys.iter().map(|key| format!(", {alias}.{key}")).collect()
    }

    fn grouping(&self) -> String {
        let ordinals = (1..=self.points().keys.len() + 1).map(|n| n.to_string());
        ordinals.collect::<Vec<_>>().join(", ")
    }

    /// The rows of the buckets between two edges, computed from the source: bucket, keys, parts.
    pub fn computed(&self, from: &str, to: &str) -> String {
        let (width, zone) = (&self.width, &self.zone);
        let grouping = self.grouping();
        match &self.source {
            Source::Points(points) => {
                let Points { table, time, value, .. } = points;
                let keys = self.keys("p");
                let (time, value) = (format!("p.{time}"), format!("p.{value}::pg_catalog.float8"));
                let columns: String = kept(self.sketch)
                    .map(|part| format!(", {} AS {}", (part.of_points)(&value, &time), part.name))
                    .collect();
                format!(
                    "SELECT lake.bucket({width}, {time}, {zone}) AS bucket{keys}{columns} FROM {table} p \
                     WHERE {time} OPERATOR(pg_catalog.>=) {from} AND {time} OPERATOR(pg_catalog.<) {to} \
                       AND {value} IS NOT NULL GROUP BY {grouping}"
                )
            }
            Source::Lower(lower) => {
                let keys = self.keys("m");
                let columns: String = kept(self.sketch)
                    .map(|part| format!(", {} AS {}", part.of_rows, part.name))
                    .collect();
                let rows = lower.rows(Some((from, to)));
                format!(
                    "SELECT lake.bucket({width}, m.bucket, {zone}) AS bucket{keys}{columns} \
                     FROM ({rows}) m GROUP BY {grouping}"
                )
            }
        }
    }

    /// The rows as they are in any snapshot, all of them or those between two edges of buckets.
    pub fn rows(&self, between: Option<(&str, &str)>) -> String {
        let Self { id, parts, .. } = self;
        let mut columns = self.keys("m");
        for part in kept(self.sketch) {
            columns.push_str(", m.");
            columns.push_str(part.name);
        }
        // Read once for each scan, however many entries there are.
        let waiting = format!(
            "(SELECT COALESCE(pg_catalog.range_agg(pg_catalog.tstzrange(l.lo, l.hi)), pg_catalog.tstzmultirange()) \
              FROM _lake.rollup_waiting l WHERE l.rollup_id OPERATOR(pg_catalog.=) {id})"
        );
        let (kept_between, computed_between) = match between {
            Some((from, to)) => (
                format!(
                    " AND m.bucket OPERATOR(pg_catalog.>=) {from} AND m.bucket OPERATOR(pg_catalog.<) {to}"
                ),
                format!(
                    " OPERATOR(pg_catalog.*) pg_catalog.tstzmultirange(pg_catalog.tstzrange({from}, {to}))"
                ),
            ),
            None => (String::new(), String::new()),
        };
        // Each rollup has a name of its own for its windows, as one may lie inside another's.
        let window = format!("w{id}");
        let computed = self.computed(&format!("{window}.lo"), &format!("{window}.hi"));
        format!(
            "SELECT m.bucket{columns} FROM {parts} m \
             WHERE NOT ({waiting} OPERATOR(pg_catalog.@>) m.bucket){kept_between} \
             UNION ALL \
             SELECT m.bucket{columns} \
             FROM (SELECT pg_catalog.lower(g.r) AS lo, pg_catalog.upper(g.r) AS hi \
                   FROM _lake.rollup_windows({waiting}{computed_between}) AS g (r)) {window} \
             CROSS JOIN LATERAL ({computed}) m"
        )
    }

    /// What the view says. Of a rollup of a rollup it also names the type of that one's rows, so that it
    /// isn't dropped by hand below this one.
    pub fn view(&self, aggregates: &[String], lower: Option<&Relation>) -> String {
        let keys = self.keys("m");
        let columns: String = parts::columns(aggregates)
            .map(|(name, expression)| format!(", {expression} AS {name}"))
            .collect();
        let holds = lower.map(|lower| format!(" WHERE NULL::{lower} IS NULL")).unwrap_or_default();
        format!("SELECT m.bucket{keys}{columns} FROM ({}) m{holds}", self.rows(None))
    }
}
