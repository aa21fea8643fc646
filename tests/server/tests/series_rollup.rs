//! Rollups under writers, a real worker, crashes, dumps and standbys: whatever happens, what the view says
//! is what the points say.

use lake_server_tests::stores::{make_due, outcomes};
use lake_server_tests::{Cluster, Options, SOON, Stop, lacks, poll};
use postgres::{Client, IsolationLevel};
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(Options::preloaded()));

/// A small generator (Knuth, MMIX), so that each writer does the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    /// An instant in the first six days of 2026.
    fn instant(&mut self) -> String {
        format!("'2026-01-01Z'::timestamptz + {} * interval '1 minute'", self.below(6 * 24 * 60))
    }

    /// Something that a writer does: new points, late ones, some twice; changes, moves, deletes. Sums of
    /// these values are exact, whatever the order of their addition.
    fn statement(&mut self) -> String {
        let (at, series) = (self.instant(), 1 + self.below(3));
        match self.below(8) {
            0 | 1 => format!(
                "INSERT INTO m SELECT t, {series}, (extract(minute FROM t)::int % 16) / 4.0 \
                 FROM generate_series({at}, {at} + interval '5 hours', interval '{} minutes') t \
                 ON CONFLICT (series_id, ts) DO UPDATE SET value = m.value + 1",
                1 + self.below(30)
            ),
            2 => format!(
                "SELECT lake.series_ingest('m', ARRAY[{at}, clock_timestamp()], ARRAY['m1', 'm2'], NULL, \
                 ARRAY[{0}, {0}])",
                self.below(100)
            ),
            3 => format!(
                "UPDATE m SET value = value + 1 WHERE ts >= {at} AND ts < {at} + interval '2 hours'"
            ),
            4 => format!(
                "UPDATE m SET ts = ts + interval '1 microsecond' WHERE ts >= {at} AND ts < {at} + interval '1 hour'"
            ),
            5 | 6 => {
                format!("DELETE FROM m WHERE ts >= {at} AND ts < {at} + interval '3 hours'")
            }
            _ => format!(
                "WITH gone AS (DELETE FROM m WHERE ts >= {at} AND ts < {at} + interval '20 minutes' RETURNING *) \
                 INSERT INTO m SELECT ts + interval '2 days', series_id, value FROM gone ON CONFLICT DO NOTHING"
            ),
        }
    }
}

/// The view of each rollup, and the same of the points.
const ROLLUPS: [(&str, &str); 3] = [
    (
        "SELECT bucket, series_id, avg, min, max, sum, count, first, last FROM hourly",
        "SELECT lake.bucket('1 hour', ts, 'UTC'), series_id, sum(value) / count(*), min(value), max(value), \
                sum(value), count(*), lake.first(value, ts), lake.last(value, ts) FROM m GROUP BY 1, 2",
    ),
    (
        "SELECT bucket, series_id, sum, count FROM daily",
        "SELECT lake.bucket('1 day', ts, 'Europe/Berlin'), series_id, sum(value), count(*) FROM m GROUP BY 1, 2",
    ),
    (
        "SELECT bucket, series_id, avg, count, last, p95 FROM weekly",
        "SELECT lake.bucket('7 days', ts, 'UTC'), series_id, sum(value) / count(*), count(*), lake.last(value, ts), \
                lake.percentile(lake.percentile_sketch(value), 0.95) FROM m GROUP BY 1, 2",
    ),
];

/// Compares in one snapshot; returns how many buckets there are.
#[track_caller]
fn compare(db: &mut Client) -> i64 {
    let mut snapshot = db
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .unwrap();
    let mut buckets = 0;
    for (view, points) in ROLLUPS {
        let row = snapshot
            .query_one(
                &format!(
                    "WITH v AS MATERIALIZED ({view}), p AS MATERIALIZED ({points}), \
                          d AS ((TABLE v EXCEPT ALL TABLE p) UNION ALL (TABLE p EXCEPT ALL TABLE v)) \
                     SELECT (SELECT count(*) FROM p), (SELECT count(*) FROM v), \
                            (SELECT string_agg(d::text, ' ' ORDER BY d::text) FROM d)"
                ),
                &[],
            )
            .unwrap();
        let differences: Option<String> = row.get(2);
        assert_eq!(differences, None, "{view}");
        assert_eq!(row.get::<_, i64>(0), row.get::<_, i64>(1));
        buckets += row.get::<_, i64>(0);
    }
    snapshot.commit().unwrap();
    buckets
}

