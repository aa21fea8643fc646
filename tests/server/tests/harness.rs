//! The harness itself: a cluster comes up, restarts, and leaves nothing behind.

use lake_server_tests::{Cluster, Options, Stop, poll};
use std::time::Duration;

#[test]
fn a_cluster_starts_restarts_and_is_removed() {
    let cluster = Cluster::start(Options::plain().set("work_mem", "5MB"));
    cluster.create_database("od\"d", &[]);
    let mut db = cluster.connect("od\"d", "postgres");
    assert_eq!(db.query_one("SHOW work_mem", &[]).unwrap().get::<_, String>(0), "5MB");

    cluster.configure([("work_mem", "6MB")]);
    cluster.restart();
    let mut db = cluster.connect("od\"d", "postgres");
    assert_eq!(db.query_one("SHOW work_mem", &[]).unwrap().get::<_, String>(0), "6MB");

    let pid: i32 = db.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    cluster.signal("KILL", pid);
    poll(Duration::from_secs(20), "recovery after a crash", || {
        cluster.try_connect("postgres", "postgres").is_ok()
    });

    cluster.stop(Stop::Immediate);
    let dir = cluster.host().to_owned();
    drop(cluster);
    assert!(!dir.exists(), "{} was left behind", dir.display());
}
