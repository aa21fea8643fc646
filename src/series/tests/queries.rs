//! Queries against slow, obvious SQL on random data; fills, time zones, chunk exclusion.

use super::helpers::{all, failure, on_both, run, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;
    use crate::names::Relation;
    use crate::regclass::RegClass;
    use crate::series::options;
    use crate::series::query::{Aggregate, Query, statement};
    use pgrx::datum::{Interval, TimestampWithTimeZone};
    use serde_json::json;

    /// Three days of random points of three hosts, with holes, values that repeat and resets.
    fn load(store: &str) {
        run(&format!(
            "SELECT setseed(0.5);
             CREATE TABLE raw_{store} AS
             SELECT '2026-03-28 00:00+00'::timestamptz + (random() * 3 * 86400)::int * interval '1 s' AS ts,
                    'h' || (random() * 2)::int AS host, (random() * 100)::int / 4.0::float8 AS value
             FROM generate_series(1, 3000);
             DELETE FROM raw_{store} a USING raw_{store} b WHERE a.ts = b.ts AND a.host = b.host AND a.ctid > b.ctid;
             DELETE FROM raw_{store} WHERE ts BETWEEN '2026-03-29 03:00+00' AND '2026-03-29 08:00+00';
             SELECT lake.series_ingest('{store}', array_agg(ts), array_agg('cpu'::text),
                    array_agg(jsonb_build_object('host', host, 'dc', 'x')), array_agg(value)) FROM raw_{store};
             SELECT lake.series_ingest('{store}', ARRAY['2026-03-28 01:00+00'::timestamptz], ARRAY['other'], NULL, ARRAY[1.0])"
        ));
    }

    #[pg_test]
    fn aggregates_equal_slow_sql() {
        on_both("{}", |_, store| {
            load(store);
            run("SET LOCAL TimeZone = 'Europe/Berlin'");
            for (agg, slow) in [
                ("avg", "avg(value)"),
                ("min", "min(value)"),
                ("max", "max(value)"),
                ("sum", "sum(value)"),
                ("count", "count(*)"),
                ("first", "(array_agg(value ORDER BY ts))[1]"),
                ("last", "(array_agg(value ORDER BY ts DESC))[1]"),
                ("p50", "percentile_cont(0.5) WITHIN GROUP (ORDER BY value)"),
                ("p95", "percentile_cont(0.95) WITHIN GROUP (ORDER BY value)"),
                ("p99", "percentile_cont(0.99) WITHIN GROUP (ORDER BY value)"),
            ] {
                for (bucket, unit) in [("1 hour", "hour"), ("1 day", "day"), ("1 month", "month")] {
                    let fast = all(&format!(
                        "SELECT ts, tags ->> 'host' AS host, round(value::numeric, 6) FROM lake.series_query('{store}', 'cpu',
                         '{{\"dc\": \"x\"}}', '2026-03-28 06:30+00', '2026-03-30 18:00+00', '{bucket}', '{agg}') ORDER BY 2, 1"
                    ));
                    let slow = all(&format!(
                        "SELECT date_trunc('{unit}', ts) AS b, host, round(({slow})::numeric, 6) FROM raw_{store}
                         WHERE ts >= '2026-03-28 06:30+00' AND ts < '2026-03-30 18:00+00' GROUP BY 1, 2 ORDER BY 2, 1"
                    ));
                    assert_eq!(fast, slow, "{agg} {bucket}");
                }
            }
        });
    }

    #[pg_test]
    fn counters_add_up_and_survive_resets() {
        on_both("{}", |_, store| {
            run(&format!(
                "SELECT lake.series_ingest('{store}', ARRAY['2026-01-01 00:00+00', '2026-01-01 00:30+00', '2026-01-01 01:10+00', '2026-01-01 01:30+00', '2026-01-01 01:40+00']::timestamptz[],
                 ARRAY['c', 'c', 'c', 'c', 'c'], NULL, ARRAY[10, 40, 100, 5, 8])"
            ));
            // 30 in the first hour; then 60, a reset to 5, and 3 more.
            assert_eq!(
                all(&format!(
                    "SELECT value FROM lake.series_query('{store}', 'c', bucket => '1 hour', agg => 'increase')"
                )),
                "(30) (68)"
            );
            assert_eq!(
                all(&format!(
                    "SELECT round(value::numeric, 6) FROM lake.series_query('{store}', 'c', bucket => '1 hour', agg => 'rate')"
                )),
                format!("(0.016667) ({:.6})", 68.0 / 4200.0)
            );
            assert_eq!(
                all(&format!(
                    "SELECT value FROM lake.series_query('{store}', 'c', to_ts => '2026-01-01 00:01+00', bucket => '1 hour', agg => 'increase')"
                )),
                "()"
            );
        });
    }

    #[pg_test]
    fn fills_make_every_bucket_of_the_range() {
        on_both("{}", |_, store| {
            run("SET LOCAL TimeZone = 'Europe/Berlin'");
            run(&format!(
                "SELECT lake.series_ingest('{store}', ARRAY['2026-10-24 23:30+00', '2026-10-25 02:30+00']::timestamptz[], ARRAY['m', 'm'], NULL, ARRAY[10, 40])"
            ));
            let values = |fill: &str| {
                all(&format!(
                    "SELECT value FROM lake.series_query('{store}', 'm', from_ts => '2026-10-24 22:00+00', to_ts => '2026-10-25 04:00+00', bucket => '1 hour', fill => '{fill}')"
                ))
            };
            assert_eq!(values("null"), "() (10) () () (40) ()");
            assert_eq!(values("previous"), "() (10) (10) (10) (40) (40)");
            assert_eq!(values("linear"), "() (10) (20) (30) (40) ()");
            assert_eq!(values("0.5"), "(0.5) (10) (0.5) (0.5) (40) (0.5)");
            // The hour that comes twice is two buckets.
            assert_eq!(
                all(&format!(
                    "SELECT ts FROM lake.series_query('{store}', 'm', from_ts => '2026-10-24 22:00+00', to_ts => '2026-10-25 02:00+00', bucket => '1 hour', fill => 'null')"
                )),
                r#"("2026-10-25 00:00:00+02") ("2026-10-25 01:00:00+02") ("2026-10-25 02:00:00+02") ("2026-10-25 02:00:00+01")"#
            );
            // Without a range, from the first to the last bucket there is.
            assert_eq!(
                all(&format!(
                    "SELECT value FROM lake.series_query('{store}', 'm', bucket => '1 hour', fill => '0')"
                )),
                "(10) (0) (0) (40)"
            );
            assert_eq!(
                failure(&format!("SELECT lake.series_query('{store}', 'm', from_ts => '0001-01-01', bucket => '1 second', fill => '0')")).0,
                "54000"
            );
        });
    }

    #[pg_test]
    fn raw_points_and_latest() {
        on_both("{}", |_, store| {
            load(store);
            assert_eq!(
                all(&format!(
                    "SELECT ts, tags ->> 'host' AS h, value FROM lake.series_query('{store}', 'cpu', '{{\"host\": \"h1\"}}', '2026-03-29', '2026-03-30')"
                )),
                all(&format!(
                    "SELECT ts, host, value FROM raw_{store} WHERE host = 'h1' AND ts >= '2026-03-29' AND ts < '2026-03-30' ORDER BY ts"
                ))
            );
            assert_eq!(
                all(&format!(
                    "SELECT tags ->> 'host' AS host, ts, value FROM lake.series_latest('{store}', 'cpu') ORDER BY 1"
                )),
                all(&format!(
                    "SELECT DISTINCT ON (host) host, ts, value FROM raw_{store} ORDER BY host, ts DESC"
                ))
            );
            assert_eq!(
                text(&format!("SELECT count(*) FROM lake.series_latest('{store}')")).as_deref(),
                Some("4")
            );
            assert_eq!(text(&format!("SELECT count(*) FROM lake.series_latest('{store}', tags => '{{\"host\": \"h0\"}}')")).as_deref(), Some("1"));
            assert_eq!(
                text(&format!("SELECT count(*) FROM lake.series_query('{store}', 'nothing')"))
                    .as_deref(),
                Some("0")
            );
        });
    }

    #[pg_test]
    fn wrong_queries_say_what_is_wrong() {
        on_both("{}", |_, store| {
            for (call, state) in [
                (format!("lake.series_query('{store}', NULL)"), "22004"),
                (format!("lake.series_query('{store}', 'm', '[]')"), "22023"),
                (
                    format!("lake.series_query('{store}', 'm', agg => 'mean', bucket => '1 hour')"),
                    "22023",
                ),
                (format!("lake.series_query('{store}', 'm', agg => 'max')"), "22023"),
                (format!("lake.series_query('{store}', 'm', fill => 'null')"), "22023"),
                (
                    format!(
                        "lake.series_query('{store}', 'm', bucket => '1 hour', fill => 'forward')"
                    ),
                    "22023",
                ),
                (format!("lake.series_query('{store}', 'm', bucket => '-1 hour')"), "22023"),
                (format!("lake.series_query('{store}', 'm', from_ts => '-infinity')"), "22023"),
                ("lake.series_query('pg_class', 'm')".to_owned(), "42809"),
                ("lake.series_query(0::oid::regclass, 'm')".to_owned(), "42P01"),
            ] {
                assert_eq!(failure(&format!("SELECT {call}")).0, state, "{call}");
            }
        });
    }

    #[pg_test]
    fn only_chunks_of_the_range_are_read() {
        on_both("{}", |engine, store| {
            load(store);
            run(&format!("ANALYZE {store}"));
            let table = Relation::by_oid(
                crate::spi::scalar("SELECT to_regclass($1)::oid", &[store.into()]).unwrap(),
            )
            .unwrap();
            let store = options::find(RegClass(table.oid)).unwrap();
            let at = |day: u8| {
                TimestampWithTimeZone::with_timezone(2026, 3, day, 0, 0, 0.0, "UTC").unwrap()
            };
            let query = Query {
                metric: "cpu",
                tags: json!({}),
                from: Some(at(29)),
                to: Some(at(30)),
                bucket: Some(Interval::from_hours(1)),
                agg: "avg",
                fill: None,
            };
            for agg in [Aggregate::Avg, Aggregate::Rate] {
                let plan = Spi::connect(|client| {
                    client
                        .select(
                            &format!(
                                "EXPLAIN (COSTS OFF) {}",
                                statement(&store, &query, agg, false)
                            ),
                            None,
                            &[
                                vec![1_i64, 2, 3].into(),
                                at(29).into(),
                                at(30).into(),
                                Interval::from_hours(1).into(),
                            ],
                        )
                        .unwrap()
                        .filter_map(|row| row.get::<String>(1).unwrap())
                        .collect::<Vec<_>>()
                        .join("\n")
                });
                let chunks = all(&format!(
                    "SELECT c.relname FROM lake.chunks k JOIN pg_class c ON c.oid = k.chunk
                     WHERE k.store = '{}'::regclass AND k.rows > 0 ORDER BY k.range_start",
                    store.relation
                ));
                let chunks: Vec<&str> =
                    chunks.split(' ').map(|c| c.trim_matches(['(', ')'])).collect();
                assert_eq!(chunks.len(), 3, "{chunks:?}");
                let read: Vec<bool> = chunks.iter().map(|c| plan.contains(*c)).collect();
                assert_eq!(read, [false, true, false], "{engine}: {plan}");
            }
        });
    }
}
