//! Tests of runs, jobs, rejects and health, with time handed in.

#[pgrx::pg_schema]
mod tests {
    use crate::catalog::run::{self, Failure, Totals, pause_s, sqlstate};
    use crate::catalog::{Store, StoreKind, job};
    use crate::common::engines::faults_of;
    use crate::names::Relation;
    use crate::spi;
    use crate::workers::clock::Clock;
    use crate::workers::runner;
    use pgrx::datum::TimestampWithTimeZone;
    use pgrx::prelude::*;
    use serde_json::json;
    use std::cell::Cell;

    /// A clock that stands still until it is moved.
    struct TestClock(Cell<TimestampWithTimeZone>);

    impl TestClock {
        fn at(text: &str) -> Self {
            TestClock(Cell::new(instant(text)))
        }

        fn set(&self, text: &str) {
            self.0.set(instant(text));
        }
    }

    impl Clock for TestClock {
        fn now(&self) -> TimestampWithTimeZone {
            self.0.get()
        }
    }

    fn instant(text: &str) -> TimestampWithTimeZone {
        spi::scalar("SELECT $1::timestamptz", &[text.into()]).unwrap()
    }

    fn text(sql: &str) -> String {
        spi::scalar(sql, &[]).unwrap()
    }

    fn int(sql: &str) -> i64 {
        spi::scalar(sql, &[]).unwrap()
    }

    /// A store on a plain table, with an hourly job that is due at noon.
    fn store_with_job() -> (Store, i64) {
        Spi::run("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 10)").unwrap();
        let oid = spi::scalar("SELECT 't'::regclass::oid", &[]).unwrap();
        let relation = Relation::by_oid(oid).unwrap();
        let store =
            Store::register(relation, StoreKind::Series, "native", None, json!({})).unwrap();
        let job = job::ensure(&store, "analyze", "1 hour", &json!({})).unwrap();
        Spi::run("UPDATE _lake.job SET next_run = '2024-03-01 12:00+00'").unwrap();
        (store, job)
    }

    fn next_run() -> String {
        text("SELECT to_char(next_run AT TIME ZONE 'UTC', 'HH24:MI:SS') FROM _lake.job")
    }

    #[pg_test]
    fn pauses_double_up_to_an_hour_or_the_schedule() {
        let pauses: Vec<f64> = (1..=9).map(|n| pause_s(n, 60.0)).collect();
        assert_eq!(pauses, [30.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]);
        assert_eq!(pause_s(i32::MAX, 86_400.0), 86_400.0);
        assert_eq!(pause_s(0, 60.0), 30.0);
    }

    #[pg_test]
    fn sqlstates_are_unpacked() {
        assert_eq!(sqlstate(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE as i32), "55P03");
        assert_eq!(sqlstate(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR as i32), "XX000");
        assert_eq!(sqlstate(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE as i32), "42P01");
    }

    #[pg_test]
    fn a_job_is_due_at_its_time_and_keeps_to_its_schedule() {
        let (_, id) = store_with_job();
        assert!(run::due(instant("2024-03-01 11:59:59.999999+00")).unwrap().is_empty());
        let due = run::due(instant("2024-03-01 12:00+00")).unwrap();
        assert_eq!(due.iter().map(|job| job.job_id).collect::<Vec<_>>(), [id]);

        // A little late: the schedule isn't moved by it.
        let clock = TestClock::at("2024-03-01 12:00:20+00");
        let begun = run::begin(id, true, clock.now()).unwrap().unwrap();
        assert_eq!(int("SELECT failures::int8 FROM _lake.job"), 1, "a crash would be counted");
        assert_eq!(next_run(), "12:05:20", "and would wait five minutes");
        assert_eq!(text("SELECT outcome FROM _lake.job_run"), "running");
        clock.set("2024-03-01 12:01+00");
        run::succeed(&begun, &Totals::default(), clock.now()).unwrap();
        assert_eq!(next_run(), "13:00:00");
        assert_eq!(int("SELECT failures::int8 FROM _lake.job"), 0);

        // A day late: one run, not twenty-four.
        clock.set("2024-03-02 13:30+00");
        let begun = run::begin(id, true, clock.now()).unwrap().unwrap();
        run::succeed(&begun, &Totals::default(), clock.now()).unwrap();
        assert_eq!(next_run(), "14:30:00");
        assert!(run::begin(id, true, clock.now()).unwrap().is_none(), "not due any more");
    }

