//! How long single metrics stay; chunks that leave their table.

use super::helpers::{all, engines, failure, find, now_plus, on_both, run, steps, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;
    use crate::series::{jobs, retention};

    /// Ten days of `cpu` on two hosts and of `mem`, a point of each a day.
    fn fill(store: &str) {
        run(&format!(
            "SELECT lake.series_ingest('{store}', array_agg(now() - d * interval '1 day'), array_agg(m),
                 array_agg(jsonb_build_object('host', h)), array_agg(d::float8))
             FROM generate_series(0, 9) d, (VALUES ('cpu', 'a'), ('cpu', 'b'), ('mem', 'a')) s(m, h)"
        ));
    }

    fn counts(store: &str) -> String {
        all(&format!(
            "SELECT metric, tags ->> 'host' AS host, count(*) FROM {store} JOIN {store}_series USING (series_id)
             GROUP BY 1, 2 ORDER BY 1, 2"
        ))
    }

    #[pg_test]
    fn single_metrics_go_before_the_rest() {
        on_both("{}", |engine, store| {
            fill(store);
            run(&format!(
                "SELECT lake.series_set_metric_retention('{store}', 'cpu', '4 days');
                 SELECT lake.series_set_metric_retention('{store}', 'cpu', '7 days', '{{\"host\": \"b\"}}')"
            ));
            let plan = || {
                all(&format!(
                    "SELECT action, count(*), count(rows), min(reason), max(reason)
                     FROM lake.series_plan_retention('{store}') GROUP BY action"
                ))
            };
            let planned = plan();
            assert!(planned.contains("delete rows"), "{engine}: {planned}");
            assert!(
                planned.contains("rows past their time (cpu: 4 days)")
                    && planned.contains("7 days"),
                "{planned}"
            );
            let chunks =
                text(&format!("SELECT count(*) FROM lake.series_plan_retention('{store}')"))
                    .unwrap();
            let done = steps(&find(store), jobs::retention, now_plus("0"));
            assert_eq!(done.len().to_string(), chunks, "{engine}: a step for each chunk");
            assert_eq!(plan(), "", "{engine}");
            // Chunks go by their end, so up to one width longer; midnight may lie in between.
            let expected = ["(cpu,a,5) (cpu,b,8) (mem,a,10)", "(cpu,a,6) (cpu,b,9) (mem,a,10)"];
            let found = counts(store);
            assert!(expected.contains(&found.as_str()), "{engine}: {found}");
            // What comes late goes too.
            run(&format!(
                "INSERT INTO {store} SELECT now() - interval '9 days 1 second', series_id, 1 FROM {store}_series;
                 SELECT pg_stat_force_next_flush()"
            ));
            assert_eq!(counts(store).replace("11", "10").len(), found.len());
            run(&format!("SELECT lake.series_set_metric_retention('{store}', 'cpu', '3 days')"));
            steps(&find(store), jobs::retention, now_plus("0"));
            assert!(
                ["(cpu,a,4) (cpu,b,8) (mem,a,11)", "(cpu,a,5) (cpu,b,9) (mem,a,11)"]
                    .contains(&counts(store).as_str()),
                "{}",
                counts(store)
            );
        });
    }

    #[pg_test]
    fn the_most_particular_rule_holds() {
        on_both("{}", |engine, store| {
            fill(store);
            run(&format!(
                "SELECT lake.series_set_metric_retention('{store}', NULL, '2 days', '{{\"host\": \"a\"}}');
                 SELECT lake.series_set_metric_retention('{store}', 'mem', '1 year')"
            ));
            steps(&find(store), jobs::retention, now_plus("0"));
            let found = counts(store);
            assert!(
                ["(cpu,a,3) (cpu,b,10) (mem,a,10)", "(cpu,a,4) (cpu,b,10) (mem,a,10)"]
                    .contains(&found.as_str()),
                "{engine}: {found}"
            );
            assert_eq!(
                all(&format!(
                    "SELECT metric, tags, keep FROM lake.metric_retention WHERE store = '{store}'::regclass ORDER BY keep"
                )),
                "(,\"{\"\"host\"\": \"\"a\"\"}\",\"2 days\") (mem,{},\"1 year\")"
            );
        });
    }

    #[pg_test]
    fn a_rule_goes_and_the_job_with_the_last() {
        run("SELECT lake.series_create('s', '1 day', 'native')");
        let jobs = || text("SELECT count(*) FROM lake.jobs WHERE action = 'retention'").unwrap();
        run("SELECT lake.series_set_metric_retention('s', 'cpu', '1 day')");
        assert_eq!(jobs(), "1");
        run(
            "SELECT lake.series_set_retention('s', '1 year'); SELECT lake.series_set_metric_retention('s', 'cpu', NULL)",
        );
        assert_eq!(jobs(), "1");
        run("SELECT lake.series_set_retention('s', NULL)");
        assert_eq!(jobs(), "0");
        run("SELECT lake.series_set_metric_retention('s', 'cpu', '1 day'); DROP TABLE s");
        assert_eq!(text("SELECT count(*) FROM _lake.series_keep").as_deref(), Some("0"));
    }

    #[pg_test]
    fn wrong_rules() {
        run("SELECT lake.series_create('s', '1 day', 'native');
             CREATE TABLE p(at timestamptz NOT NULL, v int) PARTITION BY RANGE (at); SELECT lake.series_adopt('p', 'at')");
        for (call, state) in [
            ("lake.series_set_metric_retention('s', '', '1 day')", "22023"),
            ("lake.series_set_metric_retention('s', NULL, '1 day')", "22023"),
            ("lake.series_set_metric_retention('s', 'm', '-1 day')", "22023"),
            ("lake.series_set_metric_retention('s', 'm', '0')", "22023"),
            ("lake.series_set_metric_retention('s', 'm', '1 day', '{\"a\": 1}')", "22023"),
            ("lake.series_set_metric_retention('s', 'm', '1 day', '[]')", "22023"),
            ("lake.series_set_metric_retention('s', 'm', '1 day', NULL)", "22004"),
            ("lake.series_set_metric_retention(NULL, 'm', '1 day')", "22004"),
            ("lake.series_set_metric_retention('p', 'm', '1 day')", "0A000"),
        ] {
            assert_eq!(failure(&format!("SELECT {call}")).0, state, "{call}");
        }
        run("CREATE ROLE mallory; GRANT ALL ON s TO mallory; SET ROLE mallory");
        assert_eq!(
            failure("SELECT lake.series_set_metric_retention('s', 'm', '1 day')").0,
            "42501"
        );
        run("RESET ROLE");
    }

    #[pg_test]
    fn age_and_size_together() {
        for engine in engines() {
            run(&format!("SELECT lake.series_create('b_{engine}', '1 day', '{engine}')"));
            let store = format!("b_{engine}");
            fill(&store);
            let all_bytes = text(&format!(
                "SELECT sum(bytes) FROM lake.chunks WHERE store = '{store}'::regclass"
            ))
            .unwrap();
            // What age takes already counts towards the size, so that nothing more goes for it.
            run(&format!("SELECT lake.series_set_retention('{store}', '6 days', {all_bytes} - 1)"));
            assert_eq!(
                text(&format!("SELECT bool_and(reason = 'older than 6 days') FROM lake.series_plan_retention('{store}')")).as_deref(),
                Some("true")
            );
            run(&format!("SELECT lake.series_set_retention('{store}', '6 days', 1)"));
            assert_eq!(
                text(&format!("SELECT count(DISTINCT reason) = 2 AND bool_and(range_end <= now()) FROM lake.series_plan_retention('{store}')")).as_deref(),
                Some("true"),
                "{engine}"
            );
        }
    }

    /// Only what this library itself has detached is dropped.
    #[pg_test]
    fn what_somebody_took_out_stays() {
        run("SELECT lake.series_create('s', '1 day', 'native')");
        fill("s");
        run("SELECT lake.series_set_retention('s', '3 days')");
        let oldest = text("SELECT chunk FROM lake.series_plan_retention('s') LIMIT 1").unwrap();
        // As if the process had ended right after it wrote down what it is about to do.
        run(&format!(
            "INSERT INTO _lake.series_dropping (relid, chunk, bytes, begun_at) VALUES ('s', '{oldest}'::regclass, 1, now());
             ALTER TABLE s DETACH PARTITION {oldest}"
        ));
        let store = find("s");
        steps(&store, jobs::retention, now_plus("0"));
        assert_eq!(text(&format!("SELECT count(*) FROM {oldest}")).as_deref(), Some("3"));
        assert_eq!(
            text(&format!("SELECT count(*) FROM lake.health() WHERE subject = 'public.{oldest}'"))
                .as_deref(),
            Some("1")
        );
        // One that it did detach, and whose drop was interrupted.
        run("UPDATE _lake.series_dropping SET detached = true");
        assert_eq!(steps(&store, jobs::retention, now_plus("0")).len(), 1);
        assert_eq!(
            text(&format!("SELECT to_regclass('{oldest}') IS NULL")).as_deref(),
            Some("true")
        );
        assert_eq!(text("SELECT count(*) FROM _lake.series_dropping").as_deref(), Some("0"));
    }

    #[pg_test]
    fn beside_a_default_partition_in_one_transaction() {
        run("SELECT lake.series_create('s', '1 day', 'native')");
        fill("s");
        run(
            "CREATE TABLE rest (LIKE s); ALTER TABLE s ATTACH PARTITION rest DEFAULT; SELECT lake.series_set_retention('s', '3 days')",
        );
        let store = find("s");
        let planned = retention::plan(&store, now_plus("0")).unwrap().len();
        assert!(planned >= 6);
        assert_eq!(steps(&store, jobs::retention, now_plus("0")).len(), planned);
        assert_eq!(text("SELECT count(*) FROM _lake.series_dropping").as_deref(), Some("0"));
        assert_eq!(
            text("SELECT count(*) FROM lake.series_plan_retention('s')").as_deref(),
            Some("0")
        );
    }
}
