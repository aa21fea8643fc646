//! `lake.series_query` with random arguments on random data, against slow and obvious SQL.

use super::helpers::{Dice, all, on_both, run};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;

    /// Bucket, and the start of the one that holds `ts`, by the server's own functions.
    const BUCKETS: [(&str, &str); 5] = [
        ("15 minutes", "date_bin('15 minutes', ts, '2000-01-03 00:00+00')"),
        ("1 hour", "date_bin('1 hour', ts, '2000-01-03 00:00+00')"),
        ("1 day", "date_trunc('day', ts)"),
        ("1 week", "date_trunc('week', ts)"),
        ("1 month", "date_trunc('month', ts)"),
    ];

    /// Aggregates over the rows of a bucket, which know of the row before and of the next.
    const AGGREGATES: [(&str, &str); 13] = [
        ("avg", "sum(value) / count(*)"),
        ("min", "(array_agg(value ORDER BY value))[1]"),
        ("max", "(array_agg(value ORDER BY value DESC))[1]"),
        ("sum", "sum(value)"),
        ("count", "count(*)"),
        ("first", "(array_agg(value ORDER BY ts))[1]"),
        ("last", "(array_agg(value ORDER BY ts DESC))[1]"),
        ("increase", "sum(step)"),
        ("rate", "sum(step) / sum(seconds)"),
        ("p50", "percentile_cont(0.5) WITHIN GROUP (ORDER BY value)"),
        ("p95", "percentile_cont(0.95) WITHIN GROUP (ORDER BY value)"),
        ("p99", "percentile_cont(0.99) WITHIN GROUP (ORDER BY value)"),
        (
            "time_weighted_avg",
            "CASE WHEN count(*) = 1 THEN min(value) ELSE sum(area) / nullif(sum(held), 0) END",
        ),
    ];

    const FILLS: [(&str, &str); 5] = [
        ("NULL", ""),
        ("'null'", "g.v"),
        ("'7.5'", "coalesce(g.v, 7.5)"),
        ("'previous'", "coalesce(g.v, b.v)"),
        (
            "'linear'",
            "coalesce(g.v, b.v + (a.v - b.v) * extract(epoch FROM s.bucket - b.bucket)::float8
                                             / extract(epoch FROM a.bucket - b.bucket)::float8)",
        ),
    ];

    fn slow(
        store: &str,
        bucket: (&str, &str),
        agg: &str,
        fill: &str,
        from: &str,
        to: &str,
    ) -> String {
        let (width, start) = bucket;
        let first = start.replace(" ts", &format!(" '{from}'::timestamptz"));
        let grouped = format!(
            "WITH p AS MATERIALIZED (SELECT {start} AS bucket, host, ts, value FROM raw_{store} WHERE ts >= '{from}' AND ts < '{to}'),
                  q AS MATERIALIZED (
                      SELECT p.*, CASE WHEN value < before THEN value ELSE value - before END AS step,
                             extract(epoch FROM ts - ts_before)::float8 AS seconds,
                             extract(epoch FROM ts_after - ts)::float8 AS held,
                             value * extract(epoch FROM ts_after - ts)::float8 AS area
                      FROM p
                      LEFT JOIN LATERAL (SELECT o.value AS before, o.ts AS ts_before FROM p o
                                         WHERE o.host = p.host AND o.ts < p.ts ORDER BY o.ts DESC LIMIT 1) b ON true
                      LEFT JOIN LATERAL (SELECT o.ts AS ts_after FROM p o
                                         WHERE o.host = p.host AND o.bucket = p.bucket AND o.ts > p.ts ORDER BY o.ts LIMIT 1) a ON true),
                  g AS MATERIALIZED (SELECT bucket, host, {agg} AS v FROM q GROUP BY 1, 2)"
        );
        if fill.is_empty() {
            return format!(
                "{grouped} SELECT host, bucket, round(v::numeric, 5) FROM g ORDER BY 1, 2"
            );
        }
        format!(
            "{grouped} SELECT h.host, s.bucket, round(({fill})::numeric, 5)
             FROM generate_series({first}, '{to}'::timestamptz - interval '1 microsecond', '{width}') s(bucket)
             CROSS JOIN (SELECT DISTINCT host FROM p) h
             LEFT JOIN g USING (bucket, host)
             LEFT JOIN LATERAL (SELECT v, o.bucket FROM g o WHERE o.host = h.host AND o.bucket < s.bucket AND v IS NOT NULL
                                ORDER BY o.bucket DESC LIMIT 1) b ON true
             LEFT JOIN LATERAL (SELECT v, o.bucket FROM g o WHERE o.host = h.host AND o.bucket > s.bucket AND v IS NOT NULL
                                ORDER BY o.bucket LIMIT 1) a ON true
             ORDER BY 1, 2"
        )
    }

    #[pg_test]
    fn random_queries_equal_slow_sql() {
        on_both("{}", |engine, store| {
            // Ten days round the night in which clocks are put back, with holes.
            run(&format!(
                "SELECT setseed(0.75);
                 CREATE TABLE raw_{store} AS
                 SELECT DISTINCT ON (host, ts) host, ts, (random() * 400)::int / 4.0::float8 AS value
                 FROM (SELECT 'h' || (random() * 2)::int AS host,
                              '2026-10-20 00:00+00'::timestamptz + (power(random(), 2) * 10 * 86400)::int * interval '1 s' AS ts
                       FROM generate_series(1, 300)) r;
                 SELECT lake.series_ingest('{store}', array_agg(ts), array_agg('cpu'::text),
                        array_agg(jsonb_build_object('host', host)), array_agg(value)) FROM raw_{store}"
            ));
            let mut dice = Dice(if engine == "native" { 1 } else { 2 });
            for round in 0..60 {
                let zone = dice.pick(&["UTC", "Europe/Berlin", "America/New_York"]);
                run(&format!("SET LOCAL TimeZone = '{zone}'"));
                let bucket = dice.pick(&BUCKETS);
                let agg = dice.pick(&AGGREGATES);
                let fill = dice.pick(&FILLS);
                let from = format!(
                    "2026-10-{:02} {:02}:{:02}:00+00",
                    19 + dice.below(6),
                    dice.below(24),
                    dice.below(60)
                );
                let to = format!(
                    "2026-10-{:02} {:02}:{:02}:00+00",
                    25 + dice.below(6),
                    dice.below(24),
                    dice.below(60)
                );
                let asked = format!("{zone} {} {} {} {from} {to}", bucket.0, agg.0, fill.0);
                let fast = all(&format!(
                    "SELECT tags ->> 'host' AS host, ts, round(value::numeric, 5)
                     FROM lake.series_query('{store}', 'cpu', '{{}}', '{from}', '{to}', '{}', '{}', {}) ORDER BY 1, 2",
                    bucket.0, agg.0, fill.0
                ));
                assert_eq!(
                    fast,
                    all(&slow(store, bucket, agg.1, fill.1, &from, &to)),
                    "{engine}, round {round}: {asked}"
                );
            }
        });
    }

    /// Where the range is given, buckets of one length are counted by `date_bin`; else `lake.bucket` says
    /// where each point belongs.
    #[pg_test]
    fn buckets_are_the_same_with_and_without_a_range() {
        on_both("{\"max_future\": null}", |_, store| {
            run(&format!(
                "SELECT setseed(0.1);
                 SELECT i.* FROM (SELECT array_agg('2026-01-01 00:00+00'::timestamptz + (random() * 365 * 86400)::int * interval '1 s') AS ts,
                                         array_agg('m'::text) AS metric, array_agg(random() * 100) AS value FROM generate_series(1, 300)) b,
                      lake.series_ingest('{store}', b.ts, b.metric, NULL, b.value) i"
            ));
            for zone in [
                "UTC",
                "Europe/Berlin",
                "Asia/Kathmandu",
                "Australia/Lord_Howe",
                "America/St_Johns",
                "Africa/Casablanca",
            ] {
                run(&format!("SET LOCAL TimeZone = '{zone}'"));
                for width in ["7 minutes", "30 minutes", "1 hour", "2 hours", "1 day", "3 days"] {
                    let asked = |range: &str| {
                        all(&format!(
                            "SELECT ts, value FROM lake.series_query('{store}', 'm', bucket => '{width}', agg => 'count'{range})"
                        ))
                    };
                    assert_eq!(
                        asked(
                            ", from_ts => '2025-12-31 11:17:13+00', to_ts => '2027-01-01 00:00+00'"
                        ),
                        asked(""),
                        "{zone} {width}"
                    );
                }
            }
        });
    }
}
