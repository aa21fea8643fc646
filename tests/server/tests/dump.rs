//! Dump and restore, as a superuser and as the database's owner.

use lake_server_tests::stores::store_with_job;
use lake_server_tests::{Cluster, Options};
use postgres::Client;
use std::sync::LazyLock;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let cluster = Cluster::start(Options::preloaded().preload(&["lake_stores"]));
    let mut db = cluster.connect("postgres", "postgres");
    db.batch_execute("CREATE ROLE dba LOGIN").unwrap();
    cluster
});

/// A database of `dba`'s with a store and all that can belong to one.
fn source(name: &str) {
    CLUSTER.create_database(name, &["lake_stores"]);
    let mut db = CLUSTER.connect(name, "postgres");
    db.batch_execute(&format!(
        "ALTER DATABASE {name} OWNER TO dba; CREATE SCHEMA \"Zoo. \"\"x\"\"\" AUTHORIZATION dba"
    ))
    .unwrap();
    let job = store_with_job(&mut db, "\"Zoo. \"\"x\"\"\".\"A b\"", "dba");
    db.batch_execute(
        "ALTER TABLE public.slow_switch OWNER TO dba; ALTER FUNCTION public.slow OWNER TO dba;
         UPDATE _lake.store SET options = '{\"interval\": \"1 day\"}';
         UPDATE _lake.job SET job_id = 41, config = '{\"keep\": \"90 days\"}', paused = true;
         SELECT setval('_lake.job_job_id_seq', 41), setval('_lake.reject_batch_seq', 17);
         INSERT INTO _lake.metric (relid, metric, max_value) SELECT relid, 'cpu', 100 FROM _lake.store;
         INSERT INTO _lake.reject (relid, kind, batch, ordinal, code, message, payload, rejected_by)
         SELECT relid, 'series', 17, 3, 'range', 'too much', '{\"a\": 1.50}', 'dba' FROM _lake.store",
    )
    .unwrap();
    assert!(job > 0);
}

fn summary(db: &mut Client) -> Vec<String> {
    let sql = "
        SELECT concat_ws('|', 'store', store, kind, engine, owner, options) FROM lake.stores
        UNION ALL SELECT concat_ws('|', 'job', job_id, store, action, schedule, state, config) FROM lake.jobs
        UNION ALL SELECT concat_ws('|', 'reject', store, batch, ordinal, code, payload) FROM lake.rejects
        UNION ALL SELECT concat_ws('|', 'metric', relid, metric, max_value) FROM _lake.metric
        UNION ALL SELECT concat_ws('|', 'sequences', (SELECT last_value FROM _lake.job_job_id_seq),
            (SELECT last_value FROM _lake.reject_batch_seq), (SELECT last_value FROM _lake.reject_reject_id_seq))
        UNION ALL SELECT concat_ws('|', 'rows', count(*)) FROM \"Zoo. \"\"x\"\"\".\"A b\"";
    db.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// Dumps `name` as `user`, restores it into a fresh database and compares.
fn round_trip(name: &str, user: &str, format: &str) {
    source(name);
    let file = CLUSTER.host().join(format!("{name}.dump"));
    CLUSTER
        .run(CLUSTER.tool("pg_dump").args(["-U", user, "-F", format, "-d", name, "-f"]).arg(&file));
    let copy = format!("{name}_copy");
    CLUSTER.create_database(&copy, &[]);
    let mut db = CLUSTER.connect("postgres", "postgres");
    db.batch_execute(&format!(
        "ALTER DATABASE {copy} OWNER TO dba; ALTER DATABASE {copy} SET lake_stores.jobs = off"
    ))
    .unwrap();
    if format == "p" {
        CLUSTER.run(
            CLUSTER
                .tool("psql")
                .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &copy, "-f"])
                .arg(&file),
        );
    } else {
        CLUSTER.run(CLUSTER.tool("pg_restore").args(["-e", "-j", "2", "-d", &copy]).arg(&file));
    }
    let before = summary(&mut CLUSTER.connect(name, "postgres"));
    let mut restored = CLUSTER.connect(&copy, "postgres");
    assert_eq!(before.len(), 6);
    assert_eq!(summary(&mut restored), before);

    // It is alive: names resolve to the new tables, and new rows get new numbers.
    restored.execute("SELECT * FROM lake.run_job(41)", &[]).unwrap();
    restored.batch_execute("SELECT lake.drop_store('\"Zoo. \"\"x\"\"\".\"A b\"')").unwrap();
    let left = restored.query_one("SELECT count(*) FROM lake.rejects", &[]).unwrap();
    assert_eq!(left.get::<_, i64>(0), 0);
}

#[test]
fn by_a_superuser_as_sql() {
    round_trip("plain", "postgres", "p");
}

#[test]
fn by_a_superuser_as_archive_restored_in_parallel() {
    round_trip("archive", "postgres", "c");
}

#[test]
fn by_the_owner_of_the_database() {
    round_trip("owned", "dba", "c");
}
