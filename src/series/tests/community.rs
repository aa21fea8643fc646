//! Hypertables whose chunks TimescaleDB has compressed, which its community edition alone does.

use super::helpers::{all, failure, find, now_plus, run, steps, text};
use crate::testing::lacks_community_edition;
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;
    use crate::series::jobs;

    /// Four days of two series, a point every ten minutes; the three oldest chunks are compressed.
    fn compressed(store: &str) {
        run(&format!(
            "SELECT lake.series_create($q${store}$q$, '1 day', 'timescaledb');
             SELECT lake.series_ingest($q${store}$q$, array_agg(t), array_agg('cpu'::text),
                        array_agg(jsonb_build_object('host', h)), array_agg(floor(extract(epoch FROM t))::float8))
             FROM generate_series(now() - interval '4 days', now(), '10 minutes') t, (VALUES ('a'), ('b')) s(h);
             CREATE TEMP TABLE before AS SELECT * FROM {store};
             ALTER TABLE {store} SET (timescaledb.compress, timescaledb.compress_segmentby = 'series_id',
                                      timescaledb.compress_orderby = 'ts');
             SELECT compress_chunk(c) FROM show_chunks($q${store}$q$, older_than => now() - interval '1 day') c"
        ));
    }

    fn differences(store: &str) -> String {
        all(&format!(
            "(SELECT '-' AS sign, * FROM before EXCEPT ALL SELECT '-', * FROM {store})
             UNION ALL (SELECT '+', * FROM {store} EXCEPT ALL SELECT '+', * FROM before)"
        ))
    }

    #[pg_test]
    fn what_timescaledb_has_compressed_counts_as_what_it_takes() {
        if lacks_community_edition() {
            return;
        }
        compressed("c");
        let chunks = "FROM lake.chunks WHERE store = 'c'::regclass";
        let states = all(&format!(
            "SELECT state, count(*), bool_and(ratio > 1) {chunks} GROUP BY 1 ORDER BY 1"
        ));
        assert_eq!(states, "(closed,1,) (compressed,3,t) (open,1,)");
        assert_eq!(
            text(&format!(
                "SELECT sum(bytes) = hypertable_size('c') - pg_total_relation_size('c') {chunks}"
            )),
            Some("true".into())
        );
        assert_eq!(
            text(&format!(
                "SELECT bool_and(bytes > compressed_bytes) {chunks} AND state = 'compressed'"
            )),
            Some("true".into())
        );
        // By size the oldest goes first, compressed or not.
        run(&format!(
            "SELECT lake.series_set_retention('c', NULL, (SELECT sum(bytes)::int8 - 1 {chunks}))"
        ));
        let oldest = text("SELECT min(range_start) FROM lake.chunks WHERE store = 'c'::regclass");
        assert_eq!(text("SELECT range_start FROM lake.series_plan_retention('c')"), oldest);
        assert_eq!(steps(&find("c"), jobs::retention, now_plus("0")).len(), 1);
        assert_ne!(
            text("SELECT min(range_start) FROM lake.chunks WHERE store = 'c'::regclass"),
            oldest
        );
    }

    #[pg_test]
    fn late_points_find_those_that_timescaledb_has_compressed() {
        if lacks_community_edition() {
            return;
        }
        compressed("c");
        assert_eq!(differences("c"), "");
        let late = |on_conflict: &str| {
            format!(
                "SELECT i.* FROM (SELECT array_agg(ts) AS ts, array_agg('cpu'::text) AS metric,
                     array_agg('{{\"host\": \"a\"}}'::jsonb) AS tags, array_agg(-1.0::float8) AS value
                     FROM (SELECT min(ts) AS ts FROM before UNION ALL SELECT min(ts) + interval '1 second' FROM before) t) b,
                 lake.series_ingest('c', b.ts, b.metric, b.tags, b.value, on_conflict => '{on_conflict}') i"
            )
        };
        assert_eq!(failure(&late("error")).0, "23505");
        assert_eq!(differences("c"), "");
        assert_eq!(all(&late("ignore")), "(1,1,0)");
        // The second has that value already.
        assert_eq!(all(&late("replace")), "(1,1,0)");
        run("UPDATE before SET value = -1 WHERE series_id = 1 AND ts = (SELECT min(ts) FROM before);
             INSERT INTO before SELECT min(ts) + interval '1 second', 1, -1 FROM before");
        assert_eq!(differences("c"), "");
        let daily =
            "'cpu', NULL, now() - interval '5 days', now() + interval '1 day', '1 day', 'sum'";
        assert_eq!(
            text(&format!("SELECT sum(value) FROM lake.series_query('c', {daily})")),
            text("SELECT sum(value) FROM before")
        );
        assert_eq!(
            all("SELECT series_id, ts, value FROM lake.series_latest('c', 'cpu') ORDER BY 1"),
            all(
                "SELECT DISTINCT ON (series_id) series_id, ts, value FROM before ORDER BY series_id, ts DESC"
            )
        );
    }

    #[pg_test]
    fn single_metrics_leave_compressed_chunks() {
        if lacks_community_edition() {
            return;
        }
        compressed("c");
        run("SELECT lake.series_set_metric_retention('c', NULL, '2 days', '{\"host\": \"b\"}')");
        let done = steps(&find("c"), jobs::retention, now_plus("0"));
        assert!(done.iter().map(|step| step.rows).sum::<i64>() > 100, "{done:?}");
        run(
            "DELETE FROM before WHERE series_id = 2 AND ts < date_trunc('day', now() - interval '2 days', 'UTC')",
        );
        assert_eq!(differences("c"), "");
        assert_eq!(all("SELECT * FROM lake.series_plan_retention('c')"), "");
    }

    #[pg_test]
    fn a_retention_policy_of_timescaledb_is_shown() {
        if lacks_community_edition() {
            return;
        }
        run("CREATE SCHEMA \"a'b\"");
        compressed("\"a'b\".\"C\"");
        run(r#"SELECT add_retention_policy('"a''b"."C"', interval '7 days')"#);
        let found = "SELECT remedy FROM lake.health() WHERE finding LIKE 'a retention policy of TimescaleDB%'";
        assert_eq!(all(found), "");
        run(r#"SELECT lake.series_set_retention('"a''b"."C"', '30 days')"#);
        let remedy = text(found).expect("the finding");
        run(&remedy);
        assert_eq!(all(found), "");
    }
}
