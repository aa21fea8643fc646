//! Ingest of batches that are huge, cut off, or sent by several sessions at once.

use lake_server_tests::{Cluster, Options, SOON, failure, installed, poll};
use postgres::Client;
use std::sync::{Barrier, LazyLock};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(Options::preloaded()));

/// A database with both engines, as far as the server has them, and a store of each.
fn stores(database: &str) -> Vec<String> {
    let engines: &[&str] =
        if installed("timescaledb") { &["native", "timescaledb"] } else { &["native"] };
    let extensions: &[&str] =
        if engines.len() == 2 { &["timescaledb", "lake_stores"] } else { &["lake_stores"] };
    CLUSTER.create_database(database, extensions);
    let mut db = CLUSTER.connect(database, "postgres");
    let make = |engine: &&str| {
        let store = format!("s_{engine}");
        db.execute("SELECT lake.series_create($1, engine => $2)", &[&store, engine]).unwrap();
        store
    };
    engines.iter().map(make).collect()
}

fn count(db: &mut Client, sql: &str) -> i64 {
    db.query_one(sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e}")).get(0)
}

/// The most memory that the session's process has had, in bytes.
fn peak_memory(db: &mut Client) -> u64 {
    let pid: i32 = db.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Lines of 200 bytes each, a microsecond apart.
fn lines(count: usize) -> String {
    let pad = "x".repeat(120);
    let mut out = String::with_capacity(count * 200);
    for i in 0..count {
        let line =
            format!("cpu,host=h{},pad={pad} value={i} {}", i % 1000, 1_767_225_600_000_000 + i);
        out.push_str(&line);
        out.push_str(&" ".repeat(199 - line.len()));
        out.push('\n');
    }
    out
}

#[test]
fn a_hundred_megabytes_in_one_call() {
    const LINES: usize = 500_000;
    let text = lines(LINES);
    assert_eq!(text.len(), 100_000_000);
    for store in stores("huge") {
        let mut db = CLUSTER.connect("huge", "postgres");
        let ingest = format!(
            "SELECT accepted, rejected FROM lake.series_ingest_line_protocol('{store}', $1, 'us', $2)"
        );
        let row = db.query_one(&ingest, &[&text, &"raise"]).unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (LINES as i64, 0));
        assert_eq!(count(&mut db, &format!("SELECT count(*) FROM {store}")), LINES as i64);
        assert!(peak_memory(&mut db) < 1_500_000_000, "{}", peak_memory(&mut db));

        // Every line of it bad, and every one kept.
        let bad: String = text.replace(" value=", "  bad=\"").chars().take(20_000_000).collect();
        let bad = bad.replace('\n', "\"\n");
        let mut db = CLUSTER.connect("huge", "postgres");
        let row = db.query_one(&ingest, &[&bad, &"reject"]).unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (0, LINES as i64 / 5));
        assert_eq!(count(&mut db, "SELECT count(*) FROM lake.rejects"), LINES as i64 / 5);
        assert!(peak_memory(&mut db) < 600_000_000, "{}", peak_memory(&mut db));
        db.execute("SELECT lake.purge_rejects($1::text::regclass)", &[&store]).unwrap();

        db.batch_execute("SET lake_stores.max_batch_rows = 1000").unwrap();
        assert_eq!(failure(db.query_one(&ingest, &[&text, &"raise"])).code, "54000");
    }
}

