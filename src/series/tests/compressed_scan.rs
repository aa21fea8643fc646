//! The scan of compressed chunks: the same rows as a plain twin under every condition, and no more read than
//! is needed.

use super::compressed_twins::{same, stores};
use super::helpers::{run, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;

    const CONDITIONS: [&str; 52] = [
        "true",
        "false",
        "host = 3",
        "host = 3::int2",
        "3::int8 = host",
        "host = 99",
        "host < 1",
        "host <= 1",
        "2 < host",
        "host > 5 AND host < 3",
        "host = NULL",
        "host IS NULL",
        "host = ANY ('{1,5}')",
        "host = ANY ('{}'::int4[])",
        "host = ANY (ARRAY[NULL, 2, 900])",
        "host = ANY (NULL::int4[])",
        "host <> 3",
        "host <> ALL ('{1,2}')",
        "host < ANY ('{1,2}')",
        "host IN (1, 99) AND ts < '2026-01-05Z'",
        "small = -150",
        "small > 140::int8",
        "small IS NULL",
        "small < (-32768)::int2",
        "big = 4999999999995",
        "big > 9223372036854775807",
        "big < -9223372036854775807 - 1",
        "big >= 5999000000000000",
        "day = 'infinity'",
        "day > '2026-01-20'",
        "day < '2026-01-02'::timestamptz",
        "clock BETWEEN '03:00' AND '03:05'",
        "clock = '24:00'",
        "local < '2026-01-06'",
        "local > 'infinity'",
        "ts >= '2026-01-10Z' AND ts < '2026-01-10 01:00Z'",
        "ts > '-infinity' AND ts < 'infinity'",
        "ts::date = '2026-01-10'",
        "late = 7",
        "late = 8",
        "late > 40",
        "words IS NULL AND host = 1",
        "note = 'n7'",
        "note = 'n7'::varchar",
        "note = ANY ('{n1,nothing}')",
        "note < 'n2' AND host = 1",
        "label = 'h3'",
        "label = 'h3' COLLATE \"C\"",
        "'h9' = label",
        "label = ANY ('{h1,h2,NULL}') AND note = 'n1'",
        "note = 'n7' AND host = 2",
        "value = 'NaN' AND host = 2 OR ts = '2026-01-03Z'",
    ];

    #[pg_test]
    fn every_condition_finds_the_same_rows() {
        stores();
        for condition in CONDITIONS {
            same(&format!(
                "SELECT count(*), count(small), sum(big), min(local), max(words), sum(late), string_agg(DISTINCT note, ',') FROM TABLE_ WHERE {condition}"
            ));
            same(&format!("SELECT count(*) FROM TABLE_ WHERE {condition}"));
            same(&format!(
                "SELECT host, max(ts) FROM TABLE_ WHERE NOT ({condition}) GROUP BY host ORDER BY host"
            ));
        }
    }

    #[pg_test]
    fn rows_come_whole_or_in_part_and_in_every_kind_of_plan() {
        stores();
        for query in [
            "SELECT * FROM TABLE_ WHERE big % 977 = 0 ORDER BY ts, host",
            "SELECT t::text FROM TABLE_ t WHERE host = 3 AND small = 7 ORDER BY 1",
            "SELECT note, words, late FROM TABLE_ WHERE ts < '2026-01-01 00:10Z' ORDER BY ts",
            "SELECT tableoid::regclass::text <> '' , count(*) FROM TABLE_ GROUP BY 1",
            "SELECT ts, host FROM TABLE_ ORDER BY ts DESC, host LIMIT 10",
            "SELECT ts, note FROM TABLE_ WHERE host = 2 ORDER BY ts LIMIT 7 OFFSET 3",
            "SELECT ts FROM TABLE_ WHERE small > 148 ORDER BY ts DESC LIMIT 5",
            "SELECT ts + interval '1 day', big FROM TABLE_ WHERE host = 5 ORDER BY ts DESC, big LIMIT 4",
            "SELECT big FROM TABLE_ ORDER BY ts AT TIME ZONE 'UTC', big + 1 LIMIT 4",
            "SELECT min(ts AT TIME ZONE 'UTC'), max(small + 0) FROM TABLE_",
            "SELECT DISTINCT ON (host) host, ts FROM TABLE_ ORDER BY host, ts DESC LIMIT 3",
            "SELECT small, ts FROM TABLE_ ORDER BY small NULLS FIRST, ts LIMIT 20",
            "SELECT h, t FROM generate_series(0, 8) h LEFT JOIN LATERAL (SELECT ts AS t FROM TABLE_ WHERE host = h ORDER BY ts DESC LIMIT 1) l ON true ORDER BY h",
            "SELECT ts, lag(note) OVER (ORDER BY ts) FROM TABLE_ WHERE host = 4 ORDER BY ts LIMIT 20 OFFSET 5000",
            // Once for each outer row, with what that has.
            "SELECT h, (SELECT count(*) FROM TABLE_ WHERE host = h) FROM generate_series(-1, 8) h ORDER BY h",
            "SELECT h, d, c FROM generate_series(0, 2) h, generate_series(0, 3) d, \
                 LATERAL (SELECT count(*) AS c FROM TABLE_ WHERE host = h AND ts >= '2026-01-03Z'::timestamptz + d * interval '9 days' OFFSET 0) l ORDER BY h, d",
            "SELECT count(*) FROM TABLE_ WHERE host = (SELECT min(host) + 2 FROM TABLE_)",
            "SELECT a.ts FROM TABLE_ a JOIN TABLE_ b ON a.ts = b.ts - interval '7 minutes' WHERE a.host = 1 AND b.small = 12 ORDER BY 1",
            "SELECT count(*) FROM TABLE_ WHERE ts > now() - interval '1000 years' AND host = 1",
            "WITH RECURSIVE r AS (SELECT min(ts) AS ts FROM TABLE_ UNION ALL SELECT (SELECT min(ts) FROM TABLE_ t WHERE t.ts > r.ts + interval '5 days') FROM r WHERE r.ts IS NOT NULL) SELECT * FROM r",
        ] {
            same(query);
        }
        for off in ["enable_seqscan", "enable_sort", "enable_hashagg"] {
            run(&format!("SET {off} = off"));
            same("SELECT min(ts AT TIME ZONE 'UTC'), max(small + 0), max(ts) FROM TABLE_");
            same("SELECT host, ts FROM TABLE_ WHERE host > 2 ORDER BY ts DESC LIMIT 9");
            same("SELECT host, max(ts), count(*) FROM TABLE_ GROUP BY host ORDER BY host LIMIT 3");
            run(&format!("RESET {off}"));
        }
        // With a plan that doesn't know the values; and row by row, through a cursor.
        run("SET plan_cache_mode = force_generic_plan");
        for table in ["stored", "twin"] {
            run(&format!(
                "CREATE FUNCTION q_{table}(a int4, b timestamptz, c int4[]) RETURNS text LANGUAGE plpgsql AS $$ \
                 DECLARE one record; seen text := ''; BEGIN \
                 FOR one IN SELECT ts, small FROM {table} WHERE host >= a AND ts < b AND host = ANY (c) ORDER BY ts LOOP seen := md5(seen || one); END LOOP; \
                 RETURN seen || (SELECT (count(*), sum(small)) FROM {table} WHERE host >= a AND ts < b AND host = ANY (c)); END $$"
            ));
        }
        for values in [
            "1, '2026-01-09Z', '{1,2}'",
            "NULL, '2026-01-09Z', '{1}'",
            "6, 'infinity', '{6}'",
            "0, '2026-01-02Z', NULL",
            "0, '2026-01-02Z', '{}'",
        ] {
            same(&format!("SELECT q_TABLE_({values})"));
        }
    }

    /// A line of EXPLAIN ANALYZE, as a number.
    fn figure(query: &str, label: &str) -> i64 {
        text(&format!(
            "SELECT sum((p #>> '{{}}')::int8)::text FROM (SELECT lake_plan('{}') AS plan) e, jsonb_path_query(e.plan, 'strict $.**.\"{label}\"') p",
            query.replace('\'', "''")
        ))
        .map_or(-1, |n| n.parse().unwrap())
    }

    #[pg_test]
    fn no_more_is_read_than_can_be_asked_for() {
        stores();
        run("CREATE FUNCTION lake_plan(sql text) RETURNS jsonb LANGUAGE plpgsql AS $$ \
             DECLARE plan jsonb; BEGIN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT JSON) ' || sql INTO plan; RETURN plan; END $$");
        let both = |query: &str| (figure(query, "Batches Read"), figure(query, "Batches Skipped"));
        let (batches, none) = both("SELECT * FROM stored");
        assert!(batches > 10 && none == 0, "{batches} {none}");
        let (read, skipped) = both("SELECT * FROM stored WHERE host = 3");
        assert!(read == 2 && read + skipped == batches, "{read} {skipped}");
        let (read, skipped) = both(
            "SELECT * FROM stored WHERE host = 3 AND ts >= '2026-01-10Z' AND ts < '2026-01-10 01:00Z'",
        );
        assert_eq!((read, skipped), (1, batches - 1));
        let (read, skipped) = both("SELECT * FROM stored WHERE label = 'h3'");
        assert!(read == 2 && skipped == batches - 2, "{read} {skipped}");
        assert_eq!(both("SELECT * FROM stored WHERE note = 'n3'"), (batches, 0));
        assert_eq!(both("SELECT * FROM stored WHERE host = 99"), (0, batches));
        assert_eq!(both("SELECT * FROM stored WHERE host IS NULL OR host = 1"), (batches, 0));
        assert_eq!(both("SELECT ctid FROM stored"), (-1, -1), "a plain scan");
        // The last rows are in the last chunk: others aren't begun.
        run("SELECT lake.series_compress_chunk('c_2')");
        let (read, skipped) = both("SELECT * FROM stored WHERE host = 3 ORDER BY ts DESC LIMIT 5");
        assert!((1..4).contains(&read) && skipped > 1, "{read} {skipped}");
        let (read, skipped) =
            both("SELECT * FROM stored WHERE host = 3 AND ts < '2026-01-31Z' ORDER BY ts LIMIT 5");
        assert!((1..4).contains(&read) && skipped > 1, "{read} {skipped}");
        same("SELECT * FROM TABLE_ ORDER BY ts DESC, host, late LIMIT 20");
        // What changes or locks rows finds them by plain scans, which leave batches out as well.
        for statement in [
            "UPDATE TABLE_ SET value = 2, note = note || late WHERE host = 6 AND ts < '2026-01-02Z'",
            "UPDATE TABLE_ t SET value = 3 FROM (VALUES (1, '2026-01-11Z'::timestamptz), (2, '2026-01-12Z')) v (h, since) \
                WHERE t.host = v.h AND t.ts >= v.since AND t.ts < '2026-01-12 12:00Z'",
            "DELETE FROM TABLE_ WHERE label = 'h4' AND ts BETWEEN '2026-01-08Z' AND '2026-01-09Z'",
            "DELETE FROM TABLE_ WHERE false AND host = 1",
            "MERGE INTO TABLE_ t USING (SELECT 5 AS h) v ON t.host = v.h AND t.ts < '2026-01-01 12:00Z' WHEN MATCHED AND small > 0 THEN DELETE WHEN MATCHED THEN UPDATE SET value = 4",
        ] {
            run(&statement.replace("TABLE_", "stored"));
            run(&statement.replace("TABLE_", "twin"));
            same("SELECT * FROM TABLE_ ORDER BY ts, host, late");
        }
        let statement = "UPDATE stored SET value = 5 WHERE host = 0 AND ts = '2026-01-20 08:03Z'";
        let (read, skipped) = both(statement);
        run(&statement.replace("stored", "twin"));
        assert!(read == 1 && skipped > 5, "{read} {skipped}");
        for table in ["stored", "twin"] {
            run(&format!(
                "CREATE FUNCTION w_{table}(h int4) RETURNS int8 LANGUAGE plpgsql AS $$ DECLARE done int8 := 0; n int8; BEGIN \
                 FOR d IN 13..16 LOOP UPDATE {table} SET small = d WHERE host = h AND ts >= make_timestamptz(2026, 1, d, 0, 0, 0) AND ts < make_timestamptz(2026, 1, d, 6, 0, 0); \
                 GET DIAGNOSTICS n = ROW_COUNT; done := done + n; END LOOP; RETURN done; END $$"
            ));
        }
        same("SELECT w_TABLE_(1), w_TABLE_(NULL)");
        for table in ["stored", "twin"] {
            run(&format!(
                "UPDATE {table} SET value = 1 WHERE host = 1 AND small = 3; DELETE FROM {table} WHERE host = 2 AND ts < '2026-01-05Z'"
            ));
        }
        same("SELECT * FROM TABLE_ ORDER BY ts, host, late");
        same(
            "SELECT t.ts FROM (SELECT ts FROM TABLE_ WHERE host = 5 ORDER BY ts LIMIT 3 FOR UPDATE) t",
        );
    }
}
