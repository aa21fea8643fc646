//! Databases, extensions, owners and tables that come and go while workers run.

use lake_server_tests::stores::{make_due, outcomes, slow_jobs, store_with_job};
use lake_server_tests::{Cluster, Options, SOON, failure, poll};
use postgres::Client;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let cluster = Cluster::start(Options::preloaded().preload(&["lake_stores"]));
    let mut db = cluster.connect("postgres", "postgres");
    db.batch_execute("CREATE ROLE alice NOLOGIN; CREATE ROLE bob LOGIN").unwrap();
    cluster
});

fn maintenance() -> Client {
    CLUSTER.connect("postgres", "postgres")
}

/// A database with a worker at a job that takes ten seconds.
fn busy_database(name: &str) {
    CLUSTER.create_database(name, &["lake_stores"]);
    let mut db = CLUSTER.connect(name, "postgres");
    let job = store_with_job(&mut db, "public.metrics", "alice");
    slow_jobs(&mut db, true);
    make_due(&mut db, job);
    poll(SOON, "the job at work", || outcomes(&mut db, job) == ["running"]);
}

#[test]
fn drop_database_finds_it_free_between_visits() {
    CLUSTER.create_database("idle", &["lake_stores"]);
    let mut db = CLUSTER.connect("idle", "postgres");
    poll(SOON, "a visit", || {
        db.query_one("SELECT last_visit IS NOT NULL FROM lake.worker_status", &[]).unwrap().get(0)
    });
    drop(db);
    maintenance().batch_execute("CREATE DATABASE copy TEMPLATE idle").unwrap();
    maintenance().batch_execute("DROP DATABASE idle").unwrap();
    // The copy is looked after like any other.
    let mut db = CLUSTER.connect("copy", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "alice");
    make_due(&mut db, job);
    poll(SOON, "a run", || outcomes(&mut db, job) == ["success"]);
}

#[test]
fn drop_database_while_a_job_is_at_work() {
    for (name, sql) in [
        ("plain", "DROP DATABASE plain"),
        ("forced", "DROP DATABASE forced WITH (FORCE)"),
        ("renamed", "ALTER DATABASE renamed RENAME TO renamed2"),
        ("copied", "CREATE DATABASE copied2 TEMPLATE copied"),
    ] {
        busy_database(name);
        let start = Instant::now();
        maintenance().batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert!(start.elapsed() < Duration::from_secs(4), "{sql} took {:?}", start.elapsed());
    }
}

#[test]
fn who_may_not_drop_a_database_disturbs_no_job() {
    busy_database("guarded");
    let mut db = CLUSTER.connect("guarded", "postgres");
    let pid = "SELECT pid FROM lake.job_runs WHERE outcome = 'running'";
    let before: i32 = db.query_one(pid, &[]).unwrap().get(0);
    let mut bob = CLUSTER.connect("postgres", "bob");
    assert_eq!(failure(bob.batch_execute("DROP DATABASE guarded")).code, "42501");
    let alive = db.query_one("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", &[&before]);
    assert_eq!(alive.unwrap().get::<_, i64>(0), 1);
}

