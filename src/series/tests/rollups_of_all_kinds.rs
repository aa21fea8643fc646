//! Rollups of other rollups, of percentiles, and of adopted tables.

use super::helpers::{all, engines, failure, on_each, run, text};
use crate::testing::lacks;
use pgrx::prelude::*;

/// Ten days of points every ten minutes, and rollups by hour and, made of that, by day.
fn two_levels() {
    run("SELECT lake.series_ingest('s', array_agg(t), array_agg('m'::text), NULL, array_agg((extract(epoch FROM t)::int8 % 1000)::float8))
         FROM generate_series('2026-01-01'::timestamptz, '2026-01-10 23:50', '10 minutes') t;
         SELECT lake.series_add_rollup('s', 'hourly', '1 hour', '{sum,count,percentile_sketch}');
         SELECT lake.series_add_rollup('hourly', 'daily', '1 day', '{avg,count,p50,p99}')");
}

#[pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn a_rollup_of_a_rollup_is_right_while_either_waits() {
        on_each(|engine| {
            two_levels();
            let points = all("SELECT lake.bucket('1 day', ts, 'UTC') AS b, series_id, sum(value) / count(*), count(*),
                                     lake.percentile(lake.percentile_sketch(value), 0.5),
                                     lake.percentile(lake.percentile_sketch(value), 0.99)
                              FROM s GROUP BY 1, 2 ORDER BY 1, 2");
            let daily = || all("SELECT * FROM daily ORDER BY bucket, series_id");
            assert_eq!(daily(), points, "{engine}: nothing is kept");
            run("SELECT lake.series_refresh_rollup('daily')");
            assert_eq!(daily(), points, "{engine}: the upper is kept, the lower is not");
            run("SELECT lake.series_refresh_rollup('hourly')");
            assert_eq!(daily(), points, "{engine}: both are kept");
            run("UPDATE s SET value = value + 1000 WHERE ts = '2026-01-04 05:10'");
            assert_eq!(
                text("SELECT count(*) FROM lake.rollups WHERE pending = 1").as_deref(),
                Some("2")
            );
            let changed = daily();
            assert_ne!(changed, points);
            run("SELECT lake.series_refresh_rollup('daily')");
            assert_eq!(daily(), changed);
            run("SELECT lake.series_refresh_rollup('hourly')");
            assert_eq!(daily(), changed);
            assert_eq!(
                text("SELECT made_of FROM lake.rollups WHERE rollup = 'daily'::regclass")
                    .as_deref(),
                Some("hourly")
            );
        });
    }

    #[pg_test]
    fn percentiles_are_read_from_a_merged_sketch() {
        on_each(|_| {
            two_levels();
            let merged = "SELECT lake.percentile(lake.percentile_sketch(percentile_sketch), 0.95) FROM hourly";
            let exact = "SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY value) FROM s";
            run("SELECT lake.series_refresh_rollup('hourly', to_ts => '2026-01-05')");
            assert_eq!(
                text(&format!("SELECT abs(1 - ({merged}) / ({exact})) < 0.02")).as_deref(),
                Some("true")
            );
        });
    }

    #[pg_test]
    fn the_lower_rollup_keeps_less_long_than_the_upper() {
        on_each(|_| {
            two_levels();
            run("SELECT lake.series_drop_rollup('daily'); SELECT lake.series_drop_rollup('hourly');
                 SELECT lake.series_add_rollup('s', 'hourly', '1 hour', '{sum,count}', keep => '1 hour');
                 SELECT lake.series_add_rollup('hourly', 'weekly', '7 days', '{sum,count}');
                 SELECT lake.series_add_rollup('hourly', 'monthly', '1 month', '{sum,count}')");
            let uppers = || all("TABLE weekly UNION ALL TABLE monthly ORDER BY 1, 2, 3");
            let before = uppers();
            // The uppers come after it and are refreshed once it has nothing more to do.
            for _ in 0..2 {
                run("SELECT lake.run_job(job_id) FROM lake.jobs WHERE action = 'refresh_rollup'");
                assert_eq!(uppers(), before);
            }
            assert_eq!(text("SELECT count(*) FROM hourly_parts").as_deref(), Some("0"));
            assert_eq!(
                text("SELECT count(*) FROM lake.rollups WHERE pending_from < '2026-06-01'")
                    .as_deref(),
                Some("0")
            );
            // Too late for all three: the uppers can't be made anew of what the lower has left.
            run("UPDATE s SET value = 7 WHERE ts = '2026-01-04 05:10'");
            run(
                "SELECT lake.series_refresh_rollup('weekly'); SELECT lake.series_refresh_rollup('monthly')",
            );
            assert_eq!(uppers(), before);
        });
    }

    #[pg_test]
    fn retention_leaves_both_levels() {
        on_each(|_| {
            two_levels();
            run(
                "SELECT lake.series_refresh_rollup('hourly'); SELECT lake.series_set_retention('s', '1 day')",
            );
            let before = all("SELECT * FROM daily ORDER BY bucket, series_id");
            run("SELECT lake.run_job(job_id) FROM lake.jobs WHERE action = 'retention'");
            assert_eq!(text("SELECT count(*) FROM s").as_deref(), Some("0"));
            assert_eq!(all("SELECT * FROM daily ORDER BY bucket, series_id"), before);
            run("SELECT lake.series_refresh_rollup('daily')");
            assert_eq!(all("SELECT * FROM daily ORDER BY bucket, series_id"), before);
            // One that is added now is made of what is kept.
            run("SELECT lake.series_add_rollup('hourly', 'weekly', '7 days', '{count}')");
            assert_eq!(text("SELECT sum(count) FROM weekly").as_deref(), Some("1440"));
            run("SELECT lake.series_refresh_rollup('weekly')");
            assert_eq!(text("SELECT sum(count) FROM weekly").as_deref(), Some("1440"));
        });
    }

    #[pg_test]
    fn what_a_rollup_cannot_be_made_of_is_refused() {
        on_each(|_| {
            run("SELECT lake.series_add_rollup('s', 'hourly', '1 hour')");
            for (arguments, state, message) in [
                ("'90 minutes'", "22023", "isn't made of whole buckets"),
                ("'30 minutes'", "22023", "isn't made of whole buckets"),
                (
                    "'1 day', timezone => 'Europe/Berlin'",
                    "22023",
                    "can't be made of those of public.hourly",
                ),
                ("'1 day', '{p95}'", "0A000", "keeps no percentile sketch"),
                ("'1 day', '{percentile_sketch}'", "0A000", "keeps no percentile sketch"),
                ("'1 day', value_column => 'v'", "22023", "has no value_column"),
                ("'1 day', '{increase}'", "0A000", "can't hold \"increase\""),
            ] {
                let found = failure(&format!(
                    "SELECT lake.series_add_rollup('hourly', 'upper', {arguments})"
                ));
                assert_eq!(found.0, state, "{arguments}: {}", found.1);
                assert!(found.1.contains(message), "{arguments}: {}", found.1);
            }
            run("SELECT lake.series_add_rollup('hourly', 'daily', '1 day')");
            assert_eq!(failure("SELECT lake.series_drop_rollup('hourly')").0, "2BP01");
            assert_eq!(failure("DROP VIEW hourly").0, "2BP01");
            assert_eq!(failure("DROP TABLE hourly_parts").0, "2BP01");
            run(
                "SELECT lake.series_drop_rollup('daily'); SELECT lake.series_drop_rollup('hourly')",
            );
        });
    }

    /// Columns of hostile names, one that was dropped before them, and a key that may be null.
    fn adopted(engine: &str) {
        // A hypertable of which a column was dropped is refused.
        let (gone, dropped) = match engine {
            "native" => ("gone int, ", "ALTER TABLE a DROP COLUMN gone;"),
            _ => ("", ""),
        };
        run(&format!(
            r#"CREATE TABLE a ({gone}"Näme""; --" text, "at""" timestamptz NOT NULL, v numeric, "n o" int); {dropped}
               INSERT INTO a SELECT nullif('k' || i % 3, 'k2'), '2026-01-01Z'::timestamptz + i * interval '1 hour', nullif(i, 7), i
               FROM generate_series(0, 99) i"#
        ));
        if engine == "timescaledb" {
            run(
                r#"SELECT create_hypertable('a', by_range('at"', interval '1 day'), migrate_data => true)"#,
            );
        }
        let options = match engine {
            "native" => r#"'{"chunk_interval": "1 day"}'"#,
            _ => "NULL",
        };
        run(&format!(
            r#"SELECT lake.series_adopt('a', 'at"', segment_by => ARRAY['Näme"; --'], options => {options})"#
        ));
    }

    fn differences() -> String {
        let points = r#"SELECT lake.bucket('6 hours', "at""", 'UTC'), "Näme""; --", sum(v)::float8 / count(v), count(v), max(v)::float8
                        FROM a WHERE v IS NOT NULL GROUP BY 1, 2"#;
        let view = r#"SELECT bucket, "Näme""; --", avg, count, max FROM six"#;
        all(&format!("(({view}) EXCEPT ALL ({points})) UNION ALL (({points}) EXCEPT ALL ({view}))"))
    }

    #[pg_test]
    fn rollups_of_adopted_tables() {
        for &engine in engines() {
            adopted(engine);
            run(
                "SELECT lake.series_add_rollup('a', 'six', '6 hours', '{avg,count,max}', value_column => 'v')",
            );
            assert_eq!(differences(), "", "{engine}");
            run("SELECT lake.series_refresh_rollup('six')");
            assert_eq!(differences(), "", "{engine}");
            assert_eq!(text("SELECT pending FROM lake.rollups").as_deref(), Some("0"));
            for change in [
                r#"INSERT INTO a ("at""", v) VALUES ('2026-01-02Z', 9), ('2026-01-03Z', NULL)"#,
                r#"UPDATE a SET v = v + 1 WHERE "n o" BETWEEN 20 AND 30"#,
                r#"UPDATE a SET "Näme""; --" = 'k1' WHERE "n o" BETWEEN 40 AND 60"#,
                r#"DELETE FROM a WHERE "n o" > 80"#,
            ] {
                run(change);
                assert_ne!(
                    text("SELECT pending FROM lake.rollups").as_deref(),
                    Some("0"),
                    "{engine}: {change}"
                );
                assert_eq!(differences(), "", "{engine}: {change}");
                run("SELECT lake.series_refresh_rollup('six')");
                assert_eq!(differences(), "", "{engine}: {change}");
            }
            run("SELECT lake.drop_store('a'); DROP TABLE IF EXISTS a");
        }
    }

    /// TimescaleDB shows triggers the rows of new chunks as if nothing had been dropped.
    #[pg_test]
    fn a_hypertable_that_loses_a_column_stays_right() {
        if lacks("timescaledb") {
            return;
        }
        run(r#"CREATE EXTENSION IF NOT EXISTS timescaledb;
               CREATE TABLE h (gone int, k text, at timestamptz NOT NULL, v float8);
               SELECT create_hypertable('h', by_range('at', interval '1 day'));
               SELECT lake.series_adopt('h', 'at', segment_by => ARRAY['k']);
               INSERT INTO h VALUES (1, 'k', '2026-01-01 00:00Z', 1);
               SELECT lake.series_add_rollup('h', 'hourly', '1 hour', '{sum,count}', value_column => 'v');
               SELECT lake.series_refresh_rollup('hourly');
               ALTER TABLE h DROP COLUMN gone;
               INSERT INTO h VALUES ('k', '2026-01-01 00:10Z', 2), ('l', '2026-01-02 00:10Z', 3);
               COPY h FROM PROGRAM 'printf "m\t2026-01-03 00:10Z\t4\n"';
               UPDATE h SET v = v + 1 WHERE at >= '2026-01-02'"#);
        let hourly = "SELECT k, sum, count FROM hourly ORDER BY k";
        assert_eq!(all(hourly), "(k,3,2) (l,4,1) (m,5,1)");
        run("SELECT lake.series_refresh_rollup('hourly')");
        assert_eq!(all(hourly), "(k,3,2) (l,4,1) (m,5,1)");
        let (state, message) =
            failure("SELECT lake.series_add_rollup('h', 'more', '1 hour', value_column => 'v')");
        assert_eq!(state, "0A000");
        assert!(message.contains("a column of the hypertable public.h was dropped"), "{message}");
    }

    #[pg_test]
    fn columns_that_do_not_fit_are_named() {
        adopted("native");
        let add = |arguments: &str| {
            failure(&format!("SELECT lake.series_add_rollup('a', 'six', '6 hours'{arguments})"))
        };
        assert_eq!(add("").0, "22023");
        assert_eq!(add(", value_column => 'nowhere'").0, "42703");
        let (state, message) = add(r#", value_column => 'Näme"; --'"#);
        assert_eq!(state, "42804");
        assert!(message.contains("is of type text, not a number"), "{message}");
        run("ALTER TABLE a RENAME \"n o\" TO count");
        run("CREATE TABLE b (at timestamptz NOT NULL, count int, v float8);
             SELECT lake.series_adopt('b', 'at', segment_by => ARRAY['count'], options => '{\"chunk_interval\": \"1 day\"}')");
        assert_eq!(
            failure("SELECT lake.series_add_rollup('b', 'six', '6 hours', value_column => 'v')").0,
            "42701"
        );
        run("SELECT lake.series_create('s')");
        assert_eq!(
            failure("SELECT lake.series_add_rollup('s', 'six', '6 hours', value_column => 'v')").0,
            "22023"
        );
    }
}
