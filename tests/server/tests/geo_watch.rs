//! Watches under many who move places and change areas; with a real worker, a listener, a dump; and by
//! those who may only move places.

use lake_server_tests::{Cluster, Options, SOON, failure, lacks, poll};
use postgres::fallible_iterator::FallibleIterator;
use postgres::{Client, IsolationLevel};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let cluster = Cluster::start(Options::preloaded());
    let mut db = cluster.connect("postgres", "postgres");
    db.batch_execute("CREATE ROLE ada LOGIN; CREATE ROLE driver LOGIN").unwrap();
    cluster
});

/// Forty movers and nine areas of a square of ten degrees, owned by `ada`; and what somebody might do next.
fn stores(database: &str, options: &str) -> Client {
    CLUSTER.create_database(database, &["postgis", "lake_stores"]);
    let mut db = CLUSTER.connect(database, "postgres");
    db.batch_execute(&format!(
        "GRANT CREATE ON SCHEMA public TO ada; SET ROLE ada;
         SELECT lake.geo_create('movers', 'Point', id_type => 'integer'), lake.geo_create('fences', id_type => 'integer');
         CREATE FUNCTION point() RETURNS geometry LANGUAGE sql VOLATILE
             RETURN ST_SetSRID(ST_MakePoint(random() * 10, random() * 10), 4326);
         CREATE FUNCTION area() RETURNS geometry LANGUAGE sql VOLATILE RETURN ST_Buffer(public.point(), 0.2 + random());
         CREATE FUNCTION act() RETURNS text LANGUAGE sql VOLATILE RETURN CASE (random() * 7)::int
             WHEN 0 THEN format('DELETE FROM movers WHERE id = %s', (random() * 40)::int)
             WHEN 1 THEN format('INSERT INTO fences (id, geom) VALUES (%s, area()) ON CONFLICT (id) DO UPDATE SET geom = excluded.geom', (random() * 9)::int)
             WHEN 2 THEN format('DELETE FROM fences WHERE id = %s', (random() * 9)::int)
             WHEN 3 THEN format('UPDATE movers SET geom = point() WHERE id > %s', (random() * 40)::int)
             ELSE format('INSERT INTO movers (id, geom) VALUES (%s, point()) ON CONFLICT (id) DO UPDATE SET geom = excluded.geom', (random() * 40)::int) END;
         INSERT INTO movers (id, geom) SELECT i, point() FROM generate_series(1, 40) i;
         INSERT INTO fences (id, geom) SELECT i, area() FROM generate_series(1, 9) i;
         SELECT lake.geo_watch('movers', 'fences', 'happened'{options}); RESET ROLE"
    ))
    .unwrap_or_else(|e| panic!("{e}"));
    db
}

/// What is inside, what comparing everything finds, and where the events lead: the same in one snapshot.
#[track_caller]
fn compare(db: &mut Client) {
    let row = db
        .query_one(
            "WITH brute AS MATERIALIZED (SELECT m.id AS place, f.id AS fence FROM movers m, fences f WHERE ST_Covers(f.geom, m.geom)),
                  inside AS MATERIALIZED (SELECT place, fence FROM happened_inside),
                  replay AS MATERIALIZED (SELECT place, fence FROM happened GROUP BY place, fence
                             HAVING sum(CASE kind WHEN 'enter' THEN 1 WHEN 'exit' THEN -1 ELSE 0 END) <> 0)
             SELECT (SELECT string_agg(d::text, ' ') FROM ((TABLE brute EXCEPT TABLE inside) UNION ALL (TABLE inside EXCEPT TABLE brute)) d),
                    (SELECT string_agg(d::text, ' ') FROM ((TABLE replay EXCEPT TABLE inside) UNION ALL (TABLE inside EXCEPT TABLE replay)) d),
                    (SELECT string_agg(e::text, ' ') FROM (SELECT *, lag(kind) OVER (PARTITION BY place, fence ORDER BY event_id) AS before
                        FROM happened WHERE kind <> 'dwell') e WHERE kind = COALESCE(before, 'exit'))",
            &[],
        )
        .unwrap();
    for (n, what) in ["inside", "the events", "their order"].iter().enumerate() {
        assert_eq!(row.get::<_, Option<String>>(n), None, "{what}");
    }
}