    #[pg_test]
    fn a_change_during_the_run_stands() {
        let (_, id) = store_with_job();
        let noon = instant("2024-03-01 12:00+00");
        let begun = run::begin(id, true, noon).unwrap().unwrap();
        Spi::run(&format!("SELECT lake.alter_job({id}, next_run => '2024-03-01 12:34+00')"))
            .unwrap();
        run::succeed(&begun, &Totals::default(), noon).unwrap();
        assert_eq!(next_run(), "12:34:00");
    }

    #[pg_test]
    fn failures_and_crashes_are_told_apart() {
        let (_, id) = store_with_job();
        let failure = Failure {
            sqlstate: "55P03".into(),
            message: "canceling statement due to lock timeout".into(),
            detail: None,
            hint: Some("Wait.".into()),
        };
        for (attempt, (at, next)) in
            [("12:00", "12:00:30"), ("12:01", "12:02:00"), ("12:03", "12:05:00")].iter().enumerate()
        {
            let now = instant(&format!("2024-03-01 {at}+00"));
            let begun = run::begin(id, true, now).unwrap().unwrap();
            run::fail(&begun, &Totals::default(), &failure, None, now).unwrap();
            assert_eq!(&next_run(), next, "after failure {}", attempt + 1);
        }
        assert_eq!(text("SELECT detail->>'hint' FROM _lake.job_run LIMIT 1"), "Wait.");
        let now = instant("2024-03-01 12:05+00");
        run::begin(id, true, now).unwrap().unwrap();
        assert_eq!(run::settle_crashed(|_| Ok(true), now).unwrap(), 0, "somebody is at it");
        assert_eq!(run::settle_crashed(|_| Ok(false), now).unwrap(), 1);
        assert_eq!(
            text("SELECT string_agg(outcome, ' ' ORDER BY run_id) FROM lake.job_runs"),
            "failure failure failure crash"
        );
        assert_eq!(int("SELECT failures::int8 FROM _lake.job"), 4);
    }

    #[pg_test]
    fn a_job_with_few_attempts_rests_after_them() {
        let (_, id) = store_with_job();
        let failure =
            Failure { sqlstate: "55000".into(), message: "no".into(), detail: None, hint: None };
        for attempt in 1..=2 {
            let now = instant(&format!("2024-03-01 1{attempt}:00+00"));
            let begun = run::begin(id, false, now).unwrap().unwrap();
            assert_eq!(begun.failures_before(), attempt - 1);
            run::fail(&begun, &Totals::default(), &failure, Some(2), now).unwrap();
            assert_eq!(text("SELECT state FROM lake.jobs") == "paused", attempt == 2);
        }
    }

    #[pg_test]
    fn a_job_that_is_done_for_good_goes_unless_asked_for_again() {
        let (_, id) = store_with_job();
        let noon = instant("2024-03-01 12:00+00");
        let begun = run::begin(id, true, noon).unwrap().unwrap();
        Spi::run(&format!("SELECT lake.alter_job({id}, next_run => '2024-03-01 12:34+00')"))
            .unwrap();
        run::finish(&begun, &Totals::default(), noon).unwrap();
        assert_eq!(next_run(), "12:34:00", "it was asked for meanwhile");
        let begun = run::begin(id, false, noon).unwrap().unwrap();
        run::finish(&begun, &Totals::default(), noon).unwrap();
        assert_eq!(int("SELECT count(*) FROM lake.jobs"), 0);
        assert_eq!(int("SELECT count(*) FROM lake.job_runs WHERE outcome = 'success'"), 2);
    }