#[test]
fn what_is_cancelled_half_way_leaves_nothing() {
    for store in stores("cancelled") {
        let mut db = CLUSTER.connect("cancelled", "postgres");
        db.batch_execute(&format!(
            "CREATE FUNCTION dawdle_{store}() RETURNS trigger LANGUAGE plpgsql AS $$
                 BEGIN IF new.value = 1550 THEN PERFORM pg_sleep(600); END IF; RETURN new; END $$;
             CREATE TRIGGER dawdle BEFORE INSERT ON {store} FOR EACH ROW EXECUTE FUNCTION dawdle_{store}()"
        ))
        .unwrap();
        let batch = format!(
            "SELECT accepted, rejected FROM lake.series_ingest('{store}',
                 (SELECT array_agg(CASE WHEN i % 100 > 0 OR $2 = 'raise' THEN '2026-01-01 00:00+00'::timestamptz + i * interval '1 hour' END ORDER BY i) FROM generate_series(1, 2000) i),
                 array_fill('m'::text, ARRAY[2000]), NULL,
                 (SELECT array_agg((i + $1)::float8 ORDER BY i) FROM generate_series(1, 2000) i), $2)"
        );
        let mut watch = CLUSTER.connect("cancelled", "postgres");
        let pid: i32 = db.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        for on_error in ["reject", "raise"] {
            let failed = std::thread::scope(|scope| {
                // 1550 is a value of the batch, so the trigger sleeps.
                let ingest = scope.spawn(|| failure(db.query_one(&batch, &[&0i32, &on_error])));
                poll(SOON, "the batch to be half written", || {
                    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'";
                    watch.query_one(asleep, &[&pid]).unwrap().get::<_, i64>(0) == 1
                });
                watch.execute("SELECT pg_cancel_backend($1)", &[&pid]).unwrap();
                ingest.join().unwrap()
            });
            assert_eq!(failed.code, "57014", "{on_error}");
            for table in [&store, &format!("{store}_series"), "lake.rejects"] {
                let rows = count(&mut watch, &format!("SELECT count(*) FROM {table}"));
                assert_eq!(rows, 0, "{on_error}: {table}");
            }
        }
        // The same session goes on; what it remembers of the cancelled batch isn't used.
        let row = db.query_one(&batch, &[&100_000i32, &"reject"]).unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1980, 20));
        assert_eq!(
            count(
                &mut watch,
                &format!("SELECT count(*) FROM {store} JOIN {store}_series USING (series_id)")
            ),
            1980
        );
        let row = db.query_one(&batch, &[&200_000i32, &"raise"]).unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (20, 0));
        watch.execute("SELECT lake.purge_rejects($1::text::regclass)", &[&store]).unwrap();
    }
}

#[test]
fn sessions_that_send_the_same_in_order() {
    for store in stores("twins") {
        const SESSIONS: usize = 4;
        const BATCHES: i32 = 20;
        let start = Barrier::new(SESSIONS);
        let accepted: i64 = std::thread::scope(|scope| {
            let sessions: Vec<_> = (0..SESSIONS)
                .map(|_| {
                    let (start, store) = (&start, &store);
                    scope.spawn(move || {
                        let mut db = CLUSTER.connect("twins", "postgres");
                        start.wait();
                        let mut accepted = 0;
                        for batch in 0..BATCHES {
                            let row = db
                                .query_one(
                                    &format!(
                                        "SELECT i.accepted, i.duplicate, i.rejected FROM (
                                             SELECT array_agg('2026-01-01 00:00+00'::timestamptz + s * interval '1 s') AS ts,
                                                    array_agg('m'::text) AS metric,
                                                    array_agg(jsonb_build_object('h', h::text)) AS tags,
                                                    array_agg(s::float8) AS value
                                             FROM generate_series($1 * 10, $1 * 10 + 9) s, generate_series(1, 50) h) b,
                                             lake.series_ingest('{store}', b.ts, b.metric, b.tags, b.value) i"
                                    ),
                                    &[&batch],
                                )
                                .unwrap();
                            assert_eq!(row.get::<_, i64>(0) + row.get::<_, i64>(1), 500);
                            assert_eq!(row.get::<_, i64>(2), 0);
                            accepted += row.get::<_, i64>(0);
                        }
                        accepted
                    })
                })
                .collect();
            sessions.into_iter().map(|session| session.join().unwrap()).sum()
        });
        let rows = i64::from(BATCHES) * 500;
        assert_eq!(accepted, rows, "each point was new for exactly one session");
        let mut db = CLUSTER.connect("twins", "postgres");
        assert_eq!(count(&mut db, &format!("SELECT count(*) FROM {store}")), rows);
        assert_eq!(count(&mut db, &format!("SELECT count(*) FROM {store}_series")), 50);
    }
}
