//! How long the points of single metrics stay, or of series with certain tags: a rule each.

use super::{before, follow};
use crate::access;
use crate::catalog::Store;
use crate::error::{Error, Result};
use crate::names::Relation;
use crate::series::options;
use crate::spi;
use lake_chunks::Micros;
use pgrx::JsonB;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use serde_json::Value;

/// Points of the metric (of any where it is empty) whose series has these tags stay this long.
pub struct Rule {
    pub metric: String,
    /// A JSON object, as text.
    tags: String,
    pub keep: String,
}

impl Rule {
    /// For reasons: `cpu`, `cpu {"host": "a"}`, `{"env": "test"}`, and how long.
    pub fn describe(&self) -> String {
        let tags = if self.tags == "{}" { "" } else { self.tags.as_str() };
        let subject = [self.metric.as_str(), tags].join(" ");
        format!("{}: {}", subject.trim(), self.keep)
    }
}

/// Sets or (null `keep`) removes a rule. 22023 for one that would mean every point.
pub fn set(
    store: &Store,
    metric: Option<&str>,
    keep: Option<Interval>,
    tags: &Value,
) -> Result<()> {
    access::require_owner(&store.relation)?;
    let Some(map) = tags.as_object().filter(|map| map.values().all(Value::is_string)) else {
        return Err(Error::invalid_parameter(format!("tags can't be {tags}"))
            .hint(r#"They are a JSON object whose values are texts: {"host": "a"}."#));
    };
    if metric == Some("") {
        return Err(Error::invalid_parameter("metric must not be empty")
            .hint("Null means any metric whose series has the tags."));
    }
    if metric.is_none() && map.is_empty() {
        return Err(Error::invalid_parameter("neither a metric nor tags are named")
            .hint("lake.series_set_retention says how long everything stays."));
    }
    if keep.is_some_and(|keep| keep.as_micros() <= 0) {
        return Err(Error::invalid_parameter("keep must be positive")
            .hint("It is how long points stay: '30 days'. Null removes the rule."));
    }
    let keep = keep.map(options::interval_text).transpose()?;
    let (metric, tags) = (metric.unwrap_or_default(), JsonB(tags.clone()));
    access::as_extension_owner(|| match keep {
        Some(keep) => spi::execute(
            "INSERT INTO _lake.series_keep (relid, metric, tags, keep) \
             VALUES ($1::pg_catalog.regclass, $2, $3, $4::pg_catalog.interval) \
             ON CONFLICT (relid, metric, tags) DO UPDATE SET keep = excluded.keep",
            &[store.oid().into(), metric.into(), tags.into(), keep.into()],
        ),
        None => spi::execute(
            "DELETE FROM _lake.series_keep \
             WHERE relid = $1::pg_catalog.regclass AND metric = $2 AND tags = $3",
            &[store.oid().into(), metric.into(), tags.into()],
        ),
    })??;
    follow(store)
}

/// The rules of a store, those that keep shortest first.
pub fn of(store: &Store) -> Result<Vec<Rule>> {
    let style = spi::LocalSettings::new();
    style.set("IntervalStyle", "postgres");
    access::as_extension_owner(|| {
        spi::rows(
            "SELECT k.metric, k.tags::pg_catalog.text, k.keep::pg_catalog.text FROM _lake.series_keep k \
             WHERE k.relid = $1::pg_catalog.regclass ORDER BY k.keep, k.metric, k.tags",
            &[store.oid().into()],
            |row| {
                Ok(Rule {
                    metric: spi::need(row, 1)?,
                    tags: spi::need(row, 2)?,
                    keep: spi::need(row, 3)?,
                })
            },
        )
    })?
}

/// For each rule, the instant up to which its points are past their time.
pub fn limits(rules: &[Rule], now: TimestampWithTimeZone) -> Result<Vec<Micros>> {
    rules.iter().map(|rule| before(now, &rule.keep)).collect()
}

/// The series that have no point to be kept once the first `past` rules (the shortest) are past. Of
/// several rules that fit a series the most particular one holds: one that names the metric before one
/// that doesn't, then more tags before fewer, then the longest.
pub fn past_keep(store: &Store, rules: &[Rule], past: usize) -> Result<Vec<i64>> {
    let Some(companion) = store.companion.map(Relation::by_oid).transpose()? else {
        return Ok(Vec::new());
    };
    let texts = |field: fn(&Rule) -> &str| -> Vec<String> {
        rules.iter().map(|rule| field(rule).to_owned()).collect()
    };
    spi::rows(
        &format!(
            "SELECT s.series_id FROM {companion} s CROSS JOIN LATERAL ( \
                 SELECT r.position \
                 FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), \
                                 pg_catalog.unnest($2::pg_catalog.text[])) \
                      WITH ORDINALITY r (metric, tags, position) \
                 WHERE r.metric IN ('', s.metric) AND s.tags @> r.tags::pg_catalog.jsonb \
                 ORDER BY r.metric = '', \
                          (SELECT pg_catalog.count(*) FROM pg_catalog.jsonb_object_keys(r.tags::pg_catalog.jsonb)) DESC, \
                          r.position DESC \
                 LIMIT 1) rule \
             WHERE rule.position <= $3 ORDER BY s.series_id"
        ),
        &[
            texts(|rule| &rule.metric).into(),
            texts(|rule| &rule.tags).into(),
            i64::try_from(past).unwrap_or(i64::MAX).into(),
        ],
        |row| spi::need(row, 1),
    )
}