    #[pg_test]
    fn a_stopped_run_is_no_failure() {
        let (_, id) = store_with_job();
        let noon = instant("2024-03-01 12:00+00");
        let begun = run::begin(id, true, noon).unwrap().unwrap();
        run::stopped(&begun, noon).unwrap();
        assert_eq!(next_run(), "12:00:30");
        assert_eq!(int("SELECT failures::int8 FROM _lake.job"), 0);
        assert_eq!(text("SELECT outcome || ' ' || sqlstate FROM lake.job_runs"), "failure 57P01");
    }

    #[pg_test]
    fn history_is_pruned_but_never_the_last_run() {
        let (_, id) = store_with_job();
        for day in ["2024-01-01", "2024-02-20", "2024-02-21"] {
            let then = instant(day);
            let begun = run::begin(id, false, then).unwrap().unwrap();
            run::succeed(&begun, &Totals::default(), then).unwrap();
        }
        assert_eq!(run::prune(instant("2024-03-01")).unwrap(), 1, "the one of January");
        assert_eq!(run::prune(instant("2030-01-01")).unwrap(), 1);
        assert_eq!(text("SELECT started_at::date::text FROM lake.job_runs"), "2024-02-21");
    }

    #[pg_test]
    fn the_foreground_run_is_recorded() {
        let (_, id) = store_with_job();
        let clock = TestClock::at("2024-03-01 12:00:30+00");
        let (run_id, totals) = runner::run_now(id, &clock).unwrap();
        assert_eq!((totals.steps, totals.rows), (1, 10));
        assert_eq!(
            text(&format!(
                "SELECT concat_ws(' ', outcome, steps, rows, started_at = '2024-03-01 12:00:30+00') \
                 FROM lake.job_runs WHERE run_id = {run_id}"
            )),
            "success 1 10 t"
        );
        assert_eq!(next_run(), "13:00:00");
    }

    #[pg_test]
    fn an_action_of_another_version_is_named() {
        let (_, id) = store_with_job();
        Spi::run("UPDATE _lake.job SET action = 'teleport'").unwrap();
        let error = runner::run_now(id, &TestClock::at("2024-03-01")).unwrap_err();
        assert_eq!(error.message, "series stores have no job \"teleport\"");
        assert!(error.hint.is_some());
    }

    #[pg_test]
    fn known_faults_end_with_the_version_that_mends_them() {
        assert_eq!(faults_of("vector", "0.8.0").len(), 3);
        assert_eq!(faults_of("vector", "0.8.3").len(), 2);
        assert_eq!(faults_of("vector", "0.8.10").len(), 0);
        assert_eq!(faults_of("postgis", "1.0").len(), 0);
    }

    #[pg_test]
    fn rejects_are_replayed_after_the_metric_was_mended() {
        Spi::run(
            "SELECT lake.series_create('m', engine => 'native');
             SELECT lake.series_define_metric('m', 'cpu', max_value => 100);
             SELECT lake.series_ingest('m', ARRAY[now(), now(), now()], ARRAY['cpu', 'cpu', 'cpu'],
                 ARRAY['{\"h\": \"a\"}', '{\"h\": \"b\"}', '{\"h\": \"c\"}']::jsonb[],
                 ARRAY[50, 150, 1500], on_error => 'reject')",
        )
        .unwrap();
        assert_eq!(int("SELECT count(*) FROM lake.rejects"), 2);
        // Sequences aren't rolled back with the test before.
        let first = int("SELECT max(batch) FROM lake.rejects");
        Spi::run("SELECT lake.series_define_metric('m', 'cpu', max_value => 1000)").unwrap();
        assert_eq!(text("SELECT lake.replay_rejects('m')::text"), "(2,1,1)");
        assert_eq!(int("SELECT count(*) FROM m"), 2);
        assert_eq!(int("SELECT count(DISTINCT batch) FROM lake.rejects"), 1);
        assert!(int("SELECT max(batch) FROM lake.rejects") > first, "refused again, a new batch");
        assert_eq!(
            text(&format!("SELECT lake.replay_rejects('m', batch => {first})::text")),
            "(0,0,0)"
        );
        assert_eq!(int("SELECT lake.purge_rejects('m', older_than => '1 day')"), 0);
        assert_eq!(int("SELECT lake.purge_rejects('m')"), 1);
    }

