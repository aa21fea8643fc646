//! Aggregates of compressed chunks: the same as of a plain twin, from no more than is needed.

use super::compressed_twins::{same, stores};
use super::helpers::{run, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;

    /// Exact ones, of every type.
    const AGGREGATES: &str = "count(*), count(small), count(words), count(note), count(flag), \
        sum(host), sum(small), sum(big), sum(late), sum(exact), avg(host), avg(small), avg(big), avg(exact), avg(single), \
        min(host), max(small), min(big), max(big), min(day), max(day), min(clock), max(clock), min(local), max(local), \
        min(ts), max(ts), min(value), max(value), min(single), max(single), min(exact), max(exact), max(late), min(late), \
        lake.last(note, ts), lake.first(small, ts), lake.last(exact, ts), lake.last(local, ts), lake.first(tag, ts), \
        lake.last(words, ts), lake.last(flag, ts), lake.first(single, ts), lake.last(day, ts), lake.first(big, ts)";

    const CONDITIONS: [&str; 24] = [
        "true",
        "host = 3",
        "host = 99",
        "host = ANY ('{1,5}') AND small > 0",
        "host IS NULL OR small < 7",
        "ts >= '2026-01-10Z' AND ts < '2026-01-10 01:00Z'",
        "ts < '2026-01-20 00:00:30Z'",
        "ts::date = '2026-01-10'",
        "value > 100.5",
        "value = 'NaN'",
        "exact >= 100 AND exact < 101.25",
        "flag",
        "NOT flag AND tag > '80000000-0000-0000-0000-000000000000'",
        "label = 'h3'",
        "label = 'h3' AND note = 'n7'",
        "note LIKE '%7' AND host < 3",
        "late = 7",
        "late > 40",
        "words IS NULL AND day = 'infinity'",
        "small % 7 = 3 AND big > 5",
        "local < '2026-01-06' OR clock > '23:50'",
        "host + late = 10",
        "now() > ts",
        "1 = 1 OR host = 2",
    ];

    const GROUPS: [&str; 15] = [
        "host",
        "label",
        "flag, host",
        "tag",
        "small",
        "date_trunc('hour', ts)",
        "host, date_trunc('day', ts)",
        "host, date_trunc('day', local)",
        "host, date_bin('37 minutes', ts, '2001-01-01Z')",
        "lake.bucket('6 hours', ts), host",
        "lake.bucket('1 month', ts, 'America/Santiago')",
        "late % 3, host",
        "extract(dow FROM ts)::int, label",
        "words",
        "ts",
    ];

    #[pg_test]
    fn aggregates_are_those_of_a_plain_table() {
        stores();
        run("SET TimeZone = 'America/St_Johns'");
        for condition in CONDITIONS {
            same(&format!("SELECT {AGGREGATES} FROM TABLE_ WHERE {condition}"));
            same(&format!(
                "SELECT host, label, {AGGREGATES} FROM TABLE_ WHERE {condition} GROUP BY host, label ORDER BY host, label"
            ));
        }
        for group in GROUPS {
            for condition in ["true", "small > 100", "host = 2 AND ts > '2026-01-30 12:00Z'"] {
                same(&format!(
                    "SELECT count(*), md5(string_agg(q::text, ' ' ORDER BY q)) FROM (SELECT {group}, {AGGREGATES} FROM TABLE_ WHERE {condition} GROUP BY {group}) q"
                ));
            }
        }
    }

    #[pg_test]
    fn aggregates_are_right_in_every_kind_of_query() {
        stores();
        for query in [
            "SELECT DISTINCT host FROM TABLE_ ORDER BY 1",
            "SELECT host FROM TABLE_ GROUP BY host HAVING sum(small) > 0 AND count(*) > 3 ORDER BY 1",
            "SELECT host + 1 AS h, sum(small) * 2 + count(*) FROM TABLE_ GROUP BY host + 1 ORDER BY 1",
            "SELECT host, sum(sum(small)) OVER (ORDER BY host) FROM TABLE_ GROUP BY host ORDER BY 1",
            "SELECT count(*) FILTER (WHERE host = 1), sum(small + 1), count(DISTINCT host) FROM TABLE_",
            "SELECT string_agg(note, ',' ORDER BY ts) FROM TABLE_ WHERE host = 1 AND ts < '2026-01-02Z'",
            "SELECT host, small, count(*) FROM TABLE_ WHERE small > 140 GROUP BY GROUPING SETS ((host), (small), ()) ORDER BY 1, 2, 3",
            "SELECT h, (SELECT sum(small) FROM TABLE_ WHERE host = h) FROM generate_series(-1, 8) h ORDER BY h",
            "SELECT h, n FROM generate_series(0, 6) h, LATERAL (SELECT count(*) AS n FROM TABLE_ WHERE host = h GROUP BY host OFFSET 0) l ORDER BY h",
            "SELECT a.host, count(*) FROM TABLE_ a JOIN TABLE_ b ON a.ts = b.ts WHERE a.small = 3 GROUP BY a.host ORDER BY 1",
            "SELECT * FROM (SELECT host, max(ts) AS last FROM TABLE_ GROUP BY host) q WHERE last > '2026-01-02Z' ORDER BY host LIMIT 3",
            "SELECT host, max(ts) FROM TABLE_ GROUP BY host UNION ALL SELECT 1, min(ts) FROM TABLE_ ORDER BY 1, 2",
            "SELECT (SELECT min(big) FROM TABLE_ WHERE host = 3), (SELECT max(ts) FROM TABLE_)",
            "SELECT tableoid::regclass::text <> '', count(*) FROM TABLE_ GROUP BY 1",
            "SELECT count(t) FROM TABLE_ t",
            "SELECT count(*) FROM TABLE_ WHERE host = (SELECT max(host) FROM TABLE_)",
            "SELECT variance(small), avg(small) FROM TABLE_",
            "SELECT sum(value)::text <> '', avg(value)::text FROM TABLE_",
            "SELECT abs(sum(value) - 66666666.6) < 100000000 FROM TABLE_ WHERE value <> 'NaN'",
            "WITH s AS MATERIALIZED (SELECT * FROM TABLE_) SELECT host, count(*) FROM s GROUP BY host ORDER BY 1",
        ] {
            same(query);
        }
        // The table's number is the only system column that there is.
        let counts = |table: &str| text(&format!("SELECT count(*) FROM {table}")).unwrap();
        let (first, second) = (counts("c_1"), counts("c_2"));
        assert_eq!(
            super::super::helpers::all(
                "SELECT tableoid::regclass, count(*) FROM stored GROUP BY tableoid ORDER BY 1"
            ),
            format!("(c_1,{first}) (c_2,{second})")
        );
        assert_eq!(
            text("SELECT count(*) FROM stored WHERE tableoid = 'c_1'::regclass"),
            Some(first)
        );
        // Groups that take more memory than a hash table may are returned in several parts.
        run("SET work_mem = '64kB'; SET hash_mem_multiplier = 1");
        same(
            "SELECT count(*), sum(n), sum(s) FROM (SELECT ts, host, count(*) AS n, sum(small) AS s FROM TABLE_ GROUP BY ts, host) q",
        );
        run("RESET work_mem; SET plan_cache_mode = force_generic_plan");
        for table in ["stored", "twin"] {
            run(&format!(
                "PREPARE q_{table}(int4, timestamptz, text) AS SELECT date_trunc($3, ts), count(*), sum(small) FROM {table} WHERE host = $1 AND ts < $2 GROUP BY 1 ORDER BY 1"
            ));
            run(&format!(
                "CREATE FUNCTION q_{table}(h int4, t timestamptz) RETURNS text LANGUAGE plpgsql AS $$ DECLARE found text; BEGIN \
                 SELECT string_agg(q::text, ' ') INTO found FROM (SELECT date_trunc('day', ts), count(*), avg(exact) FROM {table} WHERE host = h AND ts < t GROUP BY 1 ORDER BY 1) q; RETURN found; END $$"
            ));
        }
        for values in ["1, '2026-01-09Z'", "3, 'infinity'", "NULL, 'infinity'", "9, '-infinity'"] {
            same(&format!("SELECT q_TABLE_({values})"));
        }
    }

    fn plan(query: &str) -> String {
        let query = query.replace('\'', "''");
        text(&format!("SELECT lake_plan('{query}')")).unwrap()
    }

    #[pg_test]
    fn statistics_answer_what_they_can() {
        stores();
        run("CREATE FUNCTION lake_plan(sql text) RETURNS text LANGUAGE plpgsql AS $$ \
             DECLARE line text; plan text := ''; BEGIN FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || sql LOOP plan := plan || line || E'\\n'; END LOOP; RETURN plan; END $$");
        for (query, answered) in [
            (
                "SELECT count(*), avg(exact), max(big), min(single), sum(host), count(note) FROM stored",
                true,
            ),
            ("SELECT count(*), sum(small) FROM stored WHERE ts < '2026-02-01Z'", true),
            ("SELECT lake.last(big, ts), lake.first(single, ts) FROM stored", true),
            ("SELECT tag, max(ts) FROM stored GROUP BY tag", false),
            ("SELECT count(*) FROM stored WHERE value > 3", false),
            ("SELECT label, count(*) FROM stored GROUP BY label", false),
        ] {
            let plan = plan(query);
            assert!(plan.contains("LakeChunkAggregate"), "{plan}");
            assert_eq!(plan.contains("Batches Read: 0"), answered, "{plan}");
        }
        let found = plan("SELECT count(*) FROM stored WHERE host = 3 AND value > 7");
        assert!(found.contains("Filter: (") && found.contains("(host = 3)"), "{found}");
        for query in [
            "SELECT sum(small + 1) FROM stored",
            "SELECT count(DISTINCT host) FROM stored",
            "SELECT count(*) FROM stored WHERE random() < 2",
            "SELECT value, count(*) FROM stored WHERE host = 1 GROUP BY value",
        ] {
            let plan = plan(query);
            assert!(!plan.contains("LakeChunkAggregate"), "{plan}");
        }
    }

    #[pg_test]
    fn row_level_security_and_overflow_are_as_ever() {
        stores();
        run("CREATE ROLE one_host; GRANT SELECT ON stored, twin TO one_host");
        for table in ["stored", "twin"] {
            run(&format!(
                "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON {table} USING (host = 3)"
            ));
        }
        run("SET ROLE one_host");
        same("SELECT count(*), sum(small) FROM TABLE_");
        same("SELECT label, count(*) FROM TABLE_ GROUP BY label ORDER BY 1");
        run("RESET ROLE");
        for (table, value) in
            [("large", "1e308"), ("endless", "CASE i WHEN 7 THEN 'infinity'::float8 ELSE 1 END")]
        {
            run(&format!(
                "CREATE TABLE {table} (ts timestamptz NOT NULL, v float8) PARTITION BY RANGE (ts); \
                 CREATE TABLE {table}_1 PARTITION OF {table} FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z'); \
                 INSERT INTO {table} SELECT '2026-01-01Z'::timestamptz + i * interval '1 s', {value} FROM generate_series(1, 5000) i; \
                 SELECT lake.series_adopt('{table}', 'ts'); SELECT lake.series_compress_chunk('{table}_1')"
            ));
        }
        let (state, message) = super::super::helpers::failure("SELECT sum(v) FROM large");
        assert_eq!((state.as_str(), message.as_str()), ("22003", "value out of range: overflow"));
        assert_eq!(
            text("SELECT (sum(v), avg(v), max(v)) FROM endless").as_deref(),
            Some("(Infinity,Infinity,Infinity)")
        );
    }
}
