//! Jobs in real workers: they run as their owner, are recorded, back off, and stop at once.

use lake_server_tests::stores::{make_due, outcomes, slow_jobs, store_with_job, visit_pid};
use lake_server_tests::{Cluster, Options, SOON, Stop, failure, poll, poll_value};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let cluster = Cluster::start(Options::preloaded().preload(&["lake_stores"]));
    let mut db = cluster.connect("postgres", "postgres");
    db.batch_execute("CREATE ROLE alice NOLOGIN; CREATE ROLE bob LOGIN; CREATE ROLE mallory LOGIN")
        .unwrap();
    cluster
});

#[test]
fn a_due_job_runs_as_its_owner_and_is_recorded() {
    CLUSTER.create_database("recorded", &["lake_stores"]);
    let mut db = CLUSTER.connect("recorded", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "alice");
    // Who analyses is who evaluates the index expression.
    db.batch_execute(
        "CREATE TABLE public.seen (who text); GRANT INSERT ON public.seen TO PUBLIC;
         CREATE FUNCTION public.note() RETURNS void LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO public.seen VALUES (current_user::text || ' ' ||
                 pg_catalog.current_setting('max_parallel_workers_per_gather') || ' ' ||
                 pg_catalog.current_setting('search_path'));
         END $$;
         CREATE FUNCTION public.who(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
         BEGIN PERFORM public.note(); RETURN n; END $$;
         CREATE INDEX ON public.metrics (public.who(n));
         TRUNCATE public.seen;",
    )
    .unwrap();
    make_due(&mut db, job);
    poll(SOON, "a run", || outcomes(&mut db, job) == ["success"]);

    let seen: Vec<String> = db
        .query("SELECT DISTINCT who FROM public.seen", &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(seen, ["alice 0 pg_catalog, pg_temp"]);

    let run = db
        .query_one(
            "SELECT steps, rows, detail->'subjects'->>0, finished_at >= started_at, sqlstate \
             FROM lake.job_runs WHERE job_id = $1",
            &[&job],
        )
        .unwrap();
    assert_eq!(run.get::<_, i64>(0), 1);
    assert_eq!(run.get::<_, i64>(1), 200);
    assert_eq!(run.get::<_, String>(2), "public.metrics");
    assert!(run.get::<_, bool>(3));
    assert_eq!(run.get::<_, Option<String>>(4), None);
    let next = db
        .query_one(
            "SELECT failures, next_run > now() + interval '50 minutes', state FROM lake.jobs \
             WHERE job_id = $1",
            &[&job],
        )
        .unwrap();
    assert_eq!(next.get::<_, i32>(0), 0);
    assert!(next.get::<_, bool>(1), "the next run is an hour later");
    assert_eq!(next.get::<_, String>(2), "waiting");
}

#[test]
fn nothing_that_a_job_sets_outlives_its_step() {
    CLUSTER.create_database("leaks", &["lake_stores"]);
    let mut db = CLUSTER.connect("leaks", "postgres");
    let first = store_with_job(&mut db, "public.first", "alice");
    let second = store_with_job(&mut db, "public.second", "bob");
    db.batch_execute(
        "CREATE FUNCTION public.sets(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
         BEGIN
             PERFORM pg_catalog.set_config('search_path', 'evil', false);
             PERFORM pg_catalog.set_config('lake_stores.max_batch_rows', '1', false);
             RETURN n;
         END $$;
         CREATE TABLE public.seen (setting text); GRANT INSERT ON public.seen TO PUBLIC;
         CREATE FUNCTION public.note() RETURNS void LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO public.seen VALUES (pg_catalog.current_setting('search_path') || ' '
                 || pg_catalog.current_setting('lake_stores.max_batch_rows'));
         END $$;
         CREATE FUNCTION public.sees(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
         BEGIN PERFORM public.note(); RETURN n; END $$;
         CREATE INDEX ON public.second (public.sees(n));
         CREATE INDEX ON public.first (public.sets(n));
         TRUNCATE public.seen;
         RESET search_path;",
    )
    .unwrap();
    // In one transaction, so that one visit does both, in this order.
    let mut both = db.transaction().unwrap();
    both.execute("SELECT lake.alter_job($1, next_run => now() - interval '2 s')", &[&first])
        .unwrap();
    both.execute("SELECT lake.alter_job($1, next_run => now() - interval '1 s')", &[&second])
        .unwrap();
    both.commit().unwrap();
    poll(SOON, "both runs", || {
        outcomes(&mut db, first) == ["success"] && outcomes(&mut db, second) == ["success"]
    });
    let pids = "SELECT count(DISTINCT pid) FROM lake.job_runs";
    assert_eq!(db.query_one(pids, &[]).unwrap().get::<_, i64>(0), 1, "one visit did both");
    let seen = db.query_one("SELECT string_agg(DISTINCT setting, '; ') FROM seen", &[]).unwrap();
    assert_eq!(seen.get::<_, String>(0), "pg_catalog, pg_temp 1000000");
}

#[test]
fn an_owner_cannot_become_superuser_through_a_job() {
    CLUSTER.create_database("escalate", &["lake_stores"]);
    let mut db = CLUSTER.connect("escalate", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "bob");
    db.batch_execute(
        "CREATE FUNCTION public.up() RETURNS void LANGUAGE plpgsql AS $$
         BEGIN
             IF pg_catalog.current_setting('application_name') = 'lake_stores visit' THEN
                 RESET ROLE;
                 SET SESSION AUTHORIZATION postgres;
             END IF;
         END $$;
         CREATE FUNCTION public.climb(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
         BEGIN PERFORM public.up(); RETURN n; END $$;
         CREATE INDEX ON public.metrics (public.climb(n));",
    )
    .unwrap();
    make_due(&mut db, job);
    poll(SOON, "a run", || outcomes(&mut db, job) == ["failure"]);
    let run = db
        .query_one("SELECT sqlstate, message FROM lake.job_runs WHERE job_id = $1", &[&job])
        .unwrap();
    assert_eq!(run.get::<_, String>(0), "42501", "{}", run.get::<_, String>(1));
}

#[test]
fn a_deferred_trigger_does_not_fire_as_superuser() {
    CLUSTER.create_database("deferred", &["lake_stores"]);
    let mut db = CLUSTER.connect("deferred", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "bob");
    db.batch_execute(
        "CREATE TABLE public.seen (who text); GRANT ALL ON public.seen TO PUBLIC;
         CREATE TABLE public.bait (n int); GRANT ALL ON public.bait TO PUBLIC;
         CREATE FUNCTION public.at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO public.seen VALUES (current_user); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER t AFTER INSERT ON public.bait
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.at_commit();
         CREATE FUNCTION public.lay() RETURNS void LANGUAGE sql VOLATILE
             AS 'INSERT INTO public.bait VALUES (1)';
         CREATE FUNCTION public.laid(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
         BEGIN
             IF pg_catalog.current_setting('application_name') = 'lake_stores visit' THEN
                 PERFORM public.lay();
             END IF;
             RETURN n;
         END $$;
         CREATE INDEX ON public.metrics (public.laid(n));",
    )
    .unwrap();
    make_due(&mut db, job);
    poll(SOON, "a run", || outcomes(&mut db, job) == ["failure"]);
    let code: String = db.query_one("SELECT sqlstate FROM lake.job_runs", &[]).unwrap().get(0);
    assert_eq!(code, "42501");
    assert_eq!(db.query_one("SELECT count(*) FROM public.seen", &[]).unwrap().get::<_, i64>(0), 0);
}

#[test]
fn a_failing_job_is_recorded_and_waits_longer_each_time() {
    CLUSTER.create_database("failing", &["lake_stores"]);
    let mut db = CLUSTER.connect("failing", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "alice");
    let mut other = CLUSTER.connect("failing", "postgres");
    let mut lock = other.transaction().unwrap();
    lock.batch_execute("LOCK TABLE public.metrics IN ACCESS EXCLUSIVE MODE").unwrap();

    let mut pauses = Vec::new();
    for attempt in 1..=3 {
        make_due(&mut db, job);
        poll(SOON, "a failed run", || {
            outcomes(&mut db, job).iter().filter(|o| *o == "failure").count() == attempt
        });
        let row = db
            .query_one(
                "SELECT extract(epoch FROM j.next_run - r.finished_at)::float8, j.failures, \
                        r.sqlstate, j.state \
                 FROM lake.jobs j JOIN lake.job_runs r USING (job_id) \
                 WHERE job_id = $1 ORDER BY run_id DESC LIMIT 1",
                &[&job],
            )
            .unwrap();
        pauses.push(row.get::<_, f64>(0).round());
        assert_eq!(row.get::<_, i32>(1), attempt as i32);
        assert_eq!(row.get::<_, String>(2), "55P03");
        assert_eq!(row.get::<_, String>(3), "failing");
    }
    assert_eq!(pauses, [30.0, 60.0, 120.0]);
    let health = db
        .query_one(
            "SELECT finding, remedy FROM lake.health() WHERE subject = format('job %s', $1::int8)",
            &[&job],
        )
        .unwrap();
    assert!(health.get::<_, String>(0).contains("3 times in a row: 55P03"));
    assert!(health.get::<_, String>(1).contains(&format!("lake.run_job({job})")));

    lock.rollback().unwrap();
    make_due(&mut db, job);
    poll(SOON, "a good run", || outcomes(&mut db, job)[0] == "success");
    let failures = db.query_one("SELECT failures FROM lake.jobs", &[]).unwrap();
    assert_eq!(failures.get::<_, i32>(0), 0);
}

#[test]
fn a_busy_worker_ends_at_once_when_terminated_and_the_job_goes_on() {
    CLUSTER.create_database("busy", &["lake_stores"]);
    let mut db = CLUSTER.connect("busy", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "alice");
    slow_jobs(&mut db, true);
    make_due(&mut db, job);
    poll(SOON, "the job at work", || outcomes(&mut db, job) == ["running"]);
    let pid: i32 = db
        .query_one("SELECT pid FROM lake.job_runs WHERE outcome = 'running'", &[])
        .unwrap()
        .get(0);
    // A second one doesn't start beside it.
    assert_eq!(failure(db.execute("SELECT lake.run_job($1)", &[&job])).code, "55006");
    assert_eq!(visit_pid(&mut db), Some(pid));

    let start = Instant::now();
    db.execute("SELECT pg_terminate_backend($1)", &[&pid]).unwrap();
    poll(SOON, "its end", || {
        let alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1";
        db.query_one(alive, &[&pid]).unwrap().get::<_, i64>(0) == 0
    });
    assert!(start.elapsed() < Duration::from_secs(3), "took {:?}", start.elapsed());

    slow_jobs(&mut db, false);
    let run = db
        .query_one(
            "SELECT outcome, sqlstate, failures, \
                    extract(epoch FROM next_run - finished_at)::float8 \
             FROM lake.job_runs JOIN lake.jobs USING (job_id)",
            &[],
        )
        .unwrap();
    assert_eq!(run.get::<_, String>(0), "failure");
    assert_eq!(run.get::<_, String>(1), "57P01");
    assert_eq!(run.get::<_, i32>(2), 0, "being stopped is not the job's fault");
    assert_eq!(run.get::<_, f64>(3), 30.0);
    make_due(&mut db, job);
    poll(SOON, "a good run", || outcomes(&mut db, job) == ["success", "failure"]);
}

#[test]
fn paused_jobs_rest_and_can_be_run_by_hand() {
    CLUSTER.create_database("paused", &["lake_stores"]);
    let mut db = CLUSTER.connect("paused", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "bob");
    let second = store_with_job(&mut db, "public.others", "bob");
    db.execute("SELECT lake.alter_job($1, paused => true, next_run => now())", &[&job]).unwrap();
    make_due(&mut db, second);
    // The other job is proof of a visit.
    poll(SOON, "the other job's run", || outcomes(&mut db, second) == ["success"]);
    assert!(outcomes(&mut db, job).is_empty());
    let mut bob = CLUSTER.connect("paused", "bob");
    bob.execute("SELECT lake.run_job($1)", &[&job]).unwrap();
    assert_eq!(outcomes(&mut db, job), ["success"]);
    let state: String =
        db.query_one("SELECT state FROM lake.jobs WHERE job_id = $1", &[&job]).unwrap().get(0);
    assert_eq!(state, "paused");
}

#[test]
fn jobs_can_be_switched_off_for_a_database() {
    CLUSTER.create_database("off", &["lake_stores"]);
    let mut db = CLUSTER.connect("off", "postgres");
    db.batch_execute("ALTER DATABASE off SET lake_stores.jobs = off").unwrap();
    let job = store_with_job(&mut db, "public.metrics", "alice");
    // A visit may have begun before the switch; from then on each one sees it.
    let mut seen: Vec<Option<i32>> = vec![None];
    make_due(&mut db, job);
    CLUSTER.create_database("on", &["lake_stores"]);
    let mut on = CLUSTER.connect("on", "postgres");
    let proof = store_with_job(&mut on, "public.metrics", "alice");
    for _ in 0..2 {
        make_due(&mut on, proof);
        let runs = outcomes(&mut on, proof).len();
        poll(SOON, "a round of visits", || {
            outcomes(&mut on, proof).iter().filter(|o| *o == "success").count() > runs
        });
        seen.push(visit_pid(&mut db));
    }
    assert!(outcomes(&mut db, job).is_empty());
    let mut fresh = CLUSTER.connect("off", "postgres");
    let health: i64 = fresh
        .query_one(
            "SELECT count(*) FROM lake.health() WHERE finding LIKE 'lake_stores.jobs is off%'",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(health, 1);
    db.batch_execute("ALTER DATABASE off RESET lake_stores.jobs").unwrap();
    poll(SOON, "a run", || outcomes(&mut db, job) == ["success"]);
}

#[test]
fn fast_shutdown_is_prompt_and_jobs_go_on_after_a_restart() {
    let cluster = Cluster::start(Options::preloaded().preload(&["lake_stores"]));
    cluster.create_database("app", &["lake_stores"]);
    let mut db = cluster.connect("app", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "postgres");
    slow_jobs(&mut db, true);
    make_due(&mut db, job);
    poll(SOON, "the job at work", || outcomes(&mut db, job) == ["running"]);
    drop(db);
    let took = cluster.stop(Stop::Fast);
    assert!(took < Duration::from_secs(3), "a fast shutdown took {took:?}");

    cluster.start_again();
    let mut db = cluster.connect("app", "postgres");
    slow_jobs(&mut db, false);
    assert_eq!(outcomes(&mut db, job), ["failure"], "recorded as stopped, not as a crash");
    make_due(&mut db, job);
    poll(SOON, "a good run", || outcomes(&mut db, job)[0] == "success");
}

#[test]
fn a_worker_ends_at_once_though_its_record_is_locked() {
    CLUSTER.create_database("held", &["lake_stores"]);
    let mut db = CLUSTER.connect("held", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "alice");
    slow_jobs(&mut db, true);
    make_due(&mut db, job);
    poll(SOON, "the job at work", || outcomes(&mut db, job) == ["running"]);
    let pid = visit_pid(&mut db).unwrap();
    let mut other = CLUSTER.connect("held", "postgres");
    let mut holding = other.transaction().unwrap();
    holding.execute("SELECT lake.alter_job($1, paused => false)", &[&job]).unwrap();
    slow_jobs(&mut db, false);
    let start = Instant::now();
    db.execute("SELECT pg_terminate_backend($1)", &[&pid]).unwrap();
    poll(SOON, "its end", || {
        let alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1";
        db.query_one(alive, &[&pid]).unwrap().get::<_, i64>(0) == 0
    });
    assert!(start.elapsed() < Duration::from_secs(3), "took {:?}", start.elapsed());
    holding.rollback().unwrap();
    poll(SOON, "the lost run to be noticed", || outcomes(&mut db, job) == ["crash"]);
}

#[test]
fn a_killed_worker_is_recorded_as_crash_and_everything_comes_back() {
    let cluster = Cluster::start(Options::preloaded().preload(&["lake_stores"]));
    cluster.create_database("app", &["lake_stores"]);
    let mut db = cluster.connect("app", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "postgres");
    slow_jobs(&mut db, true);
    make_due(&mut db, job);
    let (pid, _) = poll_value(SOON, "the job at work", || {
        db.query_opt("SELECT pid FROM lake.job_runs WHERE outcome = 'running'", &[])
            .unwrap()
            .map(|row| row.get::<_, i32>(0))
    });
    cluster.signal("KILL", pid);
    // The postmaster ends every session and starts anew.
    poll(SOON, "the crash", || db.simple_query("SELECT 1").is_err());
    let (mut db, _) = poll_value(SOON, "recovery", || cluster.try_connect("app", "postgres").ok());
    slow_jobs(&mut db, false);
    poll(SOON, "the crash to be recorded", || outcomes(&mut db, job) == ["crash"]);
    let row = db
        .query_one(
            "SELECT failures, extract(epoch FROM next_run - now())::float8, state FROM lake.jobs",
            &[],
        )
        .unwrap();
    assert_eq!(row.get::<_, i32>(0), 1);
    assert!(row.get::<_, f64>(1) > 200.0, "time to pause a job that crashes the server");
    assert_eq!(row.get::<_, String>(2), "failing");
    make_due(&mut db, job);
    poll(SOON, "a good run", || outcomes(&mut db, job) == ["success", "crash"]);
}

#[test]
fn a_launcher_that_is_terminated_comes_back() {
    let cluster = Cluster::start(Options::preloaded().preload(&["lake_stores"]));
    cluster.create_database("app", &["lake_stores"]);
    let mut db = cluster.connect("app", "postgres");
    let launcher = "SELECT launcher_pid FROM lake.worker_status";
    let (first, _) = poll_value(SOON, "a launcher", || {
        db.query_one(launcher, &[]).unwrap().get::<_, Option<i32>>(0)
    });
    db.execute("SELECT pg_terminate_backend($1)", &[&first]).unwrap();
    poll(SOON, "another launcher", || {
        db.query_one(launcher, &[])
            .unwrap()
            .get::<_, Option<i32>>(0)
            .is_some_and(|pid| pid != first)
    });
}

#[test]
fn a_job_made_due_does_not_wait_for_the_naptime() {
    let options = Options::preloaded().preload(&["lake_stores"]).set("lake_stores.naptime", "1h");
    let cluster = Cluster::start(options);
    cluster.create_database("app", &["lake_stores"]);
    let mut db = cluster.connect("app", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "postgres");
    make_due(&mut db, job);
    poll(SOON, "a run", || outcomes(&mut db, job) == ["success"]);
    for runs in 2..4 {
        make_due(&mut db, job);
        poll(SOON, "another run", || outcomes(&mut db, job).len() == runs);
    }
}

#[test]
fn without_preloading_a_worker_is_started_by_hand() {
    let cluster = Cluster::start(Options::plain().set("lake_stores.naptime", "1s"));
    let mut postgres = cluster.connect("postgres", "postgres");
    postgres.batch_execute("CREATE ROLE dba LOGIN; CREATE ROLE mallory LOGIN").unwrap();
    cluster.create_database("app", &["lake_stores"]);
    let mut db = cluster.connect("app", "postgres");
    db.batch_execute("ALTER DATABASE app OWNER TO dba").unwrap();
    let status = db.query_one("SELECT state, preloaded FROM lake.worker_status", &[]).unwrap();
    assert_eq!(status.get::<_, String>(0), "not running");
    assert!(!status.get::<_, bool>(1));
    let job = store_with_job(&mut db, "public.metrics", "postgres");
    let complaint = "SELECT severity FROM lake.health() WHERE subject = 'worker'";
    assert_eq!(db.query_one(complaint, &[]).unwrap().get::<_, String>(0), "error");

    let mut mallory = cluster.connect("app", "mallory");
    assert_eq!(failure(mallory.execute("SELECT lake.start_worker()", &[])).code, "42501");

    let mut dba = cluster.connect("app", "dba");
    let pid: i32 = dba.query_one("SELECT lake.start_worker()", &[]).unwrap().get(0);
    let again: i32 = dba.query_one("SELECT lake.start_worker()", &[]).unwrap().get(0);
    assert_eq!(pid, again);
    make_due(&mut db, job);
    poll(SOON, "a run", || outcomes(&mut db, job) == ["success"]);
    assert_eq!(db.query_one(complaint, &[]).unwrap().get::<_, String>(0), "info");

    // The worker isn't connected to the database, and ends with it.
    drop((dba, db, mallory));
    postgres.batch_execute("DROP DATABASE app").unwrap();
    poll(SOON, "the worker's end", || {
        let alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1";
        postgres.query_one(alive, &[&pid]).unwrap().get::<_, i64>(0) == 0
    });
}

#[test]
fn a_worker_started_by_hand_ends_with_the_extension() {
    let cluster = Cluster::start(Options::plain().set("lake_stores.naptime", "1s"));
    cluster.create_database("app", &["lake_stores"]);
    let mut db = cluster.connect("app", "postgres");
    let pid: i32 = db.query_one("SELECT lake.start_worker()", &[]).unwrap().get(0);
    db.batch_execute("DROP EXTENSION lake_stores").unwrap();
    poll(SOON, "the worker's end", || {
        let alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1";
        db.query_one(alive, &[&pid]).unwrap().get::<_, i64>(0) == 0
    });
}

#[test]
fn a_standby_runs_no_jobs() {
    let primary = Cluster::start(Options::preloaded().preload(&["lake_stores"]));
    primary.create_database("app", &["lake_stores"]);
    let mut db = primary.connect("app", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "postgres");
    let standby = primary.standby();
    let mut copy = standby.connect("app", "postgres");
    poll(SOON, "the store on the standby", || {
        copy.query_one("SELECT count(*) FROM lake.stores", &[]).unwrap().get::<_, i64>(0) == 1
    });
    make_due(&mut db, job);
    poll(SOON, "the run, replicated", || outcomes(&mut copy, job) == ["success"]);
    let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'lake_stores%'";
    assert_eq!(copy.query_one(workers, &[]).unwrap().get::<_, i64>(0), 0);
    assert_eq!(failure(copy.execute("SELECT lake.start_worker()", &[])).code, "25006");

    // Promoted, it takes over.
    primary.stop(Stop::Fast);
    copy.execute("SELECT pg_promote()", &[]).unwrap();
    poll(SOON, "the launcher", || {
        copy.query_one("SELECT launcher_pid IS NOT NULL FROM lake.worker_status", &[])
            .unwrap()
            .get(0)
    });
    make_due(&mut copy, job);
    poll(SOON, "a run of its own", || outcomes(&mut copy, job) == ["success", "success"]);
}

#[test]
fn nothing_that_a_database_sets_for_its_sessions_stops_its_jobs() {
    CLUSTER.create_database("odd", &["lake_stores"]);
    let mut db = CLUSTER.connect("odd", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "alice");
    db.batch_execute(
        "SELECT lake.series_create('public.points', '1 day', 'native');
         SELECT lake.series_ingest('public.points', array_agg(now() - d * interval '1 day'),
             array_agg('m'::text), NULL, array_agg(1.0::float8)) FROM generate_series(0, 9) d",
    )
    .unwrap();
    for setting in [
        "default_transaction_read_only = on",
        "default_transaction_isolation = 'serializable'",
        "default_transaction_deferrable = on",
        "statement_timeout = '1ms'",
        "lock_timeout = '1ms'",
        "idle_in_transaction_session_timeout = '1ms'",
        "standard_conforming_strings = off",
        "row_security = off",
        "search_path = ''",
        "DateStyle = 'German'",
        "TimeZone = 'Asia/Kathmandu'",
        "IntervalStyle = 'sql_standard'",
        "bytea_output = 'escape'",
        "extra_float_digits = -15",
        "enable_seqscan = off",
        "enable_indexscan = off",
        "plan_cache_mode = 'force_generic_plan'",
        "quote_all_identifiers = on",
        "client_min_messages = 'error'",
        "work_mem = '64kB'",
    ] {
        db.batch_execute(&format!("ALTER DATABASE odd SET {setting}")).unwrap();
    }
    if db
        .query_opt("SELECT FROM pg_settings WHERE name = 'transaction_timeout'", &[])
        .unwrap()
        .is_some()
    {
        db.batch_execute("ALTER DATABASE odd SET transaction_timeout = '1ms'").unwrap();
    }
    make_due(&mut db, job);
    db.batch_execute("SELECT lake.series_set_retention('public.points', '5 days')").unwrap();
    poll(SOON, "a run", || outcomes(&mut db, job) == ["success"]);
    let retention: i64 = db
        .query_one("SELECT job_id FROM lake.jobs WHERE action = 'retention'", &[])
        .unwrap()
        .get(0);
    poll(SOON, "the retention", || outcomes(&mut db, retention) == ["success"]);
    let chunks = "SELECT count(*) FROM lake.chunks WHERE range_end < now() - interval '5 days'";
    assert_eq!(db.query_one(chunks, &[]).unwrap().get::<_, i64>(0), 0);
}

#[test]
fn where_every_worker_process_is_taken_the_server_goes_on_and_jobs_wait() {
    // One is the launcher, one is Postgres' own.
    let cluster = Cluster::start(
        Options::preloaded().preload(&["lake_stores"]).set("max_worker_processes", "2"),
    );
    cluster.create_database("app", &["lake_stores"]);
    let mut db = cluster.connect("app", "postgres");
    let job = store_with_job(&mut db, "public.metrics", "postgres");
    make_due(&mut db, job);
    poll(SOON, "the complaint", || cluster.log().contains("finds no free background worker"));
    // Several more rounds, which the launcher outlives: its process is the one it was.
    let launcher = "SELECT launcher_pid FROM lake.worker_status";
    let pid: Option<i32> = db.query_one(launcher, &[]).unwrap().get(0);
    let seen = Instant::now();
    poll(SOON, "more rounds", || seen.elapsed() > Duration::from_secs(3));
    assert_eq!(db.query_one(launcher, &[]).unwrap().get::<_, Option<i32>>(0), pid);
    assert_eq!(cluster.log().matches("finds no free background worker").count(), 1);
    assert!(outcomes(&mut db, job).is_empty());

    drop(db);
    cluster.configure([("max_worker_processes", "8")]);
    cluster.restart();
    let mut db = cluster.connect("app", "postgres");
    poll(SOON, "the run", || outcomes(&mut db, job) == ["success"]);
}