/// Moves and changes until `stop`: one or two at a time, a quarter of them undone.
fn act(mut db: Client, level: IsolationLevel, stop: &AtomicBool, done: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        let acts: Vec<String> = db
            .query("SELECT act() FROM generate_series(0, (random() * 1.4)::int)", &[])
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        let undone = done.load(Ordering::Relaxed) % 4 == 3;
        let mut transaction = db.build_transaction().isolation_level(level).start().unwrap();
        let result = acts.iter().try_for_each(|sql| transaction.batch_execute(sql));
        let result = match result {
            Ok(()) if undone => transaction.rollback(),
            Ok(()) => transaction.commit(),
            Err(e) => Err(e),
        };
        match result {
            Ok(()) => {
                done.fetch_add(1, Ordering::Relaxed);
            }
            Err(e) => {
                let code = e.code().map(|code| code.code().to_owned());
                // What anybody meets who moves one thing after another, or has an old snapshot.
                assert!(matches!(code.as_deref(), Some("40P01" | "40001")), "{e:?}: {acts:?}");
            }
        }
    }
}

#[test]
fn what_is_inside_is_right_whoever_moves_and_changes_at_once() {
    if lacks("postgis") {
        return;
    }
    let mut db = stores("watched", "");
    db.batch_execute("TRUNCATE movers; TRUNCATE happened; INSERT INTO movers (id, geom) SELECT i, point() FROM generate_series(1, 40) i").unwrap();
    CLUSTER.configure([("deadlock_timeout", "20ms")]);
    CLUSTER.reload();
    let (stop, done) = (AtomicBool::new(false), [const { AtomicU64::new(0) }; 3]);
    let levels = [
        IsolationLevel::ReadCommitted,
        IsolationLevel::RepeatableRead,
        IsolationLevel::Serializable,
    ];
    std::thread::scope(|scope| {
        struct Ends<'a>(&'a AtomicBool);
        impl Drop for Ends<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _ends = Ends(&stop);
        for (level, done) in levels.into_iter().zip(&done) {
            for _ in 0..2 {
                let client = CLUSTER.connect("watched", "ada");
                let stop = &stop;
                scope.spawn(move || act(client, level, stop, done));
            }
        }
        let mut compared = 0;
        poll(SOON * 4, "enough to have been done", || {
            compare(&mut db);
            compared += 1;
            compared >= 30 && done.iter().all(|done| done.load(Ordering::Relaxed) >= 100)
        });
    });
    compare(&mut db);
}

#[test]
fn the_worker_notes_who_stays_and_listeners_are_told() {
    if lacks("postgis") {
        return;
    }
    let mut db = stores("stays", ", dwell => '1 second', notify => 'Odd \"Channel'");
    let mut listener = CLUSTER.connect("stays", "postgres");
    listener.batch_execute("LISTEN \"Odd \"\"Channel\"").unwrap();
    db.batch_execute(
        "TRUNCATE movers; TRUNCATE happened; UPDATE fences SET geom = ST_MakeEnvelope(20, 20, 30, 30, 4326) WHERE id = 1",
    )
    .unwrap();
    for (id, end) in [(107, "ROLLBACK"), (108, "COMMIT")] {
        db.batch_execute(&format!(
            "BEGIN; INSERT INTO movers (id, geom) VALUES ({id}, 'SRID=4326;POINT(25 25)'); {end}"
        ))
        .unwrap();
    }
    poll(SOON, "the stay to be noted", || {
        db.query_one("SELECT count(*) FROM happened WHERE kind = 'dwell'", &[])
            .unwrap()
            .get::<_, i64>(0)
            == 1
    });
    let mut told = Vec::new();
    poll(SOON, "the listener to be told", || {
        let mut notifications = listener.notifications();
        let mut waiting = notifications.timeout_iter(Duration::from_millis(100));
        while let Some(notification) = waiting.next().unwrap() {
            told.push(notification.payload().to_owned());
        }
        told.iter().any(|payload| payload.contains("dwell"))
    });
    let of_one: Vec<&String> = told.iter().filter(|t| t.contains("\"place\" : 108")).collect();
    assert_eq!(of_one.len(), 2, "{told:?}");
    for (payload, kind) in of_one.into_iter().zip(["enter", "dwell"]) {
        let same: bool = db
            .query_one(
                "SELECT e.kind = $2 AND e.place = ($1::text::json ->> 'place')::int AND e.fence = 1
                    AND e.at = ($1::text::json ->> 'at')::timestamptz AND $1::text::json ->> 'events' = 'public.happened'
                 FROM happened e WHERE event_id = ($1::text::json ->> 'event_id')::int8",
                &[payload, &kind],
            )
            .unwrap()
            .get(0);
        assert!(same, "{payload}");
    }
    assert!(!told.iter().any(|t| t.contains("\"place\" : 107")), "{told:?}");
}

