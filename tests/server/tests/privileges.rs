//! Who sees and may do what.

use lake_server_tests::stores::{outcomes, store_with_job};
use lake_server_tests::{Cluster, Options, failure};
use std::sync::LazyLock;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let cluster = Cluster::start(Options::plain());
    let mut db = cluster.connect("postgres", "postgres");
    db.batch_execute(
        "CREATE ROLE team NOLOGIN; CREATE ROLE alice LOGIN IN ROLE team; CREATE ROLE mallory LOGIN;
         CREATE ROLE watch LOGIN IN ROLE pg_monitor; CREATE ROLE dba LOGIN",
    )
    .unwrap();
    cluster
});

#[test]
fn others_see_no_rejects_and_no_history_and_change_nothing() {
    CLUSTER.create_database("rights", &["lake_stores"]);
    let mut db = CLUSTER.connect("rights", "postgres");
    db.batch_execute("ALTER DATABASE rights OWNER TO dba").unwrap();
    let job = store_with_job(&mut db, "public.metrics", "team");
    db.batch_execute(
        "INSERT INTO _lake.reject (relid, kind, batch, ordinal, code, message, payload, rejected_by)
         VALUES ('public.metrics', 'series', 1, 1, 'range', 'secret', '{\"salary\": 1}', 'alice')",
    )
    .unwrap();
    db.execute("SELECT * FROM lake.run_job($1)", &[&job]).unwrap();
    db.batch_execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC").unwrap();

    let mut mallory = CLUSTER.connect("rights", "mallory");
    for view in ["lake.rejects", "lake.job_runs"] {
        let count = mallory.query_one(&format!("SELECT count(*) FROM {view}"), &[]).unwrap();
        assert_eq!(count.get::<_, i64>(0), 0, "{view}");
    }
    for statement in [
        "SELECT * FROM lake.run_job(1)",
        "SELECT lake.alter_job(1, paused => true)",
        "SELECT lake.drop_store('public.metrics')",
        "SELECT lake.drop_store('public.metrics', keep_table => true)",
        "SELECT * FROM lake.replay_rejects('public.metrics')",
        "SELECT lake.purge_rejects('public.metrics')",
        "SELECT lake.start_worker()",
        "SELECT * FROM _lake.reject",
        "SELECT * FROM _lake.job_run",
        "UPDATE _lake.job SET relid = 'pg_class'",
        "DELETE FROM _lake.store",
        "INSERT INTO _lake.store (relid, kind, engine) VALUES ('pg_class', 'geo', 'native')",
        "UPDATE _lake.visit SET pid = 1",
        "SELECT nextval('_lake.job_job_id_seq')",
        "CREATE TABLE lake.t ()",
        "CREATE FUNCTION _lake.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT _lake.on_drop()",
    ] {
        let found = failure(mallory.batch_execute(statement));
        assert_eq!(found.code, "42501", "{statement}: {}", found.message);
    }
    // A function that tells what it sees doesn't see what the view hides.
    mallory
        .batch_execute(
            "CREATE FUNCTION pg_temp.leak(t text) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS $$
             BEGIN RAISE EXCEPTION 'saw %', t; END $$;
             SELECT * FROM lake.rejects WHERE pg_temp.leak(message);
             SELECT * FROM lake.job_runs WHERE pg_temp.leak(action)",
        )
        .unwrap();

    // Members of the owner's role see and do all of it.
    let mut alice = CLUSTER.connect("rights", "alice");
    assert_eq!(outcomes(&mut alice, job), ["success"]);
    let secret = alice.query_one("SELECT payload::text FROM lake.rejects", &[]).unwrap();
    assert_eq!(secret.get::<_, String>(0), "{\"salary\": 1}");
    alice.execute("SELECT * FROM lake.run_job($1)", &[&job]).unwrap();
    alice.execute("SELECT lake.alter_job($1, paused => true)", &[&job]).unwrap();
    let purged = alice.query_one("SELECT lake.purge_rejects('public.metrics')", &[]).unwrap();
    assert_eq!(purged.get::<_, i64>(0), 1);

    // Monitoring sees runs, but not what people's data was.
    let mut watch = CLUSTER.connect("rights", "watch");
    assert_eq!(outcomes(&mut watch, job), ["success", "success"]);
    assert_eq!(
        failure(watch.batch_execute("SELECT lake.alter_job(1, paused => false)")).code,
        "42501"
    );

    alice.batch_execute("SELECT lake.drop_store('public.metrics')").unwrap();
    let left = db.query_one("SELECT to_regclass('public.metrics') IS NULL", &[]).unwrap();
    assert!(left.get::<_, bool>(0));
}

