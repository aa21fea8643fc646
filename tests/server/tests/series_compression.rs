//! Compressed chunks of native stores: what takes a server of its own, or statements of their own.

use lake_server_tests::{Cluster, Options, SOON, Stop, failure, poll};
use postgres::Client;
use std::sync::LazyLock;

/// Nothing is preloaded: the first look at the table loads the library.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    Cluster::start(Options::plain().set("wal_level", "logical").set("max_worker_processes", "16"))
});

const ROWS: i64 = 20_000;

/// A database with a store `m` of two chunks, the first of which is compressed.
fn store(cluster: &Cluster, name: &str) -> Client {
    cluster.create_database(name, &["lake_stores"]);
    let mut db = cluster.connect(name, "postgres");
    db.batch_execute(&format!(
        "CREATE TABLE m (ts timestamptz, host text, v float8, note text, PRIMARY KEY (host, ts)) PARTITION BY RANGE (ts);
         CREATE TABLE m1 PARTITION OF m FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z');
         CREATE TABLE m2 PARTITION OF m FOR VALUES FROM ('2026-02-01Z') TO ('2026-03-01Z');
         INSERT INTO m SELECT '2026-01-01Z'::timestamptz + i * interval '2 minutes', 'h' || i % 10, i, repeat(md5(i::text), i % 40)
         FROM generate_series(0, {ROWS} - 1) i;
         CREATE TABLE twin AS SELECT * FROM m;
         SELECT lake.series_adopt('m', 'ts', ARRAY['host']);
         SELECT lake.series_compress_chunk('m1')"
    ))
    .unwrap();
    db
}

