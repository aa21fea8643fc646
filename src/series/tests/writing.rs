//! The ways in which a batch is written, and the ids that a session remembers: whatever is guessed or
//! remembered, the tables come out the same.

use super::helpers::{all, failure, on_both, run, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;

    /// A call with `count` points of each of `series` series, a second apart from `start` on.
    fn batch(store: &str, series: i32, count: i32, start: i32, more: &str) -> String {
        format!(
            "SELECT i.* FROM (
                 SELECT array_agg('2026-01-01 00:00+00'::timestamptz + s * interval '1 s' ORDER BY s, h) AS ts,
                        array_agg('m'::text) AS metric,
                        array_agg(jsonb_build_object('h', h::text) ORDER BY s, h) AS tags,
                        array_agg((s * 1000 + h)::float8 ORDER BY s, h) AS value
                 FROM generate_series(1, {series}) h, generate_series({start}, {start} + {count} - 1) s) b,
                 lake.series_ingest('{store}', b.ts, b.metric, b.tags, b.value{more}) i"
        )
    }

    /// Whether the store holds exactly these series and seconds, each value its own.
    fn holds(store: &str, series: i32, seconds: i32) {
        assert_eq!(
            all(&format!(
                "SELECT count(*), count(DISTINCT (series_id, ts)), bool_and(p.value =
                     extract(epoch FROM p.ts - '2026-01-01 00:00+00') * 1000 + (s.tags ->> 'h')::int)
                 FROM {store} p JOIN {store}_series s USING (series_id)"
            )),
            format!("({0},{0},t)", series * seconds)
        );
        assert_eq!(
            text(&format!("SELECT count(*) FROM {store}_series")).as_deref(),
            Some(series.to_string().as_str())
        );
    }

    #[pg_test]
    fn in_order_again_and_overlapping() {
        on_both("{}", |_, store| {
            // New; after it; the same again; half of it new; before all of it.
            assert_eq!(all(&batch(store, 20, 100, 1000, "")), "(2000,0,0)");
            assert_eq!(all(&batch(store, 20, 100, 1100, "")), "(2000,0,0)");
            assert_eq!(all(&batch(store, 20, 100, 1100, "")), "(0,2000,0)");
            assert_eq!(all(&batch(store, 20, 100, 1150, "")), "(1000,1000,0)");
            assert_eq!(
                all(&batch(store, 20, 100, 900, ", on_conflict => 'replace'")),
                "(2000,0,0)"
            );
            assert_eq!(
                all(&batch(store, 20, 200, 900, ", on_conflict => 'replace'")),
                "(0,4000,0)"
            );
            assert_eq!(all(&batch(store, 20, 900, 0, ", on_conflict => 'error'")), "(18000,0,0)");
            holds(store, 20, 1250);
        });
    }

    #[pg_test]
    fn a_wrong_guess_costs_nothing_but_time() {
        on_both("{}", |_, store| {
            assert_eq!(all(&batch(store, 200, 1, 0, "")), "(200,0,0)");
            // Another writer was faster with one point of the next batch.
            run(&format!(
                "INSERT INTO {store} SELECT '2026-01-01 00:00:01+00', series_id, 1000 + (tags ->> 'h')::int
                 FROM {store}_series WHERE tags ->> 'h' = '7'"
            ));
            run(&format!(
                "CREATE TABLE told_{store} (rows bigint);
                 CREATE FUNCTION tell_{store}() RETURNS trigger LANGUAGE plpgsql AS
                     $f$BEGIN INSERT INTO told_{store} SELECT count(*) FROM new_rows; RETURN NULL; END$f$;
                 CREATE TRIGGER tell AFTER INSERT ON {store} REFERENCING NEW TABLE AS new_rows
                     FOR EACH STATEMENT EXECUTE FUNCTION tell_{store}()"
            ));
            assert_eq!(all(&batch(store, 200, 1, 1, "")), "(199,1,0)");
            assert_eq!(all(&batch(store, 200, 1, 2, "")), "(200,0,0)");
            // Statement triggers see each row once, whichever statement wrote it.
            assert_eq!(all(&format!("SELECT rows FROM told_{store}")), "(199) (200)");
            holds(store, 200, 3);
        });
    }

    #[pg_test]
    fn rows_that_a_trigger_refuses_are_refused_either_way() {
        on_both("{}", |_, store| {
            run(&format!(
                "CREATE FUNCTION no_{store}() RETURNS trigger LANGUAGE plpgsql AS
                     $f$BEGIN IF new.value > 5000 THEN RAISE 'too much' USING ERRCODE = '23514'; END IF; RETURN new; END$f$;
                 CREATE TRIGGER no BEFORE INSERT ON {store} FOR EACH ROW EXECUTE FUNCTION no_{store}()"
            ));
            assert_eq!(all(&batch(store, 200, 2, 0, "")), "(400,0,0)");
            let (state, message) = failure(&batch(store, 200, 2, 5, ""));
            assert_eq!((state.as_str(), message.as_str()), ("23514", "too much"));
            holds(store, 200, 2);
        });
    }

    #[pg_test]
    fn what_is_remembered_of_series_is_checked() {
        on_both("{}", |_, store| {
            let point = |ts: &str| {
                all(&format!(
                    "SELECT * FROM lake.series_ingest('{store}', ARRAY['2026-01-01 {ts}+00'::timestamptz], ARRAY['m'], ARRAY['{{\"h\": \"a\"}}'::jsonb], ARRAY[1.0])"
                ))
            };
            let series = || {
                all(&format!(
                    "SELECT s.tags ->> 'h' AS h, (SELECT count(*) FROM {store} p WHERE p.series_id = s.series_id)
                     FROM {store}_series s ORDER BY series_id"
                ))
            };
            // Made in a subtransaction that is rolled back, then for good.
            run(&format!(
                "DO $d$ BEGIN
                     PERFORM lake.series_ingest('{store}', ARRAY['2026-01-01 00:00+00'::timestamptz], ARRAY['m'], ARRAY['{{\"h\": \"a\"}}'::jsonb], ARRAY[1.0]);
                     RAISE 'undo';
                 EXCEPTION WHEN raise_exception THEN NULL; END $d$"
            ));
            assert_eq!(series(), "");
            assert_eq!((point("00:01").as_str(), point("00:02").as_str()), ("(1,0,0)", "(1,0,0)"));
            assert_eq!(series(), "(a,2)");
            // Renamed: what is sent under the old name is another series again.
            run(&format!("UPDATE {store}_series SET tags = '{{\"h\": \"b\"}}'"));
            assert_eq!(point("00:03"), "(1,0,0)");
            assert_eq!(series(), "(b,2) (a,1)");
            run(&format!("DELETE FROM {store}_series WHERE tags ->> 'h' = 'a'"));
            assert_eq!(point("00:04"), "(1,0,0)");
            assert_eq!(series(), "(b,2) (a,1)");
            run(&format!("TRUNCATE {store}_series"));
            assert_eq!(point("00:05"), "(1,0,0)");
            assert_eq!(series(), "(a,1)");
            // Dropped and made anew.
            run(&format!(
                "SELECT lake.drop_store('{store}'); SELECT lake.series_create('{store}')"
            ));
            assert_eq!(point("00:06"), "(1,0,0)");
            assert_eq!(series(), "(a,1)");
        });
    }

    #[pg_test]
    fn series_that_a_policy_hides_are_not_written_to_from_memory() {
        on_both("{}", |engine, store| {
            let point = |ts: &str| {
                format!(
                    "SELECT * FROM lake.series_ingest('{store}', ARRAY['2026-01-01 {ts}+00'::timestamptz], ARRAY['m'], ARRAY['{{\"h\": \"a\"}}'::jsonb], ARRAY[1.0])"
                )
            };
            assert_eq!(all(&point("00:01")), "(1,0,0)");
            run(&format!(
                "CREATE ROLE limited_{engine}; GRANT SELECT, INSERT ON {store}, {store}_series TO limited_{engine};
                 ALTER TABLE {store}_series ENABLE ROW LEVEL SECURITY;
                 CREATE POLICY own ON {store}_series TO limited_{engine} USING (tags ->> 'h' <> 'a') WITH CHECK (true);
                 SET LOCAL ROLE limited_{engine}"
            ));
            assert_eq!(failure(&point("00:02")).0, "42501");
            run("RESET ROLE");
            assert_eq!(text(&format!("SELECT count(*) FROM {store}")).as_deref(), Some("1"));
        });
    }

    #[pg_test]
    fn one_series_spelt_in_several_ways() {
        on_both("{}", |_, store| {
            let lines = "m,a=1,b=2 value=1 1767225600000000000\n\
                         m,b=2,a=1 value=2 1767225601000000000\n\
                         m,b=2,a=1 value=9 1767225600000000000";
            run(&format!("SELECT lake.series_define_metric('{store}', 'm', max_series => 1)"));
            for counts in ["(2,1,0)", "(0,3,0)"] {
                assert_eq!(
                    all(&format!(
                        "SELECT * FROM lake.series_ingest_line_protocol('{store}', '{lines}')"
                    )),
                    counts
                );
            }
            assert_eq!(
                all(&format!("SELECT tags FROM {store}_series")),
                r#"("{""a"": ""1"", ""b"": ""2""}")"#
            );
            assert_eq!(all(&format!("SELECT value FROM {store} ORDER BY ts")), "(1) (2)");
        });
    }
}