#[test]
fn a_job_runs_with_the_owners_rights_whoever_starts_it() {
    CLUSTER.create_database("asowner", &["lake_stores"]);
    let mut db = CLUSTER.connect("asowner", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "team");
    db.batch_execute("REVOKE EXECUTE ON FUNCTION public.slow(int) FROM PUBLIC").unwrap();
    // The superuser could, the owner can't.
    let found = failure(db.execute("SELECT * FROM lake.run_job($1)", &[&job]));
    assert_eq!(found.code, "42501", "{}", found.message);
    assert!(outcomes(&mut db, job).is_empty(), "an error leaves no record in the foreground");
    let failures: i32 = db.query_one("SELECT failures FROM lake.jobs", &[]).unwrap().get(0);
    assert_eq!(failures, 0);
}

#[test]
fn wrong_calls_say_what_is_wrong() {
    CLUSTER.create_database("wrong", &["lake_stores"]);
    let mut db = CLUSTER.connect("wrong", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "postgres");
    db.batch_execute("CREATE TABLE public.plain ()").unwrap();
    for (statement, code, message) in [
        ("SELECT lake.run_job(99)", "42704", "job 99 does not exist"),
        ("SELECT lake.run_job(null)", "22004", "job_id must not be null"),
        ("SELECT lake.alter_job(99, paused => true)", "42704", "job 99 does not exist"),
        ("SELECT lake.alter_job(JOB, '0')", "22023", "schedule must be a second or more"),
        ("SELECT lake.alter_job(JOB, '-1 day')", "22023", "schedule must be a second or more"),
        ("SELECT lake.alter_job(JOB, config => '[]')", "22023", "config must be a JSON object"),
        ("SELECT lake.drop_store(null)", "22004", "store must not be null"),
        ("SELECT lake.drop_store('public.plain')", "42809", "public.plain is not a store"),
        ("SELECT lake.drop_store(0)", "42P01", "relation with OID 0 does not exist"),
        ("SELECT lake.replay_rejects('public.plain')", "42809", "public.plain is not a store"),
        ("SELECT lake.purge_rejects(null)", "22004", "store must not be null"),
    ] {
        let statement = statement.replace("JOB", &job.to_string());
        let found = failure(db.batch_execute(&statement));
        assert_eq!((found.code.as_str(), found.message.as_str()), (code, message), "{statement}");
    }
    // A view on the table stands in the way of dropping it, and then nothing is forgotten either.
    db.batch_execute("CREATE VIEW public.v AS SELECT * FROM public.metrics").unwrap();
    assert_eq!(failure(db.batch_execute("SELECT lake.drop_store('public.metrics')")).code, "2BP01");
    let stores = "SELECT count(*) FROM lake.stores";
    assert_eq!(db.query_one(stores, &[]).unwrap().get::<_, i64>(0), 1);
    db.batch_execute("SELECT lake.drop_store('public.metrics', keep_table => true)").unwrap();
    assert_eq!(db.query_one(stores, &[]).unwrap().get::<_, i64>(0), 0);
    assert_eq!(db.query_one("SELECT count(*) FROM public.v", &[]).unwrap().get::<_, i64>(0), 200);
}
