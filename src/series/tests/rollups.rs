//! Rollups: the view says what the points say, before and after refreshes.

use super::helpers::{all, failure, on_each, run, text};
use pgrx::prelude::*;

/// Gives the store three days of points, and a rollup by hour.
fn with_rollup() {
    run("SELECT lake.series_ingest('s', array_agg(t), array_agg('m'::text), NULL, array_agg(extract(epoch FROM t)::float8))
         FROM generate_series('2026-01-01'::timestamptz, '2026-01-03 23:50', '10 minutes') t");
    run(
        "SELECT lake.series_add_rollup('s', 'hourly', '1 hour', '{avg,min,max,sum,count,first,last}')",
    );
}

/// Rows in which the view and the points differ.
fn differences() -> String {
    let points = "SELECT lake.bucket('1 hour', ts, 'UTC'), series_id, sum(value) / count(*), min(value),
        max(value), sum(value), count(*), lake.first(value, ts), lake.last(value, ts) FROM s GROUP BY 1, 2";
    all(&format!(
        "((TABLE hourly) EXCEPT ALL ({points})) UNION ALL (({points}) EXCEPT ALL (TABLE hourly))"
    ))
}

fn kept() -> Option<String> {
    text("SELECT count(*) FROM hourly_parts")
}

#[pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn a_rollup_is_right_before_and_after_each_change() {
        on_each(|engine| {
            with_rollup();
            assert_eq!(differences(), "");
            assert_eq!(kept().as_deref(), Some("0"));
            run("SELECT lake.series_refresh_rollup('hourly')");
            assert_eq!((differences(), kept().as_deref()), (String::new(), Some("72")));
            assert_eq!(text("SELECT pending FROM lake.rollups").as_deref(), Some("0"));
            for change in [
                "SELECT lake.series_ingest('s', ARRAY['2025-12-31 12:00'::timestamptz], ARRAY['m'], NULL, ARRAY[5.0])",
                "DELETE FROM s WHERE ts >= '2026-01-02 03:00' AND ts < '2026-01-02 05:30'",
                "UPDATE s SET value = -1 WHERE ts = '2026-01-01 07:20'",
                // From day to day on native partitions; TimescaleDB moves no row out of its chunk.
                if engine == "native" {
                    "UPDATE s SET ts = '2026-01-01 01:05' WHERE ts = '2026-01-03 01:10'"
                } else {
                    "UPDATE s SET ts = '2026-01-03 07:05' WHERE ts = '2026-01-03 01:10'"
                },
                "TRUNCATE s",
            ] {
                run(change);
                assert_ne!(
                    text("SELECT pending FROM lake.rollups").as_deref(),
                    Some("0"),
                    "{change}"
                );
                assert_eq!(differences(), "", "{change}, before the refresh");
                run("SELECT lake.series_refresh_rollup('hourly')");
                assert_eq!(
                    text("SELECT pending FROM lake.rollups").as_deref(),
                    Some("0"),
                    "{change}"
                );
                assert_eq!(differences(), "", "{change}, after the refresh");
            }
            assert_eq!(kept().as_deref(), Some("0"));
        });
    }

    #[pg_test]
    fn a_part_is_refreshed_in_whole_buckets() {
        on_each(|_| {
            with_rollup();
            run(
                "SELECT lake.series_refresh_rollup('hourly', '2026-01-02 03:30', '2026-01-02 05:10')",
            );
            assert_eq!((differences(), kept().as_deref()), (String::new(), Some("3")));
        });
    }

    #[pg_test]
    fn buckets_follow_the_rollups_time_zone_and_not_the_sessions() {
        on_each(|_| {
            run("SELECT lake.series_ingest('s', ARRAY['2026-03-28 22:30Z', '2026-03-29 21:30Z', '2026-03-29 22:30Z']::timestamptz[],
             ARRAY['m', 'm', 'm'], NULL, ARRAY[1.0, 2.0, 4.0])");
            run(
                "SELECT lake.series_add_rollup('s', 'daily', '1 day', '{sum}', timezone => 'Europe/Berlin')",
            );
            let days =
                "SELECT (bucket AT TIME ZONE 'UTC')::text AS at, sum FROM daily ORDER BY bucket";
            let expected = "(\"2026-03-27 23:00:00\",1) (\"2026-03-28 23:00:00\",2) (\"2026-03-29 22:00:00\",4)";
            for zone in ["UTC", "Asia/Tokyo", "America/New_York"] {
                run(&format!("SET LOCAL TimeZone = '{zone}'"));
                assert_eq!(all(days), expected, "{zone}");
                run("SELECT lake.series_refresh_rollup('daily')");
                assert_eq!(all(days), expected, "{zone}, refreshed");
            }
        });
    }

    #[pg_test]
    fn retention_waits_for_the_refresh_and_leaves_what_was_rolled_up() {
        on_each(|_| {
            with_rollup();
            run("SELECT lake.series_set_retention('s', '1 day')");
            let blocked = "SELECT count(*) FROM lake.series_plan_retention('s') WHERE blocked_by LIKE 'rollup hourly has not been refreshed past%'";
            assert_eq!(text(blocked).as_deref(), Some("3"));
            run("SELECT lake.series_refresh_rollup('hourly')");
            assert_eq!(text(blocked).as_deref(), Some("0"));
            run("SELECT lake.run_job(job_id) FROM lake.jobs WHERE action = 'retention'");
            assert_eq!(text("SELECT count(*) FROM s").as_deref(), Some("0"));
            assert_eq!(text("SELECT count(*) FROM hourly").as_deref(), Some("72"));
        });
    }

    #[pg_test]
    fn buckets_whose_points_are_gone_stay_as_they_are() {
        on_each(|_| {
            with_rollup();
            run(
                "SELECT lake.series_refresh_rollup('hourly'); SELECT lake.series_set_retention('s', '1 day')",
            );
            let before = all("TABLE hourly ORDER BY 1, 2");
            run("SELECT lake.run_job(job_id) FROM lake.jobs WHERE action = 'retention'");
            assert_eq!(text("SELECT count(*) FROM s").as_deref(), Some("0"));
            // A point so late that the chunk it belongs to has gone.
            run(
                "SELECT lake.series_ingest('s', ARRAY['2026-01-01 04:30Z'::timestamptz], ARRAY['m'], NULL, ARRAY[1e12])",
            );
            assert_eq!(all("TABLE hourly ORDER BY 1, 2"), before);
            run("SELECT lake.series_refresh_rollup('hourly')");
            assert_eq!(all("TABLE hourly ORDER BY 1, 2"), before);
            run("TRUNCATE s; SELECT lake.series_refresh_rollup('hourly')");
            assert_eq!(all("TABLE hourly ORDER BY 1, 2"), before);
        });
    }

    #[pg_test]
    fn a_chunk_stays_while_a_bucket_of_it_goes_on() {
        on_each(|_| {
            run("SELECT lake.series_ingest('s', ARRAY[now() - interval '3 days'], ARRAY['m'], NULL, ARRAY[1.0]);
             SELECT lake.series_add_rollup('s', 'hundred', '100 days', ARRAY['sum']);
             SELECT lake.series_refresh_rollup('hundred'); SELECT lake.series_set_retention('s', '1 day')");
            let blocked = "SELECT count(*)::text FROM lake.series_plan_retention('s') WHERE blocked_by LIKE 'rollup hundred has a bucket there that ends at%'";
            assert_eq!(text(blocked).as_deref(), Some("1"));
        });
    }

    /// Who can make a trigger can't have anything done with the rights of the extension.
    #[pg_test]
    fn the_trigger_lends_its_rights_to_nobody() {
        run("CREATE ROLE mallory; GRANT CREATE ON SCHEMA public TO mallory; SET ROLE mallory;
             CREATE TABLE t (ts timestamptz, n int);
             CREATE TABLE ran_as (who text);
             CREATE FUNCTION spy() RETURNS timestamptz LANGUAGE plpgsql AS $$
                 BEGIN INSERT INTO public.ran_as VALUES (current_user); RETURN now(); END $$;
             CREATE TEMP VIEW changed AS SELECT spy() AS ts");
        let trigger = |arguments: &str, tables: &str| {
            run(&format!(
                "CREATE OR REPLACE TRIGGER mine AFTER INSERT ON t {tables}
                 FOR EACH STATEMENT EXECUTE FUNCTION _lake.rollup_changed({arguments})"
            ));
        };
        let insert = "INSERT INTO t VALUES (now(), 1)";
        let new = "REFERENCING NEW TABLE AS changed";
        for (arguments, tables, state) in [
            ("", new, "39P01"),
            ("'x', 'ts'", "", "39P01"),
            ("'x', 'n'", new, "42703"),
            ("'x', '\"; DROP TABLE t; --'", new, "42703"),
            ("'x', 'xmin'", new, "42703"),
        ] {
            trigger(arguments, tables);
            assert_eq!(failure(insert).0, state, "{arguments} {tables}");
        }
        trigger("'x', 'ts'", new);
        run(insert);
        run("RESET ROLE");
        assert_eq!(text("SELECT count(*) FROM ran_as").as_deref(), Some("0"));
        assert_eq!(text("SELECT count(*) FROM _lake.rollup_log").as_deref(), Some("0"));
        assert_eq!(failure("SELECT _lake.rollup_changed()").0, "39P01");
    }

    #[pg_test]
    fn the_job_refreshes_and_keeps() {
        on_each(|_| {
            with_rollup();
            run("SELECT lake.series_add_rollup('s', 'brief', '1 hour', keep => '1 hour')");
            run("SELECT lake.run_job(job_id) FROM lake.jobs WHERE action = 'refresh_rollup'");
            assert_eq!((differences(), kept().as_deref()), (String::new(), Some("72")));
            assert_eq!(text("SELECT count(*) FROM brief_parts").as_deref(), Some("0"));
        });
    }

    #[pg_test]
    fn what_waits_for_too_long_or_too_much_is_found() {
        on_each(|_| {
            with_rollup();
            let found = || {
                text(
                    "SELECT string_agg(severity || ' ' || subject, ', ') FROM lake.health() \
                      WHERE finding LIKE '%its log%' OR finding LIKE '%rollups aren%'",
                )
            };
            run("SELECT lake.series_refresh_rollup('hourly')");
            run(
                "SELECT lake.alter_job(job_id, paused => true) FROM lake.jobs WHERE action = 'refresh_rollup'",
            );
            assert_eq!(found(), None);
            run("UPDATE s SET value = value + 1");
            assert_eq!(found().as_deref(), Some("info public.s"));
            run(
                "INSERT INTO _lake.rollup_log SELECT rollup_id, '2026-01-01 00:00Z', '2026-01-01 01:00Z' \
                 FROM _lake.rollup, generate_series(1, 100000)",
            );
            assert_eq!(found().as_deref(), Some("warning public.hourly, info public.s"));
            run("SELECT lake.series_refresh_rollup('hourly')");
            assert_eq!(found(), None);
        });
    }

    #[pg_test]
    fn dropping_leaves_nothing() {
        on_each(|_| {
            with_rollup();
            run("SELECT lake.series_drop_rollup('hourly')");
            let left =
            "SELECT (SELECT count(*) FROM _lake.rollup) + (SELECT count(*) FROM _lake.rollup_log)
                    + (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'lake_rollup%')";
            assert_eq!(text(left).as_deref(), Some("0"));
            run(
                "SELECT lake.series_add_rollup('s', 'hourly', '1 hour'); SELECT lake.drop_store('s')",
            );
            assert_eq!(text(left).as_deref(), Some("0"));
            assert_eq!(
                text(
                    "SELECT to_regclass('hourly') IS NULL AND to_regclass('hourly_parts') IS NULL"
                )
                .as_deref(),
                Some("true")
            );
            run("SELECT lake.series_create('s')");
        });
    }

    #[pg_test]
    fn only_owners_define_and_writers_need_nothing_more() {
        on_each(|_| {
            with_rollup();
            run(
                "DROP ROLE IF EXISTS writer; CREATE ROLE writer; GRANT SELECT, INSERT ON s, s_series TO writer; SET LOCAL ROLE writer",
            );
            run(
                "SELECT lake.series_ingest('s', ARRAY['2026-01-02 00:05'::timestamptz], ARRAY['m'], NULL, ARRAY[1.0])",
            );
            assert_eq!(failure("SELECT lake.series_add_rollup('s', 'mine', '1 hour')").0, "42501");
            assert_eq!(failure("SELECT lake.series_refresh_rollup('hourly')").0, "42501");
            assert_eq!(failure("SELECT lake.series_drop_rollup('hourly')").0, "42501");
            assert_eq!(failure("SELECT * FROM hourly").0, "42501");
            assert_eq!(failure("DELETE FROM _lake.rollup_log").0, "42501");
            run("RESET ROLE; DROP OWNED BY writer");
            assert_eq!(differences(), "");
        });
    }

    #[pg_test]
    fn what_cannot_be_kept_is_refused() {
        on_each(|_| {
            let (state, message) =
                failure("SELECT lake.series_add_rollup('s', 'r', '1 hour', '{rate}')");
            assert_eq!(
                (state.as_str(), message.as_str()),
                ("0A000", "a rollup can't hold \"rate\"")
            );
            assert_eq!(
                failure("SELECT lake.series_add_rollup('s', 'r', '1 hour', '{}')").0,
                "22023"
            );
            assert_eq!(failure("SELECT lake.series_add_rollup('s', 'r', '0 hours')").0, "22023");
            assert_eq!(
                failure("SELECT lake.series_add_rollup('s', 'r', '1 hour', timezone => 'Nowhere')")
                    .0,
                "22023"
            );
            assert_eq!(failure("SELECT lake.series_refresh_rollup('s')").0, "42809");
        });
    }
}
