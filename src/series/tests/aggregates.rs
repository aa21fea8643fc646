//! Aggregates against the obvious way in SQL, alone and in parallel.

use super::helpers::{all, failure, run, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;

    /// 40,000 samples of eight counters with restarts, in no order.
    fn samples() {
        run("CREATE TABLE samples AS SELECT g AS host, \
                 '2026-01-01 00:00+00'::timestamptz + i * interval '7 seconds' + (i * 37 % 5) * interval '1 second' AS ts, \
                 (i * (g + 1) % 977)::float8 AS value \
             FROM generate_series(1, 8) g, generate_series(1, 5000) i ORDER BY md5(g || '-' || i); \
             ANALYZE samples");
    }

    fn in_parallel() {
        run("SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL parallel_setup_cost = 0; \
             SET LOCAL parallel_tuple_cost = 0; SET LOCAL max_parallel_workers_per_gather = 4");
    }

    const STEPS: &str = "SELECT host, value, lag(value) OVER w AS before, ts, \
         extract(epoch FROM lead(ts) OVER w - ts) AS seconds FROM samples WINDOW w AS (PARTITION BY host ORDER BY ts, value)";

    #[pg_test]
    fn counters_and_averages_are_what_sql_says() {
        samples();
        let ours = "SELECT host, round(lake.increase(value, ts)::numeric, 6) AS i, round(lake.rate(value, ts)::numeric, 6) AS r, \
                    round(lake.time_weighted_avg(value, ts)::numeric, 6) AS a FROM samples GROUP BY host ORDER BY host";
        let truth = format!(
            "SELECT host, round(sum(CASE WHEN value < before THEN value ELSE value - before END)::numeric, 6) AS i, \
                    round((sum(CASE WHEN value < before THEN value ELSE value - before END) \
                           / extract(epoch FROM max(ts) - min(ts))::float8)::numeric, 6) AS r, \
                    round((sum(value * seconds) / sum(seconds))::numeric, 6) AS a \
             FROM ({STEPS}) s GROUP BY host ORDER BY host"
        );
        assert_eq!(all(ours), all(&truth));
        in_parallel();
        assert_eq!(all(ours), all(&truth));
    }

    #[pg_test]
    fn nulls_and_few_samples() {
        assert_eq!(
            all(
                "SELECT lake.increase(v, t), lake.rate(v, t), lake.time_weighted_avg(v, t), lake.downsample_lttb(t, v, 2) \
                 FROM (VALUES (NULL::float8, now()), (1, NULL)) s(v, t)"
            ),
            "(,,,)"
        );
        assert_eq!(
            all(
                "SELECT lake.increase(v, t), lake.rate(v, t), lake.time_weighted_avg(v, t) FROM (VALUES (5::float8, now())) s(v, t)"
            ),
            "(,,5)"
        );
        assert_eq!(failure("SELECT lake.rate(1, 'infinity')").0, "22023");
    }

    #[pg_test]
    fn lttb_keeps_the_ends_and_the_spike() {
        run(
            "CREATE TABLE wave AS SELECT '2026-01-01 00:00+00'::timestamptz + i * interval '1 second' AS ts, \
                 CASE i WHEN 5170 THEN 500 ELSE sin(i / 50.0) END::float8 AS value FROM generate_series(1, 10000) i",
        );
        let query = "SELECT count(*), min(s.ts) = (SELECT min(ts) FROM wave), max(s.ts) = (SELECT max(ts) FROM wave), max(s.value) \
                     FROM unnest((SELECT lake.downsample_lttb(ts, value, 200) FROM wave)) s";
        assert_eq!(all(query), "(200,t,t,500)");
        in_parallel();
        assert_eq!(all(query), "(200,t,t,500)");
        assert_eq!(failure("SELECT lake.downsample_lttb(now(), 1, 0)").0, "22023");
        assert_eq!(failure("SELECT lake.downsample_lttb(now(), 1, NULL)").0, "22004");
    }

    #[pg_test]
    fn sketches_keep_their_bound_and_merge() {
        samples();
        let within = "SELECT bool_and(abs(lake.percentile(s, q) - exact) <= 0.01 * abs(exact) + 1e-9) FROM \
             (SELECT lake.percentile_sketch(value) s, array_agg(value ORDER BY value) v FROM samples) a, \
             generate_series(0, 1, 0.05) q, LATERAL (SELECT v[1 + floor(q * (array_length(v, 1) - 1))::int] AS exact) e";
        assert_eq!(text(within).as_deref(), Some("true"));
        let whole = text("SELECT lake.percentile_sketch(value) FROM samples");
        assert_eq!(
            text(
                "SELECT lake.percentile_sketch(s) FROM (SELECT lake.percentile_sketch(value) s FROM samples GROUP BY host) a"
            ),
            whole
        );
        in_parallel();
        assert_eq!(text("SELECT lake.percentile_sketch(value) FROM samples"), whole);
        assert_eq!(
            all(
                "SELECT lake.sketch_count(s), lake.percentiles(s, ARRAY[0, 1, NULL]) FROM (SELECT lake.percentile_sketch(value) s FROM samples) a"
            ),
            "(40000,\"{0,976,NULL}\")"
        );
        for (call, state) in [
            ("lake.percentile('\\x'::bytea, 0.5)", "22023"),
            ("lake.percentile('\\x0102'::bytea, 0.5)", "22023"),
            ("lake.percentile((SELECT lake.percentile_sketch(1)), 1.5)", "22023"),
            ("lake.percentile((SELECT lake.percentile_sketch(1)), 'NaN')", "22023"),
            ("lake.percentile_sketch('abc'::bytea)", "22023"),
        ] {
            assert_eq!(failure(&format!("SELECT {call}")).0, state, "{call}");
        }
    }
}