/// Whether the store has exactly the twin's rows.
#[track_caller]
fn is_whole(db: &mut Client) {
    let row = db
        .query_one(
            "SELECT (SELECT count(*) FROM m), (SELECT count(*) FROM twin),
                    (SELECT count(*) FROM (TABLE m EXCEPT ALL TABLE twin) x)",
            &[],
        )
        .unwrap();
    let counts: (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(counts, (counts.1, counts.1, 0));
}

fn one<T: postgres::types::FromSqlOwned>(db: &mut Client, sql: &str) -> T {
    db.query_one(sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e}")).get(0)
}

#[test]
fn every_session_sees_all_rows_whatever_the_planner_would_like() {
    store(&CLUSTER, "plans");
    for settings in [
        "",
        "SET enable_seqscan = off",
        "SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0",
        "SET enable_seqscan = off; SET enable_bitmapscan = off",
        "SET jit = off; SET enable_partitionwise_aggregate = on; SET parallel_setup_cost = 0; SET min_parallel_table_scan_size = 0",
    ] {
        let mut db = CLUSTER.connect("plans", "postgres");
        db.batch_execute(settings).unwrap();
        is_whole(&mut db);
        assert_eq!(one::<i64>(&mut db, "SELECT count(*) FROM m WHERE host = 'h3'"), ROWS / 10);
        assert_eq!(
            one::<f64>(&mut db, "SELECT v FROM m WHERE host = 'h7' AND ts = '2026-01-01 00:14Z'"),
            7.0
        );
        assert_eq!(
            one::<i64>(
                &mut db,
                "SELECT count(*) FROM (SELECT max(ts) FROM m GROUP BY host ORDER BY 1 LIMIT 20) x"
            ),
            10
        );
        assert_eq!(one::<i64>(&mut db, "SELECT count(*) FROM twin JOIN m USING (host, ts)"), ROWS);
        assert_eq!(
            one::<String>(&mut db, "SELECT min(ts AT TIME ZONE 'UTC')::text FROM m"),
            "2026-01-01 00:00:00"
        );
    }
}

#[test]
fn a_plan_from_before_is_made_anew() {
    let mut db = store(&CLUSTER, "prepared");
    db.batch_execute("SELECT lake.series_decompress_chunk('m1')").unwrap();
    let mut reader = CLUSTER.connect("prepared", "postgres");
    reader
        .batch_execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
        .unwrap();
    let point =
        reader.prepare("SELECT v FROM m WHERE host = $1 AND ts = '2026-01-01 00:14Z'").unwrap();
    for _ in 0..3 {
        assert_eq!(reader.query_one(&point, &[&"h7"]).unwrap().get::<_, f64>(0), 7.0);
        db.batch_execute("SELECT lake.series_compress_chunk('m1')").unwrap();
        assert_eq!(reader.query_one(&point, &[&"h7"]).unwrap().get::<_, f64>(0), 7.0);
        db.batch_execute("SELECT lake.series_decompress_chunk('m1')").unwrap();
    }
}

#[test]
fn maintenance_leaves_all_rows_or_says_why_not() {
    let mut db = store(&CLUSTER, "maintained");
    for sql in [
        "VACUUM m1",
        "VACUUM (FREEZE) m1",
        "ANALYZE m1",
        "ANALYZE m",
        "VACUUM ANALYZE",
        "REINDEX TABLE m1",
        "CREATE INDEX CONCURRENTLY m1_v ON m1 (v)",
        "REINDEX INDEX CONCURRENTLY m1_v",
        "CREATE INDEX ON m (note)",
        "ALTER TABLE m ADD CHECK (v >= 0)",
        "ALTER TABLE m ALTER COLUMN v SET NOT NULL",
        "ALTER TABLE m DETACH PARTITION m1; ALTER TABLE m ATTACH PARTITION m1 FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z')",
        "CHECKPOINT",
    ] {
        db.batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        is_whole(&mut db);
    }
    assert_eq!(
        one::<i64>(
            &mut db,
            "SELECT count(*) FROM pg_stats WHERE tablename = 'm1' AND attname = 'host' AND n_distinct = 10"
        ),
        1
    );
    for sql in [
        "VACUUM FULL m1",
        "CLUSTER m1 USING m1_pkey",
        "REINDEX INDEX CONCURRENTLY m1_pkey",
        "CREATE UNIQUE INDEX CONCURRENTLY ON m1 (host, ts)",
        "ALTER TABLE m1 SET TABLESPACE pg_global",
    ] {
        let code = failure(db.batch_execute(sql)).code;
        assert!(code == "0A000" || sql.contains("pg_global"), "{sql}: {code}");
        is_whole(&mut db);
    }
    assert_eq!(failure(db.batch_execute("ALTER TABLE m ADD CHECK (v < 5)")).code, "23514");
    // What rewrites the table reads the batches too; then nothing is compressed any more.
    db.batch_execute(
        "ALTER TABLE m ALTER COLUMN v TYPE numeric; ALTER TABLE twin ALTER COLUMN v TYPE numeric",
    )
    .unwrap();
    is_whole(&mut db);
    assert_eq!(
        one::<i64>(&mut db, "SELECT count(*) FROM lake.chunks WHERE state = 'compressed'"),
        0
    );
    db.batch_execute(
        "SELECT lake.series_compress_chunk('m1'); ALTER TABLE m1 SET ACCESS METHOD heap",
    )
    .unwrap();
    is_whole(&mut db);
    db.batch_execute("ALTER TABLE m1 SET ACCESS METHOD lake_chunk").unwrap();
    is_whole(&mut db);
    for sql in ["VACUUM FULL m1", "CLUSTER m1 USING m1_pkey", "REINDEX INDEX CONCURRENTLY m1_pkey"]
    {
        db.batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    is_whole(&mut db);
}

#[test]
fn it_outlives_a_crash_and_is_there_on_a_standby() {
    let cluster = Cluster::start(Options::plain());
    let mut db = store(&cluster, "crashed");
    db.batch_execute("SELECT lake.series_decompress_chunk('m1'); CHECKPOINT; SELECT lake.series_compress_chunk('m1')").unwrap();
    let mut open = cluster.connect("crashed", "postgres");
    open.batch_execute("BEGIN; SELECT lake.series_decompress_chunk('m1')").unwrap();
    cluster.stop(Stop::Immediate);
    cluster.start_again();
    let mut db = cluster.connect("crashed", "postgres");
    is_whole(&mut db);
    assert_eq!(
        one::<i64>(&mut db, "SELECT count(*) FROM lake.chunks WHERE state = 'compressed'"),
        1
    );

    let standby = cluster.standby();
    let mut there = standby.connect("crashed", "postgres");
    is_whole(&mut there);
    db.batch_execute("SELECT lake.series_decompress_chunk('m1'); DELETE FROM m WHERE v = 7; DELETE FROM twin WHERE v = 7; SELECT lake.series_compress_chunk('m1')").unwrap();
    poll(SOON, "the standby", || {
        one::<i64>(&mut there, "SELECT count(*) FROM twin") == ROWS - 1
            && one::<i64>(&mut there, "SELECT count(*) FROM lake.chunks WHERE state = 'compressed'")
                == 1
    });
    is_whole(&mut there);
}

#[test]
fn a_dump_has_plain_rows_that_compress_again() {
    let mut db = store(&CLUSTER, "dumped");
    db.batch_execute("INSERT INTO m VALUES ('2026-01-20 00:01Z', 'late', -1, 'x'); INSERT INTO twin VALUES ('2026-01-20 00:01Z', 'late', -1, 'x')").unwrap();
    let file = CLUSTER.host().join("compressed.dump");
    CLUSTER.run(CLUSTER.tool("pg_dump").args(["-F", "c", "-d", "dumped", "-f"]).arg(&file));
    CLUSTER.create_database("restored", &[]);
    CLUSTER.run(CLUSTER.tool("pg_restore").args(["-e", "-j", "2", "-d", "restored"]).arg(&file));
    let mut copy = CLUSTER.connect("restored", "postgres");
    is_whole(&mut copy);
    assert_eq!(
        one::<i64>(
            &mut copy,
            "SELECT count(*) FROM pg_class WHERE relname LIKE 'batches\\_%' AND relkind = 'r'"
        ),
        0
    );
    copy.batch_execute("SELECT lake.series_compress_chunk('m1')").unwrap();
    is_whole(&mut copy);
    assert_eq!(
        one::<String>(&mut copy, "SELECT state FROM lake.chunks WHERE chunk = 'm1'::regclass"),
        "compressed"
    );
}

#[test]
fn nothing_of_it_is_replicated_as_a_change() {
    let mut db = store(&CLUSTER, "replicated");
    db.batch_execute("SELECT lake.series_decompress_chunk('m1'); CREATE PUBLICATION p FOR TABLE m")
        .unwrap();
    db.batch_execute("SELECT pg_create_logical_replication_slot('lake_slot', 'pgoutput')").unwrap();
    db.batch_execute("SELECT lake.series_compress_chunk('m1')").unwrap();
    db.batch_execute("SELECT lake.series_decompress_chunk('m1')").unwrap();
    let changes = "SELECT count(*) FROM pg_logical_slot_peek_binary_changes('lake_slot', NULL, NULL, 'proto_version', '1', 'publication_names', 'p')
                   WHERE get_byte(data, 0) IN (ascii('I'), ascii('U'), ascii('D'), ascii('T'))";
    assert_eq!(one::<i64>(&mut db, changes), 0);
    db.batch_execute("INSERT INTO m VALUES ('2026-01-20 00:01Z', 'late', -1, 'x')").unwrap();
    assert_eq!(one::<i64>(&mut db, changes), 1);
    db.batch_execute("SELECT pg_drop_replication_slot('lake_slot')").unwrap();
}

#[test]
fn dropped_chunks_leave_no_batches() {
    let mut db = store(&CLUSTER, "left");
    let batches =
        "SELECT count(*) FROM pg_class WHERE relname LIKE 'batches\\_%' AND relkind = 'r'";
    assert_eq!(one::<i64>(&mut db, batches), 1);
    assert_eq!(failure(db.batch_execute("DROP EXTENSION lake_stores")).code, "2BP01");
    db.batch_execute("DROP TABLE m1").unwrap();
    assert_eq!(one::<i64>(&mut db, batches), 0);
    db.batch_execute("INSERT INTO m VALUES ('2026-02-05Z', 'h1', 1, '')").unwrap();
    for sql in [
        "SELECT lake.series_compress_chunk('m2')",
        "ALTER EVENT TRIGGER lake_stores_drop DISABLE",
        "DROP TABLE m",
        "ALTER EVENT TRIGGER lake_stores_drop ENABLE",
    ] {
        db.batch_execute(sql).unwrap();
    }
    // Until the next sweep: by the worker's visit, or by whoever compresses next.
    assert_eq!(one::<i64>(&mut db, batches), 1);
    db.batch_execute(
        "CREATE TABLE n (ts timestamptz) PARTITION BY RANGE (ts);
         CREATE TABLE n1 PARTITION OF n FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z');
         INSERT INTO n VALUES ('2026-01-05Z');
         SELECT lake.series_adopt('n', 'ts')",
    )
    .unwrap();
    db.batch_execute("SELECT lake.series_compress_chunk('n1')").unwrap();
    assert_eq!(one::<i64>(&mut db, batches), 1);
    let whose = "SELECT chunk = 'n1'::regclass FROM _lake.series_compressed";
    assert!(one::<bool>(&mut db, whose));
}

#[test]
fn rights_stay_what_they_are() {
    let mut db = store(&CLUSTER, "guarded");
    db.batch_execute(
        "CREATE ROLE lake_owner; CREATE ROLE lake_reader;
         ALTER DEFAULT PRIVILEGES IN SCHEMA _lake GRANT SELECT ON TABLES TO PUBLIC, lake_reader;
         GRANT CREATE ON SCHEMA public TO lake_owner;
         ALTER TABLE m OWNER TO lake_owner; ALTER TABLE m1 OWNER TO lake_owner; ALTER TABLE m2 OWNER TO lake_owner;
         GRANT SELECT ON m TO lake_reader;
         ALTER TABLE m ENABLE ROW LEVEL SECURITY; ALTER TABLE m FORCE ROW LEVEL SECURITY;
         ALTER TABLE m1 ENABLE ROW LEVEL SECURITY; ALTER TABLE m1 FORCE ROW LEVEL SECURITY;
         CREATE POLICY only_h3 ON m TO lake_reader USING (host = 'h3');
         SET ROLE lake_owner; SELECT lake.series_decompress_chunk('m1'); SELECT lake.series_compress_chunk('m1'); RESET ROLE",
    )
    .unwrap();
    // The policy hid all rows from the owner, none from compression.
    is_whole(&mut db);
    let table: String = one(&mut db, "SELECT batches::regclass::text FROM _lake.series_compressed");
    db.batch_execute("SET ROLE lake_reader").unwrap();
    assert_eq!(one::<i64>(&mut db, "SELECT count(*) FROM m"), ROWS / 10);
    assert_eq!(failure(db.batch_execute("SELECT FROM m1")).code, "42501");
    assert_eq!(failure(db.batch_execute(&format!("SELECT FROM {table}"))).code, "42501");
    assert_eq!(
        failure(db.batch_execute("SELECT lake.series_decompress_chunk('m1')")).code,
        "42501"
    );
    db.batch_execute("RESET ROLE").unwrap();
    // Rows that others refer to would have to be locked.
    db.batch_execute(
        "CREATE TABLE refers (host text, ts timestamptz, FOREIGN KEY (host, ts) REFERENCES m)",
    )
    .unwrap();
    assert_eq!(failure(db.batch_execute("SELECT lake.series_compress_chunk('m2')")).code, "0A000");
    // With a key that was made after compression they are.
    db.batch_execute("INSERT INTO refers VALUES ('h7', '2026-01-01 00:14Z')").unwrap();
    for (sql, code) in [
        ("INSERT INTO refers VALUES ('h7', '2026-01-01 00:15Z')", "23503"),
        ("DELETE FROM m WHERE host = 'h7'", "23503"),
    ] {
        assert_eq!(failure(db.batch_execute(sql)).code, code, "{sql}");
    }
    is_whole(&mut db);
}

#[test]
fn the_extension_goes_once_chunks_are_plain() {
    let mut db = store(&CLUSTER, "removed");
    assert_eq!(failure(db.batch_execute("DROP EXTENSION lake_stores")).code, "2BP01");
    db.batch_execute("SELECT lake.series_decompress_chunk('m1')").unwrap();
    assert_eq!(failure(db.batch_execute("DROP EXTENSION lake_stores")).code, "2BP01");
    db.batch_execute("ALTER TABLE m1 SET ACCESS METHOD heap; DROP EXTENSION lake_stores").unwrap();
    is_whole(&mut db);
    db.batch_execute(
        "CREATE EXTENSION lake_stores;
         SELECT lake.series_adopt('m', 'ts', ARRAY['host']);
         SELECT lake.series_compress_chunk('m1')",
    )
    .unwrap();
    is_whole(&mut db);
    // What depends on the access method goes with CASCADE, as Postgres says: the page warns of it.
    db.batch_execute("DROP EXTENSION lake_stores CASCADE").unwrap();
    assert!(one::<bool>(
        &mut db,
        "SELECT to_regclass('m1') IS NULL AND to_regclass('m2') IS NOT NULL"
    ));
    db.batch_execute("CREATE EXTENSION lake_stores").unwrap();
    let counts = ["m", "m2"].map(|t| one::<i64>(&mut db, &format!("SELECT count(*) FROM {t}")));
    assert_eq!(counts[0], counts[1]);
}

#[test]
fn the_worker_compresses_what_is_due_while_the_store_is_read_and_written() {
    let mut db = store(&CLUSTER, "by_worker");
    db.batch_execute(
        "CREATE ROLE lake_keeper; GRANT CREATE ON SCHEMA public TO lake_keeper;
         SELECT lake.series_decompress_chunk('m1');
         ALTER TABLE m OWNER TO lake_keeper; ALTER TABLE m1 OWNER TO lake_keeper; ALTER TABLE m2 OWNER TO lake_keeper;
         ALTER DATABASE by_worker SET default_transaction_isolation = serializable;
         INSERT INTO m SELECT '2026-02-05Z'::timestamptz + i * interval '1 minute', 'h' || i % 10, i, '' FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
         TRUNCATE twin; INSERT INTO twin TABLE m",
    )
    .unwrap();
    db.batch_execute("SET ROLE lake_keeper; SELECT lake.series_set_compression('m', '1 day', ARRAY['note']); RESET ROLE").unwrap();
    one::<i32>(&mut db, "SELECT lake.start_worker()");
    let mut n = 0;
    let due =
        "SELECT count(*) FROM lake.chunks WHERE store = 'm'::regclass AND state <> 'compressed'";
    poll(SOON * 2, "every chunk to be compressed", || {
        // Rows into both, one by one, and a look at all of them.
        for table in ["m", "twin"] {
            db.execute(
                &format!("INSERT INTO {table} VALUES ('2026-01-15Z'::timestamptz + $1 * interval '1.5 seconds', 'new', $1, 'n')"),
                &[&f64::from(n)],
            )
            .unwrap();
        }
        n += 1;
        is_whole(&mut db);
        one::<i64>(&mut db, due) == 0
    });
    is_whole(&mut db);
    let runs: String = one(
        &mut db,
        "SELECT string_agg(outcome, ' ' ORDER BY run_id) FROM lake.job_runs WHERE action = 'compress' AND steps > 0",
    );
    assert!(runs.split(' ').all(|outcome| outcome == "success"), "{runs}");
}

/// Writers count up rows here and there, one statement each, while the chunk is compressed and made plain under
/// them. What each was told is what is there in the end.
#[test]
fn many_writers_lose_and_double_nothing() {
    let mut db = store(&CLUSTER, "counted");
    let before: f64 = one(&mut db, "SELECT sum(v) FROM m1");
    let writers: Vec<_> = (0..4_i64)
        .map(|writer| {
            std::thread::spawn(move || {
                let mut db = CLUSTER.connect("counted", "postgres");
                let (mut counted, mut again) = (0, 0);
                for i in 0..120 {
                    // Each in reach of the others.
                    let row = (writer * 37 + i * 991) % ROWS;
                    let key = format!("'2026-01-01Z'::timestamptz + {row} * interval '2 minutes'");
                    let sql = match i % 4 {
                        0 | 1 => format!("UPDATE m SET v = v + 1 WHERE ts = {key}"),
                        2 => format!(
                            "INSERT INTO m VALUES ({key}, 'h{}', 0, '') ON CONFLICT (host, ts) DO UPDATE SET v = m.v + 1",
                            row % 10
                        ),
                        _ => format!(
                            "WITH mine AS (SELECT host, ts FROM m WHERE ts = {key} FOR UPDATE) UPDATE m SET v = v + 1 FROM mine WHERE (m.host, m.ts) = (mine.host, mine.ts)"
                        ),
                    };
                    loop {
                        match db.execute(&sql, &[]) {
                            Ok(1) => break counted += 1,
                            Ok(n) => panic!("{n} rows: {sql}"),
                            Err(error) => {
                                let code = error.code().map_or("", |code| code.code()).to_owned();
                                assert!(code == "40001" || code == "40P01", "{error:?}: {sql}");
                                again += 1;
                            }
                        }
                    }
                }
                (counted, again)
            })
        })
        .collect();
    let mut rounds = 0;
    while writers.iter().any(|writer| !writer.is_finished()) {
        let function = if rounds % 5 == 4 { "decompress" } else { "compress" };
        match db.batch_execute(&format!("SELECT lake.series_{function}_chunk('m1')")) {
            Ok(()) => {}
            Err(error) => {
                let code = error.code().map_or("", |code| code.code()).to_owned();
                assert!(code == "55P03" || code == "40P01", "{error:?}");
            }
        }
        rounds += 1;
        assert_eq!(one::<i64>(&mut db, "SELECT count(DISTINCT (host, ts)) FROM m"), ROWS);
        assert_eq!(one::<i64>(&mut db, "SELECT count(*) FROM m"), ROWS);
    }
    let mut counted = 0;
    for writer in writers {
        counted += writer.join().unwrap().0;
    }
    assert_eq!(counted, 480);
    let after: f64 = one(&mut db, "SELECT sum(v) FROM m");
    let of_m2: f64 = one(&mut db, "SELECT coalesce(sum(v), 0) FROM m2");
    assert_eq!(after - of_m2, before + f64::from(counted));
    db.batch_execute("SELECT lake.series_decompress_chunk('m1'); SET enable_seqscan = off")
        .unwrap();
    assert_eq!(one::<i64>(&mut db, "SELECT count(*) FROM m WHERE host >= 'h0'"), ROWS);
}

#[test]
fn a_chunk_in_use_is_left_for_later_and_keeps_no_other_waiting() {
    let mut db = store(&CLUSTER, "in_use");
    db.batch_execute(
        "SELECT lake.series_decompress_chunk('m1');
         INSERT INTO m SELECT '2026-02-05Z'::timestamptz + i * interval '1 minute', 'late', i, '' FROM generate_series(1, 5000) i;
         TRUNCATE twin; INSERT INTO twin TABLE m",
    )
    .unwrap();
    let mut reader = CLUSTER.connect("in_use", "postgres");
    reader.batch_execute("BEGIN; SELECT FROM m1 LIMIT 1").unwrap();
    db.batch_execute("SELECT lake.series_set_compression('m', '0')").unwrap();
    one::<i32>(&mut db, "SELECT lake.start_worker()");
    let runs = "SELECT outcome || ' ' || COALESCE(sqlstate, '') || ' ' || steps FROM lake.job_runs WHERE action = 'compress' ORDER BY run_id DESC LIMIT 1";
    poll(SOON * 2, "the run to end", || {
        db.query_opt(runs, &[])
            .unwrap()
            .is_some_and(|row| row.get::<_, String>(0) == "failure 55P03 1")
    });
    let states = "SELECT string_agg(state, ' ' ORDER BY range_start) FROM lake.chunks WHERE store = 'm'::regclass";
    assert_eq!(one::<String>(&mut db, states), "closed compressed");
    is_whole(&mut db);
    reader.batch_execute("COMMIT").unwrap();
    poll(SOON * 2, "the other chunk to be compressed", || {
        db.batch_execute("SELECT lake.alter_job(job_id, next_run => now()) FROM lake.jobs WHERE action = 'compress'").unwrap();
        one::<String>(&mut db, states) == "compressed compressed"
    });
    is_whole(&mut db);
}