#[test]
fn a_dump_brings_a_watch_along_and_it_goes_on() {
    if lacks("postgis") {
        return;
    }
    let mut db = stores("fenced", ", dwell => '1 hour', keep => '1 day', notify => 'c'");
    db.batch_execute("UPDATE movers SET geom = point()").unwrap();
    let file = CLUSTER.host().join("watch.dump");
    CLUSTER.run(CLUSTER.tool("pg_dump").args(["-F", "c", "-d", "fenced", "-f"]).arg(&file));
    CLUSTER.create_database("fenced_again", &[]);
    CLUSTER
        .run(CLUSTER.tool("pg_restore").args(["-e", "-j", "2", "-d", "fenced_again"]).arg(&file));
    let mut restored = CLUSTER.connect("fenced_again", "postgres");
    let state = |db: &mut Client| -> String {
        db.query_one(
            "SELECT concat_ws('|', (SELECT string_agg(w::text, ';') FROM lake.geo_watches w), \
                (SELECT string_agg(e::text, ';' ORDER BY event_id) FROM happened e), \
                (SELECT string_agg(i::text, ';' ORDER BY place, fence) FROM happened_inside i), \
                (SELECT schedule FROM lake.jobs WHERE action = 'watch'))",
            &[],
        )
        .unwrap()
        .get(0)
    };
    assert_eq!(state(&mut restored), state(&mut db));
    let before: i64 = restored.query_one("SELECT count(*) FROM happened", &[]).unwrap().get(0);
    restored
        .batch_execute("UPDATE movers SET geom = point(); UPDATE fences SET geom = area()")
        .unwrap();
    let row = restored
        .query_one(
            "SELECT (SELECT count(*) FROM happened), lake.geo_refresh_watch('happened')",
            &[],
        )
        .unwrap();
    assert!(row.get::<_, i64>(0) > before);
    assert_eq!(row.get::<_, i64>(1), 0, "nothing was missed");
}

#[test]
fn who_may_only_move_places_moves_them_and_nothing_else() {
    if lacks("postgis") {
        return;
    }
    let mut db = stores("moved", "");
    db.batch_execute("GRANT SELECT (id), INSERT, UPDATE ON movers TO driver").unwrap();
    let mut driver = CLUSTER.connect("moved", "driver");
    driver
        .batch_execute("UPDATE movers SET geom = point() WHERE id < 20; INSERT INTO movers VALUES (99, point())")
        .unwrap();
    for sql in [
        "SELECT * FROM happened",
        "SELECT * FROM happened_inside",
        "SELECT * FROM fences",
        "SELECT lake.geo_refresh_watch('happened')",
        "SELECT lake.geo_unwatch('happened')",
        "SELECT lake.geo_watch('movers', 'fences', 'mine')",
        "DELETE FROM _lake.geo_watch",
    ] {
        assert_eq!(failure(driver.batch_execute(sql)).code, "42501", "{sql}");
    }
    let missed: i64 =
        db.query_one("SELECT lake.geo_refresh_watch('happened')", &[]).unwrap().get(0);
    assert_eq!(missed, 0);
}