/// A store with three series, points of six days (and few of the weeks round them) and three rollups, one
/// of them made of another, which a job refreshes every second.
fn store(cluster: &Cluster, database: &str, engine: &str) -> Client {
    let extensions: &[&str] =
        if engine == "timescaledb" { &["timescaledb", "lake_stores"] } else { &["lake_stores"] };
    cluster.create_database(database, extensions);
    let mut db = cluster.connect(database, "postgres");
    db.batch_execute(&format!(
        "SELECT lake.series_create('m', chunk_interval => '1 day', engine => '{engine}');
         SELECT lake.series_ingest('m', ts => array_agg(t), metric => array_agg('m' || n), tags => NULL, value => array_agg(n::float8))
         FROM generate_series('2026-01-01Z'::timestamptz, '2026-01-06 23:30Z', interval '30 minutes') t, generate_series(1, 3) n;
         SELECT lake.series_ingest('m', ts => array_agg(t), metric => array_agg('m1'::text), tags => NULL, value => array_agg(0.5::float8))
         FROM generate_series('2025-11-01 06:00Z'::timestamptz, '2026-01-09 06:00Z', interval '1 day') t;
         SELECT lake.series_add_rollup('m', 'hourly', '1 hour', '{{avg,min,max,sum,count,first,last,p95}}');
         SELECT lake.series_add_rollup('hourly', 'weekly', '7 days', '{{avg,count,last,p95}}');
         SELECT lake.series_add_rollup('m', 'daily', '1 day', '{{sum,count}}', timezone => 'Europe/Berlin');
         SELECT lake.alter_job({}, schedule => '1 second')",
        JOB
    ))
    .unwrap_or_else(|e| panic!("{e}"));
    db
}

const JOB: &str = "(SELECT job_id FROM lake.jobs WHERE action = 'refresh_rollup')";

fn job(db: &mut Client) -> i64 {
    db.query_one(&format!("SELECT {JOB}"), &[]).unwrap().get(0)
}

fn pending(db: &mut Client) -> i64 {
    db.query_one("SELECT sum(pending)::int8 FROM lake.rollups", &[]).unwrap().get(0)
}

/// Waits until the worker has refreshed everything, and nothing else is read.
fn settle(db: &mut Client) {
    let job = job(db);
    poll(SOON, "everything to be refreshed", || {
        make_due(db, job);
        // What was written a moment ago is younger than the lag.
        db.batch_execute("SELECT lake.series_refresh_rollup(rollup) FROM lake.rollups").unwrap();
        pending(db) == 0
    });
}

/// Ends the threads of a test, also where it fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes until `stop`: one to three statements a transaction, a third of which is rolled back. Deadlocks
/// among writers are theirs to repeat.
fn write(mut db: Client, seed: u64, stop: &AtomicBool, written: &AtomicU64) {
    let mut dice = Dice(seed);
    while !stop.load(Ordering::Relaxed) {
        let statements: Vec<String> = (0..=dice.below(3)).map(|_| dice.statement()).collect();
        let rolled_back = dice.below(3) == 0;
        let mut transaction = db.transaction().unwrap();
        let done = statements.iter().try_for_each(|sql| transaction.batch_execute(sql));
        match done {
            Ok(()) if rolled_back => transaction.rollback().unwrap(),
            Ok(()) => {
                transaction.commit().unwrap();
                written.fetch_add(1, Ordering::Relaxed);
            }
            Err(e) => {
                let code = e.code().map(|code| code.code().to_owned());
                // A deadlock, or a point that was moved to where another came first.
                assert!(
                    matches!(code.as_deref(), Some("40P01" | "23505")),
                    "seed {seed}: {e}: {statements:?}"
                );
                transaction.rollback().unwrap();
            }
        }
    }
}

fn under_writers(database: &str, engine: &str) {
    let mut db = store(&CLUSTER, database, engine);
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let job = job(&mut db);
    std::thread::scope(|scope| {
        let _ends = Ends(&stop);
        for seed in 1..=3 {
            let client = CLUSTER.connect(database, "postgres");
            let (stop, written) = (&stop, &written);
            scope.spawn(move || write(client, seed, stop, written));
        }
        let runs = outcomes(&mut db, job).len();
        let mut compared = 0;
        poll(SOON * 4, "writers and the worker to meet", || {
            compare(&mut db);
            make_due(&mut db, job);
            compared += 1;
            compared >= 40
                && written.load(Ordering::Relaxed) >= 200
                && outcomes(&mut db, job).len() >= runs + 3
        });
    });
    assert!(!outcomes(&mut db, job).contains(&"failure".to_owned()), "{}", CLUSTER.log());
    assert!(compare(&mut db) > 0);
    settle(&mut db);
    assert!(compare(&mut db) > 0);
    let read: (i64, i64) = {
        let row = db
            .query_one(
                "SELECT (SELECT count(*) FROM hourly), (SELECT count(*) FROM hourly_parts)",
                &[],
            )
            .unwrap();
        (row.get(0), row.get(1))
    };
    assert_eq!(read.0, read.1, "all of it is kept");
}

#[test]
fn the_view_is_right_under_writers_on_native_partitions() {
    under_writers("native", "native");
}

#[test]
fn the_view_is_right_under_writers_on_a_hypertable() {
    if !lacks("timescaledb") {
        under_writers("hyper", "timescaledb");
    }
}