/// Everything there is in a database but system objects, as `type identity`.
fn objects(db: &mut Client) -> Vec<String> {
    let sql = "
        SELECT DISTINCT o.type || ' ' || o.identity
        FROM (SELECT 'pg_class'::regclass::oid AS c, oid FROM pg_class WHERE oid >= 16384
              UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE oid >= 16384
              UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE oid >= 16384
              UNION ALL SELECT 'pg_namespace'::regclass, oid FROM pg_namespace
                  WHERE oid >= 16384 AND nspname !~ '^pg_(temp|toast_temp)_'
              UNION ALL SELECT 'pg_operator'::regclass, oid FROM pg_operator WHERE oid >= 16384
              UNION ALL SELECT 'pg_cast'::regclass, oid FROM pg_cast WHERE oid >= 16384
              UNION ALL SELECT 'pg_trigger'::regclass, oid FROM pg_trigger WHERE oid >= 16384
              UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE oid >= 16384
              UNION ALL SELECT 'pg_event_trigger'::regclass, oid FROM pg_event_trigger
              UNION ALL SELECT 'pg_extension'::regclass, oid FROM pg_extension WHERE oid >= 16384
             ) x, pg_identify_object(x.c, x.oid, 0) o
        ORDER BY 1";
    db.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

#[test]
fn dropping_the_extension_leaves_the_tables_and_nothing_else() {
    CLUSTER.create_database("members", &[]);
    let mut db = CLUSTER.connect("members", "postgres");
    db.batch_execute("CREATE TABLE public.metrics (n int); INSERT INTO public.metrics VALUES (1)")
        .unwrap();
    let before = objects(&mut db);
    db.batch_execute(
        "CREATE EXTENSION lake_stores;
         INSERT INTO _lake.store (relid, kind, engine) VALUES ('public.metrics', 'series', 'native')",
    )
    .unwrap();
    assert!(objects(&mut db).len() > before.len() + 20);
    db.batch_execute("DROP EXTENSION lake_stores").unwrap();
    assert_eq!(objects(&mut db), before);
    assert_eq!(db.query_one("SELECT n FROM public.metrics", &[]).unwrap().get::<_, i32>(0), 1);
    // And it can come back, and go with its tables in one command.
    db.batch_execute("CREATE EXTENSION lake_stores; DROP TABLE public.metrics; DROP EXTENSION lake_stores CASCADE")
        .unwrap();
}

#[test]
fn dropping_the_extension_while_a_job_is_at_work() {
    busy_database("extension");
    let mut db = CLUSTER.connect("extension", "postgres");
    // It waits for the step, rolls back, and the job is none the worse.
    slow_jobs(&mut db, false);
    let mut drop = db.transaction().unwrap();
    drop.batch_execute("DROP EXTENSION lake_stores").unwrap();
    drop.rollback().unwrap();
    let job: i64 = db.query_one("SELECT job_id FROM lake.jobs", &[]).unwrap().get(0);
    poll(SOON, "the end of the run", || outcomes(&mut db, job) == ["success"]);
    make_due(&mut db, job);
    poll(SOON, "another run", || outcomes(&mut db, job) == ["success", "success"]);

    db.batch_execute("DROP EXTENSION lake_stores").unwrap();
    assert!(db.batch_execute("SELECT 1 FROM lake.jobs").is_err());
    assert_eq!(db.query_one("SELECT count(*) FROM metrics", &[]).unwrap().get::<_, i64>(0), 200);
}

#[test]
fn an_extension_that_is_not_committed_is_not_there() {
    CLUSTER.create_database("uncommitted", &[]);
    let mut db = CLUSTER.connect("uncommitted", "postgres");
    let mut create = db.transaction().unwrap();
    create.batch_execute("CREATE EXTENSION lake_stores").unwrap();
    let mut proof = {
        CLUSTER.create_database("proof", &["lake_stores"]);
        CLUSTER.connect("proof", "postgres")
    };
    // Two more rounds of visits pass by.
    let mut last: Option<String> = None;
    for _ in 0..3 {
        poll(SOON, "a visit", || {
            let seen: Option<String> = proof
                .query_one("SELECT last_visit::text FROM lake.worker_status", &[])
                .unwrap()
                .get(0);
            let moved = seen.is_some() && seen != last;
            last = seen;
            moved
        });
    }
    create.rollback().unwrap();
    assert!(db.batch_execute("SELECT lake.version()").is_err());
    db.batch_execute("CREATE EXTENSION lake_stores").unwrap();
    let job = store_with_job(&mut db, "public.metrics", "alice");
    make_due(&mut db, job);
    poll(SOON, "a run", || outcomes(&mut db, job) == ["success"]);
    assert!(!CLUSTER.log().contains("couldn't look after database"), "{}", CLUSTER.log());
}

/// What the catalogue holds about anything.
fn ghosts(db: &mut Client) -> i64 {
    let sql = "SELECT (SELECT count(*) FROM _lake.store) + (SELECT count(*) FROM _lake.job) \
               + (SELECT count(*) FROM _lake.job_run) + (SELECT count(*) FROM _lake.reject) \
               + (SELECT count(*) FROM _lake.metric)";
    db.query_one(sql, &[]).unwrap().get(0)
}

fn store_with_everything(db: &mut Client, name: &str, owner: &str) -> i64 {
    let job = store_with_job(db, name, owner);
    db.batch_execute(&format!(
        "INSERT INTO _lake.metric (relid, metric) VALUES ('{name}', 'cpu');
         INSERT INTO _lake.reject (relid, kind, batch, ordinal, code, message, payload, rejected_by)
         VALUES ('{name}', 'series', 1, 1, 'range', 'too much', '{{}}', 'bob')"
    ))
    .unwrap();
    db.execute("SELECT lake.run_job($1)", &[&job]).unwrap();
    job
}

#[test]
fn a_table_dropped_by_hand_leaves_no_ghost() {
    CLUSTER.create_database("ghosts", &["lake_stores"]);
    let mut db = CLUSTER.connect("ghosts", "postgres");
    db.batch_execute(
        "CREATE ROLE gone NOLOGIN; CREATE SCHEMA app; GRANT ALL ON SCHEMA app TO gone, bob",
    )
    .unwrap();
    for (owner, sql) in [
        ("bob", "DROP TABLE app.\"We\"\"ird; --\""),
        ("bob", "DROP SCHEMA app CASCADE; CREATE SCHEMA app; GRANT ALL ON SCHEMA app TO gone, bob"),
        ("gone", "DROP OWNED BY gone; GRANT ALL ON SCHEMA app TO gone"),
        ("bob", "SELECT lake.drop_store('app.\"We\"\"ird; --\"')"),
    ] {
        store_with_everything(&mut db, "app.\"We\"\"ird; --\"", owner);
        assert_eq!(ghosts(&mut db), 5);
        db.batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_eq!(ghosts(&mut db), 0, "after {sql}");
    }
    // As an ordinary role, and undone with the drop.
    store_with_everything(&mut db, "app.metrics", "bob");
    let mut bob = CLUSTER.connect("ghosts", "bob");
    bob.batch_execute("BEGIN; DROP TABLE app.metrics; ROLLBACK").unwrap();
    assert_eq!(ghosts(&mut db), 5);
    bob.batch_execute("DROP TABLE app.metrics").unwrap();
    assert_eq!(ghosts(&mut db), 0);
}

#[test]
fn a_visit_forgets_what_event_triggers_missed() {
    CLUSTER.create_database("missed", &["lake_stores"]);
    let mut db = CLUSTER.connect("missed", "postgres");
    store_with_everything(&mut db, "public.metrics", "alice");
    // As in single-user mode, where none fires.
    db.batch_execute(
        "BEGIN; ALTER EVENT TRIGGER lake_stores_drop DISABLE; DROP TABLE public.metrics;
         ALTER EVENT TRIGGER lake_stores_drop ENABLE; COMMIT",
    )
    .unwrap();
    poll(SOON, "the ghosts to go", || ghosts(&mut db) == 0);
}

#[test]
fn stores_survive_rename_move_and_change_of_owner() {
    CLUSTER.create_database("moves", &["lake_stores"]);
    let mut db = CLUSTER.connect("moves", "postgres");
    db.batch_execute(
        "CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO alice; CREATE ROLE leaver NOLOGIN",
    )
    .unwrap();
    let job = store_with_everything(&mut db, "public.metrics", "leaver");
    db.batch_execute(
        "ALTER TABLE public.metrics RENAME TO \"Me\"\"tr.ics\";
         ALTER TABLE public.\"Me\"\"tr.ics\" SET SCHEMA app;
         REASSIGN OWNED BY leaver TO alice; DROP OWNED BY leaver; DROP ROLE leaver",
    )
    .unwrap();
    let store = db.query_one("SELECT store::text, owner::text FROM lake.stores", &[]).unwrap();
    assert_eq!(store.get::<_, String>(0), "app.\"Me\"\"tr.ics\"");
    assert_eq!(store.get::<_, String>(1), "alice");
    make_due(&mut db, job);
    poll(SOON, "a run", || outcomes(&mut db, job) == ["success", "success"]);
    let subject: String = db
        .query_one(
            "SELECT detail->'subjects'->>0 FROM lake.job_runs ORDER BY run_id DESC LIMIT 1",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(subject, "app.\"Me\"\"tr.ics\"");
}

#[test]
fn an_owner_without_privileges_fails_and_is_recorded() {
    CLUSTER.create_database("revoked", &["lake_stores"]);
    let mut db = CLUSTER.connect("revoked", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "alice");
    db.batch_execute("REVOKE EXECUTE ON FUNCTION public.slow(int) FROM PUBLIC").unwrap();
    make_due(&mut db, job);
    poll(SOON, "a failed run", || outcomes(&mut db, job) == ["failure"]);
    let run = db.query_one("SELECT sqlstate, message FROM lake.job_runs", &[]).unwrap();
    assert_eq!(run.get::<_, String>(0), "42501");
    assert!(run.get::<_, String>(1).contains("slow"), "{}", run.get::<_, String>(1));
    db.batch_execute("GRANT EXECUTE ON FUNCTION public.slow(int) TO alice").unwrap();
    make_due(&mut db, job);
    poll(SOON, "a good run", || outcomes(&mut db, job)[0] == "success");
}

#[test]
fn it_can_be_created_where_no_engine_is_and_with_engines_elsewhere() {
    CLUSTER.create_database("plainest", &["lake_stores"]);
    let mut db = CLUSTER.connect("plainest", "postgres");
    let engines =
        "SELECT count(*) FILTER (WHERE installed_version IS NULL), count(*) FROM lake.engines";
    let row = db.query_one(engines, &[]).unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (3, 3));

    if lake_server_tests::lacks("vector") {
        return;
    }
    db.batch_execute(
        "CREATE SCHEMA \"Ext ensions\"; CREATE EXTENSION vector SCHEMA \"Ext ensions\"",
    )
    .unwrap();
    let schema: String = db
        .query_one("SELECT engine_schema FROM lake.engines WHERE engine = 'vector'", &[])
        .unwrap()
        .get(0);
    assert_eq!(schema, "Ext ensions");
}
