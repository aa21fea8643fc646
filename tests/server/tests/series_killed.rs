//! Retention whose worker dies, at each step of a chunk's way out: nothing is lost that wasn't to go, and the
//! next run goes on from there.

use lake_server_tests::stores::{make_due, outcomes};
use lake_server_tests::{Cluster, Options, SOON, poll, poll_value};
use postgres::Client;

/// Where the worker is held, and killed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// It is written down that the chunk is to go; it is attached.
    Begun,
    /// The detach has begun, and waits for who may still read the chunk.
    Detaching,
    /// The chunk is detached, and nobody has written down by whom.
    Detached,
    /// That is written down, and the table is there.
    Noted,
}

fn count(db: &mut Client, sql: &str) -> i64 {
    db.query_one(sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e}")).get(0)
}

/// Waits until a worker waits for a lock, and returns its process.
fn held(db: &mut Client, condition: &str) -> i32 {
    let sql = format!(
        "SELECT a.pid FROM lake.job_runs r JOIN pg_stat_activity a USING (pid)
         WHERE r.outcome = 'running' AND a.wait_event_type = 'Lock' AND ({condition})"
    );
    poll_value(SOON, condition, || db.query_opt(&sql, &[]).unwrap().map(|row| row.get(0))).0
}

/// Three chunks that are due and one that isn't, with a row each; the first of them goes first.
fn store(cluster: &Cluster, database: &str) -> (Client, i64) {
    cluster.create_database(database, &["lake_stores"]);
    let mut db = cluster.connect(database, "postgres");
    db.batch_execute(
        "SELECT lake.series_create('m', '1 day', 'native');
         SELECT lake.alter_job(job_id, paused => true) FROM lake.jobs;
         SELECT lake.series_ingest('m', array_agg(now() - n * interval '1 day'), array_agg('cpu'::text), NULL, array_agg(n::float8))
         FROM unnest(ARRAY[0, 20, 21, 22]) n;
         SELECT lake.series_set_retention('m', '10 days');
         SELECT lake.alter_job(job_id, paused => true) FROM lake.jobs",
    )
    .unwrap();
    let job = count(&mut db, "SELECT job_id FROM lake.jobs WHERE action = 'retention'");
    (db, job)
}

/// Lets the worker come as far as `stage`, and ends it there.
fn kill_at(cluster: &Cluster, database: &str, stage: Stage, signal: &str) {
    let (mut db, job) = store(cluster, database);
    let oldest: String = db
        .query_one("SELECT chunk::text FROM lake.chunks ORDER BY range_start LIMIT 1", &[])
        .unwrap()
        .get(0);
    let [mut first, mut second] = [0, 1].map(|_| cluster.connect(database, "postgres"));
    first
        .batch_execute(if stage == Stage::Detaching {
            "BEGIN; SELECT count(*) FROM m"
        } else {
            "BEGIN; LOCK TABLE m IN SHARE UPDATE EXCLUSIVE MODE"
        })
        .unwrap();
    db.execute("SELECT lake.alter_job($1, paused => false)", &[&job]).unwrap();
    make_due(&mut db, job);
    let mut pid = held(
        &mut db,
        if stage == Stage::Detaching {
            "EXISTS (SELECT FROM pg_inherits WHERE inhdetachpending)"
        } else {
            "EXISTS (SELECT FROM _lake.series_dropping)"
        },
    );
    if matches!(stage, Stage::Detached | Stage::Noted) {
        second.batch_execute("BEGIN; SELECT FROM _lake.series_dropping FOR UPDATE").unwrap();
        first.batch_execute("ROLLBACK").unwrap();
        let alone =
            "NOT EXISTS (SELECT FROM _lake.series_dropping JOIN pg_inherits ON inhrelid = chunk)";
        pid = held(&mut db, alone);
    }
    if stage == Stage::Noted {
        first.batch_execute(&format!("BEGIN; LOCK TABLE {oldest} IN ACCESS SHARE MODE")).unwrap();
        second.batch_execute("ROLLBACK").unwrap();
        pid = held(&mut db, "EXISTS (SELECT FROM _lake.series_dropping WHERE detached)");
    }
    cluster.signal(signal, pid);
    if signal == "KILL" {
        // The postmaster ends every session and starts anew.
        poll(SOON, "the crash", || db.simple_query("SELECT 1").is_err());
        db = poll_value(SOON, "recovery", || cluster.try_connect(database, "postgres").ok()).0;
    }
    let ended = if signal == "KILL" { "crash" } else { "failure" };
    poll(SOON, "the end of the run", || {
        outcomes(&mut db, job).first().is_some_and(|outcome| outcome == ended)
    });
    drop((first, second));

    // What is attached is whole, and what isn't is there.
    let attached = count(&mut db, "SELECT count(*) FROM m");
    assert_eq!(attached, if stage == Stage::Begun { 4 } else { 3 }, "{stage:?}");
    assert_eq!(count(&mut db, &format!("SELECT count(*) FROM {oldest}")), 1, "{stage:?}");

    make_due(&mut db, job);
    poll(SOON, "a good run", || outcomes(&mut db, job)[0] == "success");
    assert_eq!(count(&mut db, "SELECT count(*) FROM m"), 1, "{stage:?}");
    assert_eq!(count(&mut db, "SELECT count(*) FROM pg_inherits WHERE inhdetachpending"), 0);
    // Whose doing an unnoted detach was can't be told: somebody may have taken the chunk out to keep it.
    let left = i64::from(stage == Stage::Detached);
    let there = format!("SELECT count(*) FROM pg_class WHERE oid = to_regclass('{oldest}')");
    assert_eq!(count(&mut db, &there), left, "{stage:?}");
    let told =
        format!("SELECT count(*) FROM lake.health() h WHERE h::text LIKE '%' || '{oldest}' || '%'");
    assert_eq!(count(&mut db, &told), left, "{stage:?}");
    assert_eq!(count(&mut db, "SELECT count(*) FROM _lake.series_dropping"), left, "{stage:?}");
}

fn at_each_stage(signal: &str) {
    let cluster = Cluster::start(Options::preloaded().preload(&["lake_stores"]));
    for (database, stage) in [
        ("begun", Stage::Begun),
        ("detaching", Stage::Detaching),
        ("detached", Stage::Detached),
        ("noted", Stage::Noted),
    ] {
        kill_at(&cluster, database, stage, signal);
    }
}

#[test]
fn a_worker_that_is_terminated_at_any_step_of_a_detach() {
    at_each_stage("TERM");
}

#[test]
fn a_worker_that_is_killed_at_any_step_of_a_detach() {
    at_each_stage("KILL");
}
