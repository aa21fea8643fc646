//! Compressed chunks beside a plain twin: random data, random statements, equal results. And what is refused.

use super::helpers::{all, failure, run, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;

    /// A small generator (Knuth, MMIX), so that a failure comes again.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, n: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % n
        }

        fn pick<T: Copy>(&mut self, from: &[T]) -> T {
            from[self.below(from.len())]
        }
    }

    /// Types with an expression of `i` that makes values of them, some of them null.
    const COLUMNS: [(&str, &str); 16] = [
        ("bool", "CASE i % 5 WHEN 0 THEN NULL ELSE i % 3 = 0 END"),
        ("\"char\"", "(chr(65 + i % 20))::\"char\""),
        ("int2", "(i % 100 - 50)::int2"),
        ("int4", "nullif(i % 11, 3)"),
        ("int8", "i::int8 * 10000000000 - 5"),
        ("float4", "CASE i % 9 WHEN 0 THEN 'NaN' WHEN 1 THEN '-0' ELSE i / 3.0 END::float4"),
        ("float8", "CASE i % 9 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' ELSE i / 7.0 END::float8"),
        ("numeric(12, 3)", "i * 1.125"),
        (
            "text",
            "CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE repeat(md5(i::text), 1 + i % 200) END",
        ),
        ("text", "'h' || i % 6"),
        ("jsonb", "jsonb_build_object('a', i, 'b', ARRAY[i, NULL])"),
        ("uuid", "md5(i::text)::uuid"),
        ("interval", "i * interval '1 day 3 seconds'"),
        ("int4[]", "ARRAY[i, NULL, i % 2]"),
        ("date", "CASE i % 50 WHEN 0 THEN 'infinity' ELSE date '2026-01-01' + i END"),
        ("name", "('n' || i)::name"),
    ];

    /// Runs a statement in a subtransaction: how many rows it had, or its SQLSTATE.
    fn outcome(sql: &str) -> String {
        if text("SELECT to_regprocedure('pg_temp.outcome(text)')").is_none() {
            run("CREATE FUNCTION pg_temp.outcome(sql text) RETURNS text LANGUAGE plpgsql AS $$
                 DECLARE n int8; BEGIN EXECUTE sql; GET DIAGNOSTICS n = ROW_COUNT; RETURN n;
                 EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$");
        }
        let sql = sql.replace('\'', "''");
        text(&format!("SELECT pg_temp.outcome('{sql}')")).unwrap_or_default()
    }

    const CHUNKS: [&str; 3] = ["c_1", "c_2", "c_3"];

    /// The same statement on store and twin; where compression refuses it, on plain chunks.
    fn both(sql: &str) {
        let plain = outcome(&sql.replace("TABLE_", "twin"));
        let mut found = outcome(&sql.replace("TABLE_", "stored"));
        if found == "0A000" && plain != "0A000" {
            for chunk in CHUNKS {
                run(&format!("SELECT lake.series_decompress_chunk('{chunk}')"));
            }
            found = outcome(&sql.replace("TABLE_", "stored"));
        }
        assert_eq!(found, plain, "{sql}");
    }

    fn same(what: &str) {
        let rows = |table: &str| {
            all(&format!("SELECT t::text FROM {table} t ORDER BY t::text COLLATE \"C\""))
        };
        assert_eq!(rows("stored"), rows("twin"), "{what}");
    }

    fn rows_of(columns: &[(&str, &str)], from: usize, to: usize, step: usize) -> String {
        let values: Vec<_> = columns.iter().map(|c| c.1).collect();
        format!(
            "SELECT timestamptz '2026-01-01 00:00Z' + i * interval '37 minutes', i % 5, {} \
             FROM generate_series({from}, {to}, {step}) i",
            values.join(", ")
        )
    }

    fn random_run(seed: u64) {
        let mut dice = Dice(seed);
        let columns: Vec<_> = (0..1 + dice.below(8)).map(|_| dice.pick(&COLUMNS)).collect();
        let list: Vec<_> =
            columns.iter().enumerate().map(|(at, c)| format!("v{at} {}", c.0)).collect();
        let key = dice.pick(&["", ", PRIMARY KEY (ts, host)", ", UNIQUE (host, ts)"]);
        let table = format!("ts timestamptz NOT NULL, host int4, {}{key}", list.join(", "));
        run(&format!("CREATE TABLE twin ({table})"));
        run(&format!("CREATE TABLE stored ({table}) PARTITION BY RANGE (ts)"));
        for (chunk, from, to) in
            [("c_1", "01-01", "01-11"), ("c_2", "01-11", "01-21"), ("c_3", "01-21", "03-01")]
        {
            run(&format!(
                "CREATE TABLE {chunk} PARTITION OF stored FOR VALUES FROM ('2026-{from} 00:00Z') TO ('2026-{to} 00:00Z')"
            ));
        }
        let segment = dice.pick(&["NULL", "ARRAY['host']"]);
        run(&format!("SELECT lake.series_adopt('stored', 'ts', {segment})"));
        both(&format!("INSERT INTO TABLE_ {}", rows_of(&columns, 0, 1_000, 2)));
        for step in 0..30 {
            let chunk = dice.pick(&CHUNKS);
            let (from, width) = (dice.below(1_200), dice.below(40));
            let range = format!(
                "ts BETWEEN timestamptz '2026-01-01 00:00Z' + {from} * interval '37 minutes' \
                 AND timestamptz '2026-01-01 00:00Z' + {} * interval '37 minutes'",
                from + width
            );
            let new = rows_of(&columns, from, from + width, 1);
            let action = dice.below(18);
            match action {
                0..=3 => run(&format!("SELECT lake.series_compress_chunk('{chunk}')")),
                4 => {
                    // Undone with the subtransaction.
                    let sql = format!(
                        "DO $x$ BEGIN PERFORM lake.series_compress_chunk('{chunk}'); RAISE division_by_zero; END $x$"
                    );
                    assert_eq!(outcome(&sql), "22012");
                }
                5 => run(&format!("SELECT lake.series_decompress_chunk('{chunk}')")),
                6 => both(&format!("INSERT INTO TABLE_ {new}")),
                7 => both(&format!("INSERT INTO TABLE_ {new} ON CONFLICT DO NOTHING")),
                8 => both(&format!("UPDATE TABLE_ SET host = host + 5 WHERE {range}")),
                9 => both(&format!("DELETE FROM TABLE_ WHERE {range}")),
                10 => both(&format!("SELECT * FROM TABLE_ WHERE {range} FOR UPDATE")),
                11 => {
                    let columns = (0..columns.len()).map(|at| format!("v{at} = excluded.v{at}"));
                    let set: Vec<_> = columns.collect();
                    both(&format!(
                        "INSERT INTO TABLE_ {new} ON CONFLICT (ts, host) DO UPDATE SET {}",
                        set.join(", ")
                    ));
                }
                12 => both(&format!(
                    "MERGE INTO TABLE_ t USING (SELECT i % 5 AS h, i FROM generate_series(0, {width}) i) n \
                     ON t.host = n.h AND n.i = {from} % 7 AND {range} \
                     WHEN MATCHED AND t.host = 2 THEN DELETE WHEN MATCHED THEN UPDATE SET host = t.host + 1"
                )),
                // A row that is met more than once is changed once.
                13 => both(&format!(
                    "UPDATE TABLE_ t SET host = t.host + 5 FROM generate_series(1, 3) i WHERE {range}"
                )),
                14 => both(&format!(
                    "WITH gone AS (DELETE FROM TABLE_ WHERE {range} AND host = 1 RETURNING *) SELECT count(*) FROM gone"
                )),
                15 => {
                    // Undone with the subtransaction, and done again.
                    let sql = format!(
                        "DO $x$ BEGIN UPDATE stored SET host = 99 WHERE {range}; DELETE FROM stored WHERE host = 99; RAISE division_by_zero; END $x$"
                    );
                    let seen = outcome(&sql);
                    assert!(seen == "22012" || seen == "23505", "{seen}: {sql}");
                    both(&format!("UPDATE TABLE_ SET host = host + 7 WHERE {range}"));
                }
                16 => both(&format!(
                    "ALTER TABLE TABLE_ ADD COLUMN a{step} {}",
                    dice.pick(&["int4 DEFAULT 7", "text DEFAULT 'x'", "float8", "int8 DEFAULT (random() * 0)::int8"])
                )),
                _ => both(&dice.pick(&[
                    "ALTER TABLE TABLE_ ALTER COLUMN host TYPE int8".to_owned(),
                    format!("ALTER TABLE TABLE_ RENAME COLUMN host TO host{step}; ALTER TABLE TABLE_ RENAME COLUMN host{step} TO host"),
                    "ALTER TABLE TABLE_ DROP COLUMN IF EXISTS v0".to_owned(),
                ].iter().collect::<Vec<_>>()).clone()),
            }
            same(&format!("seed {seed}, step {step}, action {action}"));
            both(&format!("SELECT 1 FROM TABLE_ WHERE host = 3 AND {range}"));
            both("SELECT max(ts) FROM TABLE_ GROUP BY host");
            let group = dice.pick(&[
                "'all'::text",
                "host",
                "ts",
                "host % 2",
                "date_trunc('day', ts)",
                "host, date_bin('5 hours', ts, '2020-01-01Z')",
                "lake.bucket('1 week', ts), host",
            ]);
            let condition = dice.pick(&[
                "true",
                "host = 3",
                "host > 2",
                "host + 0 < 3",
                "host IS NULL",
                &range,
            ]);
            let groups = |table: &str| {
                all(&format!(
                    "SELECT q::text FROM (SELECT {group}, count(*), sum(host), avg(host), min(ts), max(host), lake.last(ts, ts) \
                     FROM {table} WHERE {condition} GROUP BY {group}) q ORDER BY q::text COLLATE \"C\""
                ))
            };
            assert_eq!(
                groups("stored"),
                groups("twin"),
                "seed {seed}, step {step}: {group}, {condition}"
            );
        }
        run("DROP TABLE stored; DROP TABLE twin");
        assert_eq!(
            all("SELECT relname FROM pg_class WHERE relname LIKE 'batches%' AND relkind = 'r'"),
            ""
        );
    }

    #[pg_test]
    fn compressed_or_not_a_store_answers_alike() {
        for seed in 1..=12 {
            random_run(seed);
        }
    }

    /// A store with one chunk of 100 rows, compressed.
    fn compressed() {
        run("CREATE TABLE \"o'S\" (ts timestamptz, \"h\"\"x\" int, v float8, PRIMARY KEY (ts, \"h\"\"x\")) PARTITION BY RANGE (ts);
             CREATE TABLE \"C \"\"1'\" PARTITION OF \"o'S\" FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z');
             INSERT INTO \"o'S\" SELECT '2026-01-05Z'::timestamptz + i * interval '1 hour', i % 4, i FROM generate_series(1, 100) i;
             SELECT lake.series_adopt('\"o''S\"', 'ts', ARRAY['h\"x'])");
        assert_eq!(
            text("SELECT rows FROM lake.series_compress_chunk('\"C \"\"1''\"')").as_deref(),
            Some("100")
        );
    }

    #[pg_test]
    fn what_would_leave_rows_out_is_refused() {
        compressed();
        for sql in [
            "SELECT count(*) FROM \"o'S\" TABLESAMPLE BERNOULLI (50)",
            "CLUSTER \"C \"\"1'\" USING \"C \"\"1'_pkey\"",
            "CREATE UNIQUE INDEX ON \"C \"\"1'\" (ts, \"h\"\"x\", v)",
            "DO $x$ BEGIN PERFORM lake.series_decompress_chunk('\"C \"\"1''\"'); PERFORM lake.series_compress_chunk('\"C \"\"1''\"');
             TRUNCATE \"o'S\"; END $x$",
        ] {
            let (state, message) = failure(sql);
            assert_eq!(state, "0A000", "{sql}: {message}");
            assert!(message.contains("\"C \"\"1'\" has compressed rows"), "{sql}: {message}");
        }
        assert_eq!(all("SELECT count(*), sum(v) FROM \"o'S\""), "(100,5050)");
        assert_eq!(failure("INSERT INTO \"o'S\" VALUES ('2026-01-05 07:00Z', 3, 1)").0, "23505");
        // What repeats no key, or changes rows of the heap alone, is not.
        run("INSERT INTO \"o'S\" VALUES ('2026-01-30Z', 1, 1), ('2026-01-31Z', 1, 1), ('2026-01-05 07:00Z', 2, 8) ON CONFLICT DO NOTHING;
             UPDATE \"o'S\" SET v = 2 WHERE ts = '2026-01-30Z'; DELETE FROM \"o'S\" WHERE ts = '2026-01-31Z'");
        assert_eq!(all("SELECT count(*), sum(v) FROM \"o'S\""), "(102,5060)");
        run("SET enable_seqscan = off");
        assert_eq!(failure("SELECT FROM \"o'S\" WHERE ctid = '(0,1)'").0, "0A000");
        assert_eq!(
            all("SELECT v FROM \"o'S\" WHERE ts = '2026-01-05 07:00Z' ORDER BY v"),
            "(7) (8)"
        );
        assert_eq!(all("SELECT v FROM \"o'S\" WHERE ts = '2026-01-30Z'"), "(2)");
        assert_eq!(
            all("SELECT count(*) FROM \"o'S\" WHERE ctid >= '(0,0)' OR ctid < '(0,0)'"),
            "(102)"
        );
        assert_eq!(
            outcome(
                "TRUNCATE \"o'S\"; INSERT INTO \"o'S\" VALUES ('2026-01-05 07:00Z', 3, 1); SELECT 1/0"
            ),
            "22012"
        );
        run("CREATE INDEX ON \"o'S\" (v)");
        assert_eq!(all("SELECT v FROM \"o'S\" WHERE v = 50"), "(50)");
    }

    #[pg_test]
    fn compressed_rows_are_changed_as_others() {
        compressed();
        run("CREATE TABLE seen (what text, before float8, after float8);
             CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO seen VALUES (TG_OP, OLD.v, NEW.v); RETURN NULL; END $$;
             CREATE TRIGGER noted AFTER UPDATE OR DELETE ON \"o'S\" FOR EACH ROW EXECUTE FUNCTION noted();
             CREATE FUNCTION doubled() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v = 2 * NEW.v; RETURN NEW; END $$;
             CREATE TRIGGER doubled BEFORE UPDATE ON \"o'S\" FOR EACH ROW EXECUTE FUNCTION doubled()");
        let value = |hour: u32| {
            all(&format!(
                "SELECT v FROM \"o'S\" WHERE ts = '2026-01-05Z'::timestamptz + interval '{hour} hours'"
            ))
        };
        assert_eq!(outcome("UPDATE \"o'S\" SET v = v + 1 WHERE v = 7"), "1");
        assert_eq!((value(7).as_str(), value(8).as_str()), ("(16)", "(8)"));
        assert_eq!(outcome("DELETE FROM \"o'S\" WHERE v = 8"), "1");
        assert_eq!(all("SELECT * FROM seen ORDER BY what"), "(DELETE,8,) (UPDATE,7,16)");
        assert_eq!(outcome("SELECT FROM \"o'S\" WHERE v > 50 FOR UPDATE"), "50");
        assert_eq!(all("SELECT count(*), sum(v) FROM \"o'S\""), "(99,5051)");
        assert_eq!(failure("INSERT INTO \"o'S\" VALUES ('2026-01-05 07:00Z', 3, 1)").0, "23505");
        assert_eq!(outcome("INSERT INTO \"o'S\" VALUES ('2026-01-05 08:00Z', 0, 8)"), "1");
        // The rest of the chunk is still compressed, and compresses again with what was thawed.
        assert_eq!(
            text("SELECT rows FROM lake.series_compress_chunk('\"C \"\"1''\"')").as_deref(),
            Some("100")
        );
        // A conflict with a compressed row is resolved, in one command too; once, not twice.
        let insert = "INSERT INTO \"o'S\" VALUES ('2026-01-05 09:00Z', 1, 1)";
        assert_eq!(outcome(&format!("{insert} ON CONFLICT DO NOTHING")), "0");
        assert_eq!(
            outcome(&format!(
                "{insert} ON CONFLICT (ts, \"h\"\"x\") DO UPDATE SET v = excluded.v + 20"
            )),
            "1"
        );
        assert_eq!(value(9), "(42)");
        run("SELECT lake.series_compress_chunk('\"C \"\"1''\"')");
        assert_eq!(
            failure(&format!("{insert}, ('2026-01-05 09:00Z', 1, 2) ON CONFLICT (ts, \"h\"\"x\") DO UPDATE SET v = 1")).0,
            "21000"
        );
        assert_eq!(value(9), "(42)");
        // What a trigger does to the row that fires it is told as on any table.
        run("CREATE FUNCTION meddles() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 UPDATE \"o'S\" SET v = -1 WHERE ts = OLD.ts; RETURN OLD; END $$;
             CREATE TRIGGER meddles BEFORE DELETE ON \"o'S\" FOR EACH ROW EXECUTE FUNCTION meddles()");
        assert_eq!(failure("DELETE FROM \"o'S\" WHERE v = 10").0, "27000");
        assert_eq!(all("SELECT count(*) FROM \"o'S\""), "(100)");
    }

    #[pg_test]
    fn truncated_it_is_empty() {
        compressed();
        assert_eq!(outcome("TRUNCATE \"o'S\""), "0");
        assert_eq!(all("SELECT count(*) FROM \"o'S\""), "(0)");
        run("INSERT INTO \"o'S\" VALUES ('2026-01-05 07:00Z', 3, 1)");
        assert_eq!(all("SELECT rows FROM lake.series_compress_chunk('\"C \"\"1''\"')"), "(1)");
        assert_eq!(all("SELECT v FROM \"o'S\""), "(1)");
        assert_eq!(
            all("SELECT count(*) FROM pg_class WHERE relname LIKE 'batches%' AND relkind = 'r'"),
            "(1)"
        );
    }

    #[pg_test]
    fn late_rows_are_compressed_with_the_others() {
        compressed();
        run("INSERT INTO \"o'S\" VALUES ('2026-01-30Z', 1, 1)");
        assert_eq!(
            text("SELECT rows FROM lake.series_compress_chunk('\"C \"\"1''\"')").as_deref(),
            Some("101")
        );
        assert_eq!(
            all(
                "SELECT rows, state, compressed_bytes > 0, ratio > 0 FROM lake.chunks WHERE store = '\"o''S\"'::regclass"
            ),
            "(101,compressed,t,t)"
        );
        assert_eq!(
            text("SELECT rows FROM lake.series_compress_chunk('\"C \"\"1''\"')").as_deref(),
            Some("0"),
            "there is nothing to do"
        );
        assert_eq!(
            text("SELECT lake.series_decompress_chunk('\"C \"\"1''\"')").as_deref(),
            Some("101")
        );
        assert_eq!(
            text("SELECT lake.series_decompress_chunk('\"C \"\"1''\"')").as_deref(),
            Some("0")
        );
        run("SET enable_seqscan = off");
        assert_eq!(all("SELECT v FROM \"o'S\" WHERE ts = '2026-01-05 07:00Z'"), "(7)");
        assert_eq!(failure("INSERT INTO \"o'S\" VALUES ('2026-01-05 07:00Z', 3, 1)").0, "23505");
    }

    #[pg_test]
    fn what_cannot_be_compressed_says_why() {
        compressed();
        run("CREATE TABLE plain (ts timestamptz)");
        assert_eq!(failure("SELECT lake.series_compress_chunk('plain')").0, "42809");
        assert_eq!(failure("SELECT lake.series_compress_chunk(NULL)").0, "22004");
        assert_eq!(failure("SELECT lake.series_decompress_chunk('plain')").0, "42809");
        run(
            "CREATE ROLE lake_guest; GRANT SELECT ON \"o'S\", \"C \"\"1'\" TO lake_guest; SET ROLE lake_guest",
        );
        assert_eq!(failure("SELECT lake.series_compress_chunk('\"C \"\"1''\"')").0, "42501");
        assert_eq!(failure("SELECT lake.series_decompress_chunk('\"C \"\"1''\"')").0, "42501");
        assert_eq!(all("SELECT count(*) FROM \"o'S\""), "(100)");
        let batches =
            text("SELECT batches::regclass FROM _lake.series_compressed").unwrap_or_default();
        assert_eq!(failure(&format!("SELECT FROM {batches}")).0, "42501");
        run("RESET ROLE");
        assert_eq!(failure(&format!("DROP TABLE {batches}")).0, "2BP01");
    }
}
