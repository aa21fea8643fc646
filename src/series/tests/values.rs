//! Values and times at the edge of what there is.

use super::helpers::{all, failure, on_both, run, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn what_is_not_finite_is_taken_where_the_store_says_so() {
        on_both("{\"allow_non_finite\": true}", |_, store| {
            run(&format!(
                "SELECT lake.series_define_metric('{store}', 'bounded', max_value => 10);
                 SELECT lake.series_define_metric('{store}', 'counted', kind => 'counter')"
            ));
            let sent = |metric: &str| {
                all(&format!(
                    "SELECT * FROM lake.series_ingest('{store}',
                         (SELECT array_agg(now() + i * interval '1 s') FROM generate_series(1, 3) i),
                         array_fill('{metric}'::text, ARRAY[3]), NULL, ARRAY['NaN', 'Infinity', '-Infinity']::float8[], 'reject')"
                ))
            };
            assert_eq!(sent("free"), "(3,0,0)");
            assert_eq!(sent("bounded"), "(1,0,2)");
            assert_eq!(sent("counted"), "(1,0,2)");
            assert_eq!(
                all(&format!(
                    "SELECT code FROM lake.rejects WHERE store = '{store}'::regclass ORDER BY batch, ordinal"
                )),
                "(nan) (above_maximum) (nan) (negative_counter)"
            );
            assert_eq!(
                all(&format!("SELECT value FROM lake.series_query('{store}', 'free') ORDER BY ts")),
                "(NaN) (Infinity) (-Infinity)"
            );
            // As text in JSON, and the same again is the same.
            assert_eq!(
                all(&format!(
                    "SELECT * FROM lake.series_ingest('{store}', jsonb_build_array(jsonb_build_object('ts',
                         to_char((now() + interval '1 s') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
                         'metric', 'free', 'value', 'NaN')), on_conflict => 'replace')"
                )),
                "(0,1,0)"
            );
            run(&format!(
                "SELECT lake.series_set_options('{store}', '{{\"allow_non_finite\": false}}')"
            ));
            assert_eq!(sent("free"), "(0,0,3)");
        });
        assert_eq!(
            failure("SELECT lake.series_create('x', options => '{\"allow_non_finite\": 1}')").0,
            "22023"
        );
    }

    #[pg_test]
    fn the_ends_of_time() {
        on_both("{\"max_past\": null, \"max_future\": null}", |_, store| {
            let sent = |ts: &str| {
                format!(
                    "SELECT * FROM lake.series_ingest('{store}', ARRAY['{ts}'::timestamptz], ARRAY['m'], NULL, ARRAY[1.0], 'reject')"
                )
            };
            assert_eq!(all(&sent("infinity")), "(0,0,1)");
            assert_eq!(all(&sent("-infinity")), "(0,0,1)");
            assert_eq!(all(&sent("0100-06-01 00:00+00")), "(1,0,0)");
            assert_eq!(all(&format!("SELECT extract(year FROM ts) FROM {store}")), "(100)");
        });
    }

    #[pg_test]
    fn the_last_instant_there_is_is_taken_or_refused() {
        run("CREATE FUNCTION pg_temp.outcome(sql text) RETURNS text LANGUAGE plpgsql AS $$
             DECLARE r text; BEGIN EXECUTE 'SELECT q::text FROM (' || sql || ') q' INTO r; RETURN r;
             EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$");
        on_both("{\"max_past\": null, \"max_future\": null}", |engine, store| {
            let outcome = text(&format!(
                "SELECT pg_temp.outcome($s$SELECT * FROM lake.series_ingest('{store}',
                     ARRAY['294276-12-31 23:59:59.999999+00'::timestamptz], ARRAY['m'], NULL, ARRAY[1.0])$s$)"
            ));
            // Its chunk would have to end after the last timestamp there is.
            let outcome = outcome.unwrap_or_default();
            assert!(
                matches!(outcome.as_str(), "(1,0,0)" | "22008" | "22023"),
                "{engine}: {outcome}"
            );
        });
    }

    #[pg_test]
    fn batches_of_nothing_and_tags_of_thousands() {
        on_both("{}", |_, store| {
            assert_eq!(
                all(&format!(
                    "SELECT * FROM lake.series_ingest('{store}', '{{}}'::timestamptz[], '{{}}'::text[], '{{}}'::jsonb[], '{{}}'::float8[])"
                )),
                "(0,0,0)"
            );
            assert_eq!(
                all(&format!("SELECT * FROM lake.series_ingest('{store}', '[]'::jsonb)")),
                "(0,0,0)"
            );
            assert_eq!(
                all(&format!(
                    "SELECT * FROM lake.series_ingest_line_protocol('{store}', E'\\n \\n# x')"
                )),
                "(0,0,0)"
            );
            assert_eq!(
                all(&format!(
                    "SELECT * FROM lake.series_ingest('{store}', ARRAY[now()], ARRAY['m'],
                         ARRAY[(SELECT jsonb_object_agg('k' || i, 'v') FROM generate_series(1, 10000) i)], ARRAY[1.0], 'reject')"
                )),
                "(0,0,1)"
            );
            assert_eq!(
                all(&format!("SELECT code FROM lake.rejects WHERE store = '{store}'::regclass")),
                "(tags_too_large)"
            );
            // Keys of any characters are keys.
            assert_eq!(
                all(&format!(
                    "SELECT * FROM lake.series_ingest('{store}', ARRAY[now()], ARRAY[E'm\\n''\"'],
                         ARRAY[jsonb_build_object(E'a\\n\"''/~', E'b\\n\"''')], ARRAY[1.0])"
                )),
                "(1,0,0)"
            );
            assert_eq!(
                text(&format!(
                    "SELECT count(*) FROM lake.series_latest('{store}', E'm\\n''\"', jsonb_build_object(E'a\\n\"''/~', E'b\\n\"'''))"
                ))
                .as_deref(),
                Some("1")
            );
        });
    }

    #[pg_test]
    fn skew_is_the_metrics_own_or_the_stores() {
        on_both("{\"max_past\": \"1 hour\", \"max_future\": \"1 hour\"}", |_, store| {
            run(&format!(
                "SELECT lake.series_define_metric('{store}', 'wide', max_past => '1 day', max_future => '1 day')"
            ));
            let sent = |metric: &str, shift: &str| {
                all(&format!(
                    "SELECT rejected FROM lake.series_ingest('{store}', ARRAY[now() + interval '{shift}'], ARRAY['{metric}'], NULL, ARRAY[1.0], 'reject')"
                ))
            };
            assert_eq!(sent("narrow", "-2 hours"), "(1)");
            assert_eq!(sent("narrow", "2 hours"), "(1)");
            assert_eq!(sent("narrow", "-30 minutes"), "(0)");
            assert_eq!(sent("wide", "-2 hours"), "(0)");
            assert_eq!(sent("wide", "2 hours"), "(0)");
            assert_eq!(sent("wide", "-2 days"), "(1)");
            assert_eq!(sent("wide", "2 days"), "(1)");
        });
    }
}
