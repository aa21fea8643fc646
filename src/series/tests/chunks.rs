//! Chunks: made ahead and on demand, listed, planned to go, dropped; adopted tables.

use super::helpers::{all, failure, find, now_plus, on_both, run, steps, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;
    use crate::series::jobs;
    use crate::testing::lacks;
    use crate::workers::actions::Step;
    use serde_json::json;

    fn fill_days(store: &str, days: u32) {
        run(&format!(
            "SELECT lake.series_ingest('{store}', array_agg(now() - d * interval '1 day'), array_agg('m'::text), NULL, array_agg(d::float8))
             FROM generate_series(0, {days}) d"
        ));
    }

    fn chunks(store: &str) -> String {
        all(&format!(
            "SELECT chunk FROM lake.chunks WHERE store = '{store}'::regclass ORDER BY range_start"
        ))
    }

    #[pg_test]
    fn chunks_are_read_whatever_the_session_has_set() {
        run("SELECT lake.series_create('s', '1 day', 'native')");
        fill_days("s", 5);
        let seen = || {
            all(
                "SELECT format('%s %s %s %s', chunk::oid, extract(epoch FROM range_start), extract(epoch FROM range_end), state) \
                 FROM lake.chunks ORDER BY range_start",
            )
        };
        let before = seen();
        assert!(before.matches("closed").count() == 5, "{before}");
        for setting in [
            "standard_conforming_strings = off",
            "DateStyle = 'German'",
            "DateStyle = 'SQL, DMY'",
            "TimeZone = 'Asia/Kathmandu'",
            "IntervalStyle = 'sql_standard'",
            "search_path = ''",
            "quote_all_identifiers = on",
        ] {
            run(&format!("SET {setting}"));
            assert_eq!(seen(), before, "{setting}");
        }
    }

    #[pg_test]
    fn chunks_are_made_ahead_one_a_step() {
        run("SELECT lake.series_create('s', '6 hours', 'native', '{\"chunks_ahead\": 2}')");
        let count = || text("SELECT count(*) FROM lake.chunks").unwrap();
        assert_eq!(count(), "3");
        assert_eq!(
            text("SELECT string_agg(state, ',' ORDER BY range_start) FROM lake.chunks").as_deref(),
            Some("open,ahead,ahead")
        );
        let store = find("s");
        assert!(matches!(
            jobs::make_chunks(&store, &json!({}), now_plus("0")).unwrap(),
            Step::Idle
        ));
        // A day later four chunks have passed; one for then, and two ahead, are one more than half there.
        let mut made = 0;
        while let Step::Done(progress) =
            jobs::make_chunks(&store, &json!({}), now_plus("1 day")).unwrap()
        {
            assert!(progress.subject.contains("s from "), "{}", progress.subject);
            made += 1;
        }
        assert_eq!(made, 3);
        assert_eq!(count(), "6");
        assert_eq!(
            text("SELECT schedule FROM lake.jobs WHERE action = 'make_chunks'").as_deref(),
            Some("01:00:00")
        );
        assert_eq!(
            text("SELECT count(DISTINCT relowner) FROM pg_class WHERE relname LIKE 's\\_p%'")
                .as_deref(),
            Some("1")
        );
    }

    #[pg_test]
    fn health_misses_the_chunk_of_the_present() {
        run("SELECT lake.series_create('s', '1 day', 'native')");
        let found = || all("SELECT finding FROM lake.health() WHERE finding LIKE '%no chunk%'");
        assert_eq!(found(), "");
        let open = text("SELECT chunk FROM lake.chunks WHERE state = 'open'").unwrap();
        run(&format!("DROP TABLE {open}"));
        assert_eq!(found(), "(\"the series store has no chunk for the present\")");
        run("SELECT lake.run_job(job_id) FROM lake.jobs WHERE action = 'make_chunks'");
        assert_eq!(found(), "");
    }

    #[pg_test]
    fn the_plan_is_what_goes_and_nothing_newer() {
        on_both("{}", |engine, store| {
            fill_days(store, 9);
            run(&format!("SELECT lake.series_set_retention('{store}', '3 days')"));
            let plan = || all(&format!("SELECT chunk FROM lake.series_plan_retention('{store}')"));
            let planned = plan();
            let before = chunks(store);
            assert_eq!(planned.split(' ').count(), 6, "{engine}: {planned}");
            let found = find(store);
            let mut dropped = Vec::new();
            for progress in steps(&found, jobs::retention, now_plus("0")) {
                assert!(progress.bytes_before > 0 && progress.bytes_after == 0);
                dropped.push(progress.subject);
            }
            let shown: Vec<String> =
                planned.split(' ').map(|c| c.trim_matches(['(', ')']).to_owned()).collect();
            let dropped: Vec<String> =
                dropped.iter().map(|d| d.trim_start_matches("public.").to_owned()).collect();
            assert_eq!(dropped, shown);
            assert_eq!(plan(), "");
            assert_eq!(chunks(store), before.replace(&format!("{planned} "), ""));
            assert_eq!(
                text(&format!(
                    "SELECT count(*) FROM {store} WHERE ts >= now() - interval '3 days'"
                ))
                .as_deref(),
                Some("4")
            );
            run(&format!("SELECT lake.series_set_retention('{store}', NULL)"));
            assert_eq!(text(&format!("SELECT count(*) FROM lake.jobs WHERE store = '{store}'::regclass AND action = 'retention'")).as_deref(), Some("0"));
        });
    }

    #[pg_test]
    fn a_budget_drops_the_oldest_and_stops() {
        on_both("{}", |_, store| {
            fill_days(store, 4);
            let bytes = text(&format!(
                "SELECT sum(bytes) - 1 FROM lake.chunks WHERE store = '{store}'::regclass"
            ))
            .unwrap();
            run(&format!("SELECT lake.series_set_retention('{store}', NULL, {bytes})"));
            assert_eq!(
                all(&format!("SELECT range_start = (SELECT min(range_start) FROM lake.chunks WHERE store = '{store}'::regclass) AS oldest, reason
                              FROM lake.series_plan_retention('{store}')")),
                format!("(t,\"store is over {bytes} bytes\")")
            );
            // However small the budget, what is being written stays.
            run(&format!("SELECT lake.series_set_retention('{store}', NULL, 1)"));
            assert_eq!(
                text(&format!("SELECT bool_and(range_end <= now()) AND count(*) = 4 FROM lake.series_plan_retention('{store}')")).as_deref(),
                Some("true")
            );
        });
    }

    #[pg_test]
    fn a_chunk_that_a_view_reads_is_blocked() {
        run("SELECT lake.series_create('s', '1 day', 'native')");
        fill_days("s", 5);
        run("SELECT lake.series_set_retention('s', '3 days')");
        let oldest = text("SELECT chunk FROM lake.series_plan_retention('s') LIMIT 1").unwrap();
        run(&format!("CREATE VIEW keeps AS SELECT * FROM {oldest}"));
        assert_eq!(
            all("SELECT blocked_by FROM lake.series_plan_retention('s')"),
            "(\"view keeps reads the chunk\") ()"
        );
        let store = find("s");
        assert_eq!(steps(&store, jobs::retention, now_plus("0")).len(), 1);
        assert_eq!(text(&format!("SELECT count(*) FROM {oldest}")).as_deref(), Some("1"));
    }

    #[pg_test]
    fn wrong_retention() {
        run("SELECT lake.series_create('s', '1 day', 'native')");
        for (call, state) in [
            ("lake.series_set_retention('s', '-1 day')", "22023"),
            ("lake.series_set_retention('s', '0')", "22023"),
            ("lake.series_set_retention('s', NULL, 0)", "22023"),
            ("lake.series_set_retention(NULL, '1 day')", "22004"),
            ("lake.series_plan_retention('pg_class')", "42809"),
        ] {
            assert_eq!(failure(&format!("SELECT {call}")).0, state, "{call}");
        }
        assert_eq!(all("SELECT * FROM lake.series_plan_retention('s')"), "");
    }

    #[pg_test]
    fn hostile_and_long_names() {
        run("CREATE SCHEMA \"we\"\"ird.Schema\"");
        let long = "ä".repeat(31);
        let names = [
            "\"we\"\"ird.Schema\".\"ta ble;--\"".to_owned(),
            "\"we\"\"ird.Schema\".\"ta'ble\"".to_owned(),
            format!("\"{long}x\""),
            format!("\"{long}y\""),
        ];
        for engine in super::super::helpers::engines() {
            for name in &names {
                let name = name.replace("ble", &format!("ble{engine}")).replace('x', &engine[..1]);
                run(&format!("SELECT lake.series_create($q${name}$q$, '1 hour', '{engine}')"));
                assert_eq!(
                    all(&format!(
                        "SELECT * FROM lake.series_ingest($q${name}$q$, ARRAY[now(), now() - interval '40 days'], ARRAY['m', 'm'], NULL, ARRAY[1, 2])"
                    )),
                    "(2,0,0)"
                );
                assert_eq!(
                    text(&format!("SELECT count(*) FROM lake.series_query($q${name}$q$, 'm')"))
                        .as_deref(),
                    Some("2")
                );
                run(&format!("SELECT lake.series_set_retention($q${name}$q$, '1 day')"));
                let store = find(&name);
                assert_eq!(steps(&store, jobs::retention, now_plus("0")).len(), 1, "{name}");
                assert_eq!(text(&format!("SELECT count(*) FROM {name}")).as_deref(), Some("1"));
                // 63 bytes can be used once only.
                run(&format!("ALTER TABLE {name} RENAME TO \"renamed {engine}\""));
                run(&format!(
                    "SELECT lake.drop_store('{}\"renamed {engine}\"'::regclass)",
                    if name.contains("ird") { "\"we\"\"ird.Schema\"." } else { "" }
                ));
            }
        }
        assert_eq!(text("SELECT count(*) FROM lake.stores").as_deref(), Some("0"));
    }

    #[pg_test]
    fn names_cut_to_the_same_stay_apart() {
        let base = "n".repeat(61);
        run(&format!(
            "SELECT lake.series_create('{base}a', '1 hour', 'native'); SELECT lake.series_create('{base}b', '1 hour', 'native')"
        ));
        assert_eq!(text("SELECT count(DISTINCT chunk::text) = count(*) AND max(octet_length(chunk::text)) <= 63 AND count(*) = 8 FROM lake.chunks").as_deref(), Some("true"));
    }

    #[pg_test]
    fn widths_and_engines_are_checked() {
        for (call, state) in [
            ("lake.series_create('s', '1 month')", "22023"),
            ("lake.series_create('s', '1 second')", "22023"),
            ("lake.series_create('s', '100 years')", "22023"),
            ("lake.series_create('s', NULL)", "22004"),
            ("lake.series_create(NULL)", "22004"),
            ("lake.series_create('s', engine => 'oracle')", "22023"),
            ("lake.series_create('s', engine => 'timescaledb')", "55000"),
            ("lake.series_create('no_schema.s')", "3F000"),
        ] {
            assert_eq!(failure(&format!("SELECT {call}")).0, state, "{call}");
        }
        run("SELECT lake.series_create('s')");
        assert_eq!(text("SELECT engine FROM lake.stores").as_deref(), Some("native"));
        assert_eq!(failure("SELECT lake.series_create('s')").0, "42P07");
    }

    #[pg_test]
    fn adopted_tables_have_chunks_and_retention() {
        if lacks("timescaledb") {
            return;
        }
        run("CREATE EXTENSION IF NOT EXISTS timescaledb;
             CREATE TABLE parts(at timestamp NOT NULL, device int, v float8) PARTITION BY RANGE (at);
             CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
             CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2020-02-01') TO ('2020-03-01');
             CREATE TABLE parts_now PARTITION OF parts FOR VALUES FROM ('2020-03-01') TO (MAXVALUE);
             CREATE TABLE hyper(at timestamptz NOT NULL, device int, v float8);
             SELECT create_hypertable('hyper', by_range('at', interval '1 month'));
             INSERT INTO parts VALUES ('2020-01-05', 1, 1), ('2020-02-05', 1, 1), (now(), 1, 1);
             INSERT INTO hyper VALUES ('2020-01-05', 1, 1), ('2020-02-05', 1, 1), (now(), 1, 1);
             SET LOCAL TimeZone = 'America/New_York'");
        for table in ["parts", "hyper"] {
            run(&format!(
                "SELECT lake.series_adopt('{table}', 'at', '{{device}}', '{{at}}'); SELECT lake.series_set_retention('{table}', '1 year')"
            ));
            assert_eq!(
                text(&format!("SELECT count(*) FROM lake.series_plan_retention('{table}')"))
                    .as_deref(),
                Some("2")
            );
            let store = find(table);
            assert_eq!(steps(&store, jobs::retention, now_plus("0")).len(), 2);
            assert_eq!(text(&format!("SELECT count(*) FROM {table}")).as_deref(), Some("1"));
            assert_eq!(failure(&format!("SELECT lake.series_latest('{table}')")).0, "0A000");
        }
        run(
            "RESET TimeZone; CREATE TABLE plain(at timestamptz, v int); CREATE TABLE two(a timestamptz, b int) PARTITION BY RANGE (a, b)",
        );
        for (call, state) in [
            ("lake.series_adopt('plain', 'at')", "0A000"),
            ("lake.series_adopt('two', 'a')", "0A000"),
            ("lake.series_adopt('plain', 'v')", "42804"),
            ("lake.series_adopt('plain', 'w')", "42703"),
            ("lake.series_adopt('parts', 'at')", "42710"),
            ("lake.series_adopt('plain', NULL)", "22004"),
        ] {
            assert_eq!(failure(&format!("SELECT {call}")).0, state, "{call}");
        }
    }

    #[pg_test]
    fn an_adopted_table_can_have_its_partitions_made() {
        run("CREATE TABLE p(at timestamptz NOT NULL, v float8) PARTITION BY RANGE (at);
             SELECT lake.series_adopt('p', 'at', options => '{\"chunk_interval\": \"7 days\", \"chunks_ahead\": 1}');
             INSERT INTO p VALUES (now(), 1), (now() + interval '7 days', 2)");
        assert_eq!(text("SELECT bool_and(extract(isodow FROM range_start AT TIME ZONE 'UTC') = 1) AND count(*) = 2 FROM lake.chunks").as_deref(), Some("true"));
    }
}