    #[pg_test]
    fn dropping_a_store_drops_what_goes_with_it() {
        Spi::run(
            "SELECT lake.series_create('m', engine => 'native');
             SELECT lake.series_ingest('m', ARRAY[now()], ARRAY['cpu'], ARRAY['{}']::jsonb[], ARRAY[1]);
             SELECT lake.drop_store('m')",
        )
        .unwrap();
        assert_eq!(
            int(
                "SELECT count(*) FROM pg_class WHERE relname LIKE 'm%' AND relnamespace = 'public'::regnamespace"
            ),
            0
        );
        assert_eq!(int("SELECT count(*) FROM _lake.job"), 0);
    }

    #[pg_test]
    fn stores_are_measured_with_their_partitions() {
        Spi::run(
            "SELECT lake.series_create('m', engine => 'native');
             SELECT lake.series_ingest('m', array_agg(now() - n * interval '1 hour'),
                 array_agg('cpu'::text), array_agg('{}'::jsonb), array_agg(n::float8))
             FROM generate_series(0, 99) n",
        )
        .unwrap();
        assert_eq!(
            text("SELECT coalesce(estimated_rows::text, 'unknown') FROM lake.stores"),
            "unknown"
        );
        Spi::run("ANALYZE m").unwrap();
        assert_eq!(int("SELECT estimated_rows FROM lake.stores"), 100);
        assert_eq!(
            int(
                "SELECT (bytes - (SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('m')) \
                 - pg_total_relation_size(companion))::int8 FROM lake.stores"
            ),
            0
        );
    }

    #[pg_test]
    fn health_finds_what_is_wrong() {
        let (_, id) = store_with_job();
        Spi::run(&format!(
            "CREATE TABLE places (id text, geom text);
             INSERT INTO _lake.store (relid, kind, engine) VALUES ('places', 'geo', 'postgis');
             CREATE TABLE empty (ts timestamptz) PARTITION BY RANGE (ts);
             INSERT INTO _lake.store (relid, kind, engine) VALUES ('empty', 'series', 'native');
             CREATE INDEX broken ON t (n);
             UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass;
             UPDATE _lake.job SET failures = 2 WHERE job_id = {id};
             UPDATE pg_extension SET extversion = '0.0.1' WHERE extname = 'lake_stores'",
        ))
        .unwrap();
        let found: Vec<(String, String, String)> = spi::rows(
            "SELECT severity, subject, remedy FROM lake.health() WHERE subject <> 'worker'",
            &[],
            |row| Ok((spi::need(row, 1)?, spi::need(row, 2)?, spi::need(row, 3)?)),
        )
        .unwrap();
        let seen: Vec<String> =
            found.iter().map(|(severity, subject, _)| format!("{severity} {subject}")).collect();
        assert_eq!(
            seen,
            [
                format!("error job {id}"),
                "error lake_stores".into(),
                "warning public.broken".into(),
                "warning public.empty".into(),
                "warning public.places".into(),
            ]
        );
        assert!(found[1].2.starts_with("ALTER EXTENSION lake_stores UPDATE TO"));
        assert_eq!(found[2].2, "DROP INDEX CONCURRENTLY public.broken; and build it again.");
    }

    #[pg_test]
    fn every_public_object_says_what_it_is() {
        let silent = spi::rows(
            "SELECT 'function ' || p.oid::regprocedure::text FROM pg_proc p \
             WHERE p.pronamespace = 'lake'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL \
             UNION ALL \
             SELECT 'relation ' || c.oid::regclass::text FROM pg_class c \
             WHERE c.relnamespace = 'lake'::regnamespace AND c.relkind IN ('r', 'v', 'm') \
               AND obj_description(c.oid, 'pg_class') IS NULL \
             UNION ALL \
             SELECT 'type ' || t.oid::regtype::text FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid \
             WHERE t.typnamespace = 'lake'::regnamespace AND c.relkind = 'c' \
               AND obj_description(t.oid, 'pg_type') IS NULL \
             ORDER BY 1",
            &[],
            |row| spi::need::<String>(row, 1),
        )
        .unwrap();
        assert!(silent.is_empty(), "without COMMENT: {silent:#?}");
    }
}