#[test]
fn a_crash_of_the_server_amid_refreshes_loses_nothing() {
    let cluster = Cluster::start(Options::preloaded().preload(&["lake_stores"]));
    let mut db = store(&cluster, "crashing", "native");
    for round in 0..3 {
        // Much waits, and is refreshed in many steps while others write.
        db.batch_execute(
            "UPDATE m SET value = value + 1 WHERE ts < '2026-01-07';
             INSERT INTO m SELECT t, 1, 1 FROM generate_series('2025-11-01Z'::timestamptz, '2025-12-20Z', interval '20 minutes') t
             ON CONFLICT (series_id, ts) DO UPDATE SET value = m.value + 1",
        )
        .unwrap();
        let (before, job) = (pending(&mut db), job(&mut db));
        assert!(before > 0);
        make_due(&mut db, job);
        let mut processes = server_processes(&mut db);
        poll(SOON, "the middle of a run", || {
            let running = "SELECT pid FROM lake.job_runs WHERE outcome = 'running'";
            processes
                .extend(db.query(running, &[]).unwrap().iter().map(|row| row.get::<_, i32>(0)));
            outcomes(&mut db, job).first().is_some_and(|outcome| outcome == "running")
                && db.batch_execute(&Dice(round).statement()).is_ok()
        });
        cluster.signal("KILL", postmaster(&cluster));
        // Those it leaves behind see that it is gone.
        poll(SOON, "its processes to end", || {
            !processes.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists())
        });
        cluster.start_again();
        db = cluster.connect("crashing", "postgres");
        assert!(compare(&mut db) > 0, "round {round}");
    }
    settle(&mut db);
    assert!(compare(&mut db) > 0);
}

fn postmaster(cluster: &Cluster) -> i32 {
    let pid = std::fs::read_to_string(cluster.data().join("postmaster.pid")).unwrap();
    pid.lines().next().unwrap().trim().parse().unwrap()
}

fn server_processes(db: &mut Client) -> Vec<i32> {
    let rows = db.query("SELECT pid FROM pg_stat_activity", &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn a_dump_brings_a_rollup_along_and_it_goes_on() {
    let mut db = store(&CLUSTER, "dumped", "native");
    db.batch_execute(&format!(
        "SELECT lake.alter_job({JOB}, paused => true); SELECT lake.series_refresh_rollup('hourly');
         DELETE FROM m WHERE ts >= '2026-01-03' AND ts < '2026-01-03 05:00'"
    ))
    .unwrap();
    assert!(pending(&mut db) > 0);
    let file = CLUSTER.host().join("rollup.dump");
    CLUSTER.run(CLUSTER.tool("pg_dump").args(["-F", "c", "-d", "dumped", "-f"]).arg(&file));
    CLUSTER.create_database("restored", &[]);
    CLUSTER.run(CLUSTER.tool("pg_restore").args(["-e", "-j", "2", "-d", "restored"]).arg(&file));
    let mut restored = CLUSTER.connect("restored", "postgres");
    let state = "SELECT concat_ws('|', store, rollup, bucket, timezone, aggregates, pending_from, pending) \
                 FROM lake.rollups ORDER BY rollup::text";
    let texts = |db: &mut Client| -> Vec<String> {
        db.query(state, &[]).unwrap().iter().map(|row| row.get(0)).collect()
    };
    assert_eq!(texts(&mut restored), texts(&mut db));
    assert_eq!(compare(&mut restored), compare(&mut db));
    for seed in 1..20 {
        // A point may come to where another is; then nothing is written.
        let _ = restored.batch_execute(&Dice(seed).statement());
        compare(&mut restored);
    }
    let mut old = restored
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .start()
        .unwrap();
    old.batch_execute("DELETE FROM m WHERE ts < '2026-01-02'").unwrap();
    old.commit().unwrap();
    settle(&mut restored);
    compare(&mut restored);
    // Another rollup of the same store gets a number of its own.
    restored
        .batch_execute("SELECT lake.series_add_rollup('m', 'more', '1 hour'); SELECT lake.series_drop_rollup('more')")
        .unwrap();
    compare(&mut restored);
}

#[test]
fn a_standby_reads_the_view_right() {
    let primary = Cluster::start(Options::preloaded().preload(&["lake_stores"]));
    let mut db = store(&primary, "streamed", "native");
    let standby = primary.standby();
    let mut copy = standby.connect("streamed", "postgres");
    let job = job(&mut db);
    let mut dice = Dice(7);
    let mut compared = 0;
    poll(SOON, "several states", || {
        // A point may come to where another is; then nothing is written.
        let _ = db.batch_execute(&dice.statement());
        if dice.below(4) == 0 {
            make_due(&mut db, job);
        }
        compare(&mut copy);
        compared += 1;
        compared >= 40
    });
    settle(&mut db);
    let buckets = compare(&mut db);
    let end: String = db.query_one("SELECT pg_current_wal_lsn()::text", &[]).unwrap().get(0);
    poll(SOON, "the standby to be there", || {
        copy.query_one("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", &[&end])
            .unwrap()
            .get(0)
    });
    assert_eq!((compare(&mut copy), pending(&mut copy)), (buckets, 0));

    // Promoted, it refreshes by itself.
    primary.stop(Stop::Fast);
    copy.batch_execute("SELECT pg_promote()").unwrap();
    copy.batch_execute("UPDATE m SET value = value + 1 WHERE ts < '2026-01-04'").unwrap();
    compare(&mut copy);
    settle(&mut copy);
    compare(&mut copy);
}
