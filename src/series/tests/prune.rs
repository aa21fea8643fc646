//! What is read for conditions on buckets: no more than they need, and never less.

use super::helpers::{Dice, all, on_each, run, text};
use pgrx::prelude::*;

const BUCKETS: [&str; 5] = [
    "lake.bucket('1 hour', ts, 'UTC')",
    "lake.bucket('45 minutes', ts, 'America/Havana')",
    "lake.bucket('1 day', ts, 'Australia/Lord_Howe', '2026-03-01 05:30Z')",
    "lake.bucket('1 month', ts)",
    "lake.bucket('1 month', lake.bucket('1 day', ts, 'Europe/Berlin'), 'Europe/Berlin')",
];

/// Four days of points, a minute apart.
fn points() {
    run("SELECT lake.series_ingest('s', array_agg(t), array_agg('m'::text), NULL, array_agg(extract(epoch FROM t)::float8))
         FROM generate_series('2026-01-01'::timestamptz, '2026-01-04 23:59', '1 minute') t");
}

/// How many rows the scans of a query have met, those that a filter took away included.
fn rows_read(sql: &str) -> i64 {
    run("CREATE OR REPLACE FUNCTION pg_temp.plan(sql text) RETURNS jsonb LANGUAGE plpgsql AS $$
         DECLARE plan json; BEGIN EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ' || sql INTO plan; RETURN plan; END $$");
    let sql = format!(
        "SELECT coalesce(sum(((n->>'Actual Rows')::float8 + coalesce((n->>'Rows Removed by Filter')::float8, 0))
                             * (n->>'Actual Loops')::float8), 0)::int8
         FROM jsonb_path_query(pg_temp.plan({}), 'strict $.**') n
         WHERE n->>'Node Type' LIKE '%Scan' AND n->>'Node Type' <> 'Custom Scan' AND n->>'Relation Name' !~ 'rollup'",
        crate::names::literal(sql)
    );
    text(&sql).unwrap().parse().unwrap()
}

#[pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn an_hour_of_a_rollup_never_refreshed_computes_an_hour() {
        on_each(|engine| {
            points();
            run("SELECT lake.series_add_rollup('s', 'hourly', '1 hour', '{sum,count}');
                 SELECT lake.series_add_rollup('hourly', 'six', '6 hours', '{sum,count}');
                 ANALYZE s");
            for (condition, view, most) in [
                ("bucket = '2026-01-02 03:00Z'", "hourly", 60),
                ("bucket >= '2026-01-02 03:00Z' AND bucket < '2026-01-02 04:00Z'", "hourly", 60),
                ("'2026-01-02 06:00Z' <= bucket AND '2026-01-02 06:00Z' >= bucket", "six", 360),
                ("bucket > '2026-01-04 22:00Z'", "hourly", 60),
            ] {
                let sql = format!("SELECT bucket, sum, count FROM {view} WHERE {condition}");
                // By condition; whole chunks where no index on time helps.
                let read = rows_read(&sql);
                assert!(read <= 1440, "{engine}: {sql} reads {read} rows");
                let answer = all(&sql);
                assert!(answer.ends_with(&format!(",{most})")), "{answer}");
            }
            // The others are computed as ever.
            assert_eq!(text("SELECT sum(count) FROM six").as_deref(), Some("5760"));
        });
    }

    #[pg_test]
    fn conditions_on_buckets_mean_the_same_as_without() {
        run("CREATE TABLE t (ts timestamptz, n int);
             INSERT INTO t SELECT ts, 0 FROM generate_series('2026-03-01'::timestamptz, '2026-11-15', '3 hours 7 minutes') ts
             UNION ALL VALUES ('infinity'::timestamptz, 1), ('-infinity', 2), (NULL, 3), ('2026-04-04 15:00Z', 4), ('294276-12-31 23:59:59.999999Z', 5),
                              ('4713-01-01 00:00:00+00 BC', 6), ('2026-11-01 05:00Z', 7), ('2026-11-01 04:59:59.999999Z', 8);
             CREATE INDEX ON t (ts)");
        let mut dice = Dice(7);
        let bounds = [
            "'infinity'",
            "'-infinity'",
            "NULL",
            "'294276-12-31 23:00Z'",
            "'4713-01-01 00:00:00+00 BC'",
            "'2026-11-01 05:00Z'",
        ];
        for zone in ["UTC", "America/Havana"] {
            run(&format!("SET LOCAL TimeZone = '{zone}'"));
            for bucket in BUCKETS {
                // The first instants of all have no month before them in which they could begin.
                let of = "SELECT * FROM t WHERE n <> 6 OFFSET 0";
                for operator in ["<", "<=", "=", ">=", ">"] {
                    for round in 0..10 {
                        let bound = match (bounds.get(round), round) {
                            (Some(bound), _) => format!("{bound}::timestamptz"),
                            // Edges of buckets and others.
                            (None, 6 | 7) => text(&format!(
                                "SELECT quote_literal(b) || '::timestamptz' FROM (SELECT {bucket} FROM (SELECT '2026-04-01'::timestamptz + {} * interval '1 hour' AS ts) o) o (b)",
                                dice.below(5000)
                            )).unwrap(),
                            (None, _) => format!("'2026-03-20'::timestamptz + {} * interval '1 minute'", dice.below(300_000)),
                        };
                        let condition = format!("{bucket} {operator} {bound}");
                        // With the bucket as a column of rows that are all read first, nothing is implied.
                        let expected = all(&format!(
                            "SELECT ts, n FROM (SELECT ts, n, {bucket} AS b FROM ({of}) t OFFSET 0) o WHERE b {operator} {bound} ORDER BY ts, n"
                        ));
                        let found = all(&format!(
                            "SELECT ts, n FROM t WHERE n <> 6 AND {condition} ORDER BY ts, n"
                        ));
                        assert_eq!(found, expected, "{zone}: {condition}");
                    }
                }
            }
        }
    }

    /// Neither what differs from row to row nor what differs each time it is asked.
    #[pg_test]
    fn nothing_is_implied_by_what_is_not_fixed() {
        run("CREATE TABLE t (ts timestamptz, other timestamptz);
             INSERT INTO t SELECT t, t - interval '1 hour' FROM generate_series('2026-01-01'::timestamptz, '2026-01-02', '10 minutes') t");
        let plan = |condition: &str| {
            text(&format!(
                "SELECT string_agg(l, ' ') FROM pg_temp.lines({}) l",
                crate::names::literal(&format!("SELECT FROM t WHERE {condition}"))
            ))
            .unwrap()
        };
        run("CREATE FUNCTION pg_temp.lines(sql text) RETURNS SETOF text LANGUAGE plpgsql AS $$
             BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || sql; END $$");
        assert!(plan("lake.bucket('1 hour', ts, 'UTC') > now()").contains("(ts > now())"));
        assert!(plan("lake.bucket('1 hour', ts, 'UTC') > '2026-01-01'::date").contains("(ts > "));
        for condition in [
            "lake.bucket('1 hour', ts, 'UTC') > other",
            "lake.bucket('1 hour', ts, 'UTC') > clock_timestamp()",
            "lake.bucket('1 hour', ts, 'UTC') <> now()",
            "lake.bucket(other - other, ts, 'UTC') > now()",
            "(lake.bucket('1 hour', ts, 'UTC') > now() OR ts IS NULL)",
            "lake.bucket('1 hour', ts + interval '1 day', 'UTC') > now()",
        ] {
            let plan = plan(condition);
            assert!(!plan.contains("(ts > ") && !plan.contains("bucket_last"), "{plan}");
        }
    }
}
