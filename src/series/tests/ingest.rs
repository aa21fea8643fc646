//! Ingest: counts, conflicts, faults and their codes, definitions of metrics, replay.

use super::helpers::{all, failure, on_both, run, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;

    fn ingest(store: &str, points: &str, more: &str) -> String {
        all(&format!("SELECT * FROM lake.series_ingest('{store}', $j${points}$j$::jsonb{more})"))
    }

    #[pg_test]
    fn arrays_and_json_write_the_same() {
        on_both("{}", |_, store| {
            assert_eq!(
                all(&format!(
                    "SELECT * FROM lake.series_ingest('{store}', ARRAY['2026-01-01 00:00+00', '2026-01-02 00:00+00']::timestamptz[],
                     ARRAY['m', 'm'], ARRAY['{{\"h\": \"a\"}}', '{{}}']::jsonb[], ARRAY[1, 2.5])"
                )),
                "(2,0,0)"
            );
            let points = r#"[{"ts": "2026-01-01T01:00:00+01:00", "metric": "m", "tags": {"h": "a"}, "value": 7},
                             {"ts": "2026-01-02T00:00:00.5Z", "metric": "m", "value": 3}]"#;
            assert_eq!(ingest(store, points, ""), "(1,1,0)");
            assert_eq!(
                all(&format!(
                    "SELECT s.metric, s.tags, p.ts AT TIME ZONE 'UTC' AS ts, p.value FROM {store} p
                              JOIN {store}_series s USING (series_id) ORDER BY p.ts, s.series_id"
                )),
                r#"(m,"{""h"": ""a""}","2026-01-01 00:00:00",1) (m,{},"2026-01-02 00:00:00",2.5) (m,{},"2026-01-02 00:00:00.5",3)"#
            );
        });
    }

    #[pg_test]
    fn a_series_is_named_once_and_points_refer_to_it() {
        on_both("{}", |_, store| {
            let call = |series: &str, more: &str| {
                format!(
                    "SELECT * FROM lake.series_ingest('{store}',
                         ARRAY['2026-01-01 00:00Z', '2026-01-01 00:01Z', '2026-01-01 00:02Z']::timestamptz[],
                         metric => ARRAY['a', 'b', 'a', '', NULL], value => ARRAY[1, 2, 3], series => {series},
                         tags => ARRAY['{{}}', '{{\"x\": \"y\"}}', '{{}}', '{{}}', '{{}}']::jsonb[]{more})"
                )
            };
            // The first and the third entry are one series, and what nobody refers to is not looked at.
            assert_eq!(all(&call("ARRAY[1, 2, 3]", "")), "(3,0,0)");
            assert_eq!(
                all(&format!(
                    "SELECT metric, tags, array_agg(value ORDER BY ts) AS v FROM {store} JOIN {store}_series s USING (series_id)
                     GROUP BY s.series_id, metric, tags ORDER BY metric"
                )),
                r#"(a,{},"{1,3}") (b,"{""x"": ""y""}",{2})"#
            );
            for (series, state, message) in [
                ("ARRAY[1, 0, 1]", "22023", "point 2: series is 0; metric has entries from 1 to 5"),
                ("ARRAY[1, 2, 6]", "22023", "point 3: series is 6; metric has entries from 1 to 5"),
                ("ARRAY[-2147483648, 2, 6]", "22023", "point 1: series is -2147483648; metric"),
                ("ARRAY[1, 2, NULL]", "22004", "point 3: series is null"),
                ("ARRAY[1, 5, 1]", "22004", "point 2: metric is null"),
                ("ARRAY[1, 2, 4]", "22023", "point 3: metric is empty"),
                ("ARRAY[1, 2]", "2202E", "ts has 3 entries, series has 2"),
                ("NULL", "2202E", "ts has 3 entries, metric has 5"),
            ] {
                let failed = failure(&call(series, ""));
                assert_eq!(failed.0, state, "{series}");
                assert!(failed.1.contains(message), "{series}: {}", failed.1);
            }
            // Rejects are kept as points of their own.
            assert_eq!(all(&call("ARRAY[2, 7, 4]", ", on_error => 'reject'")), "(1,0,2)");
            assert_eq!(
                all(&format!(
                    "SELECT code, payload::json->>'metric' AS m, payload::json->>'tags' AS t FROM lake.rejects
                     WHERE store = '{store}'::regclass ORDER BY ordinal"
                )),
                "(bad_series,,) (bad_metric,\"\",{})"
            );
        });
    }

    #[pg_test]
    fn conflicts_in_the_batch_and_with_the_store() {
        on_both("{}", |_, store| {
            let points = r#"[{"ts": "2026-01-01T00:00:00Z", "metric": "m", "value": 1},
                             {"ts": "2026-01-01T00:00:00Z", "metric": "m", "value": 2},
                             {"ts": "2026-01-01T00:00:01Z", "metric": "m", "value": 3}]"#;
            let values = || all(&format!("SELECT value FROM {store} ORDER BY ts"));
            assert_eq!(ingest(store, points, ""), "(2,1,0)");
            assert_eq!(values(), "(1) (3)");
            assert_eq!(ingest(store, points, ", on_conflict => 'replace'"), "(1,2,0)");
            assert_eq!(values(), "(2) (3)");
            let (state, message) = failure(&format!(
                "SELECT lake.series_ingest('{store}', '{points}'::jsonb, on_conflict => 'error')"
            ));
            assert_eq!(state, "23505");
            assert!(message.contains("point 2"), "{message}");
            let more = points.replace("00:00:01Z", "00:00:02Z");
            assert_eq!(
                ingest(store, &more, ", on_conflict => 'error', on_error => 'reject'"),
                "(1,0,2)"
            );
            assert_eq!(
                all(&format!(
                    "SELECT ordinal, code FROM lake.rejects WHERE store = '{store}'::regclass ORDER BY ordinal"
                )),
                "(1,duplicate) (2,duplicate)"
            );
            assert_eq!(values(), "(2) (3) (3)");
        });
    }

    #[pg_test]
    fn every_fault_has_its_code() {
        on_both("{}", |_, store| {
            let good = r#""ts": "2026-01-01T00:00:00Z", "metric": "m""#;
            let far = "2200-01-01T00:00:00Z";
            let cases = [
                ("7".to_owned(), "not_an_object"),
                (format!(r#"{{{good}, "value": 1, "valeu": 2}}"#), "unknown_field"),
                (r#"{"metric": "m", "value": 1}"#.into(), "null_ts"),
                (r#"{"ts": 1767225600, "metric": "m", "value": 1}"#.into(), "bad_timestamp"),
                (
                    r#"{"ts": "2026-01-01T00:00:00", "metric": "m", "value": 1}"#.into(),
                    "bad_timestamp",
                ),
                (r#"{"ts": "infinity", "metric": "m", "value": 1}"#.into(), "infinite_timestamp"),
                (format!(r#"{{"ts": "{far}", "metric": "m", "value": 1}}"#), "too_far_in_future"),
                (r#"{"ts": "1970-01-01T00:00:00Z", "metric": "m", "value": 1}"#.into(), "too_old"),
                (r#"{"ts": "2026-01-01T00:00:00Z", "value": 1}"#.into(), "null_metric"),
                (
                    r#"{"ts": "2026-01-01T00:00:00Z", "metric": "", "value": 1}"#.into(),
                    "bad_metric",
                ),
                (r#"{"ts": "2026-01-01T00:00:00Z", "metric": 1, "value": 1}"#.into(), "bad_metric"),
                (format!(r#"{{{good}, "tags": null, "value": 1}}"#), "null_tags"),
                (format!(r#"{{{good}, "tags": [], "value": 1}}"#), "tags_not_object"),
                (format!(r#"{{{good}, "tags": {{"a/b": 1}}, "value": 1}}"#), "tag_not_text"),
                (
                    format!(r#"{{{good}, "tags": {{"a": "{}"}}, "value": 1}}"#, "x".repeat(3000)),
                    "tags_too_large",
                ),
                (format!("{{{good}}}"), "null_value"),
                (format!(r#"{{{good}, "value": "1"}}"#), "bad_value"),
                (format!(r#"{{{good}, "value": "NaN"}}"#), "nan"),
                (format!(r#"{{{good}, "value": "-Infinity"}}"#), "infinite_value"),
            ];
            let batch =
                format!("[{}]", cases.iter().map(|c| c.0.as_str()).collect::<Vec<_>>().join(","));
            assert_eq!(
                ingest(store, &batch, ", on_error => 'reject'"),
                format!("(0,0,{})", cases.len())
            );
            let codes = Spi::connect(|client| {
                client.select(&format!("SELECT code FROM lake.rejects WHERE store = '{store}'::regclass ORDER BY ordinal"), None, &[])
                    .unwrap().filter_map(|row| row.get::<String>(1).unwrap()).collect::<Vec<_>>()
            });
            assert_eq!(codes, cases.iter().map(|c| c.1.to_owned()).collect::<Vec<_>>());
            assert_eq!(
                all(&format!(
                    "SELECT pointer FROM lake.rejects WHERE store = '{store}'::regclass AND code = 'tag_not_text'"
                )),
                "(/tags/a~1b)"
            );
            // Each alone raises, and nothing is written, not even a chunk or a series.
            for (point, code) in &cases {
                let (state, message) = failure(&format!(
                    "SELECT lake.series_ingest('{store}', $j$[{point}]$j$::jsonb)"
                ));
                assert!(matches!(state.as_str(), "22023" | "22004" | "22000"), "{code}: {state}");
                assert!(message.contains(&format!("{store}, point 1: ")), "{message}");
            }
            assert_eq!(text(&format!("SELECT count(*) FROM {store}_series")).as_deref(), Some("0"));
            assert_eq!(
                text(&format!("SELECT count(*) FROM lake.chunks WHERE store = '{store}'::regclass AND range_end > now() + interval '1 year'")).as_deref(),
                Some("0")
            );
        });
    }

    #[pg_test]
    fn arrays_with_nulls_and_of_unequal_length() {
        on_both("{}", |_, store| {
            let batch = format!(
                "lake.series_ingest('{store}', ARRAY[NULL, '2026-01-01', '2026-01-01', '2026-01-01', 'infinity', '2026-01-01']::timestamptz[],
                 ARRAY['m', NULL, 'm', 'm', 'm', 'm'], ARRAY['{{}}', '{{}}', NULL, '{{}}', '{{}}', '{{}}']::jsonb[],
                 ARRAY[1, 1, 1, NULL, 1, 'NaN']::float8[]"
            );
            assert_eq!(all(&format!("SELECT * FROM {batch}, 'reject')")), "(0,0,6)");
            assert_eq!(
                all(&format!(
                    "SELECT code FROM lake.rejects WHERE store = '{store}'::regclass ORDER BY ordinal"
                )),
                "(null_ts) (null_metric) (null_tags) (null_value) (infinite_timestamp) (nan)"
            );
            assert_eq!(failure(&format!("SELECT {batch})")).0, "22004");
            let (state, message) = failure(&format!(
                "SELECT lake.series_ingest('{store}', ARRAY[now()], ARRAY['a', 'b'], NULL, ARRAY[1.0])"
            ));
            assert_eq!(
                (state.as_str(), message.as_str()),
                ("2202E", "ts has 1 entries, metric has 2")
            );
            assert_eq!(
                failure(&format!("SELECT lake.series_ingest('{store}', NULL::jsonb)")).0,
                "22004"
            );
            assert_eq!(
                failure(&format!("SELECT lake.series_ingest('{store}', '[]'::jsonb, 'maybe')")).0,
                "22023"
            );
            assert_eq!(
                failure(&format!(
                    "SELECT lake.series_ingest('{store}', '[]'::jsonb, on_conflict => 'x')"
                ))
                .0,
                "22023"
            );
            assert_eq!(ingest(store, "[]", ""), "(0,0,0)");
        });
    }

    #[pg_test]
    fn definitions_of_metrics_hold() {
        on_both(r#"{"strict": true}"#, |_, store| {
            run(&format!(
                "SELECT lake.series_define_metric('{store}', 'temp', unit => 'C', min_value => -40, max_value => 60, tag_keys => '{{room}}', max_series => 1);
                 SELECT lake.series_define_metric('{store}', 'hits', kind => 'counter', max_past => '1 hour', max_future => '1 minute')"
            ));
            let point = |metric: &str, ts: &str, tags: &str, value: &str| {
                format!(
                    r#"{{"ts": "{ts}", "metric": "{metric}", "tags": {tags}, "value": {value}}}"#
                )
            };
            let now =
                text("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
                    .unwrap();
            let soon = text("SELECT to_char(now() AT TIME ZONE 'UTC' + interval '1 hour', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')").unwrap();
            let batch = [
                point("temp", &now, r#"{"room": "a"}"#, "20"),
                point("temp", &now, r#"{"room": "a"}"#, "-41"),
                point("temp", &now, r#"{"room": "a"}"#, "61"),
                point("temp", &now, r#"{"floor": "a"}"#, "20"),
                point("temp", &now, r#"{"room": "b"}"#, "20"),
                point("hits", &now, "{}", "-1"),
                point("hits", "2026-01-01T00:00:00Z", "{}", "1"),
                point("hits", &soon, "{}", "1"),
                point("other", &now, "{}", "1"),
            ];
            let points = format!("[{}]", batch.join(","));
            assert_eq!(ingest(store, &points, ", on_error => 'reject'"), "(1,0,8)");
            assert_eq!(
                all(&format!(
                    "SELECT ordinal, code FROM lake.rejects WHERE store = '{store}'::regclass ORDER BY ordinal"
                )),
                "(2,below_minimum) (3,above_maximum) (4,unknown_tag) (5,too_many_series) (6,negative_counter) (7,too_old) (8,too_far_in_future) (9,undefined_metric)"
            );
            // Rejects are taken again once the rules allow them. Two of the five are of a time that is
            // there already.
            run(&format!(
                "SELECT lake.series_set_options('{store}', '{{\"strict\": false}}');
                          SELECT lake.series_define_metric('{store}', 'temp', min_value => -100)"
            ));
            assert_eq!(
                all(&format!(
                    "SELECT (lake.replay_rejects(store, batch)).accepted FROM lake.rejects WHERE store = '{store}'::regclass LIMIT 1"
                )),
                "(5)"
            );
            for wrong in [
                "kind => 'thing'",
                "min_value => 2, max_value => 1",
                "max_series => 0",
                "max_past => '-1 day'",
                "min_value => 'NaN'",
            ] {
                assert_eq!(
                    failure(&format!("SELECT lake.series_define_metric('{store}', 'x', {wrong})"))
                        .0,
                    "22023",
                    "{wrong}"
                );
            }
            assert_eq!(
                failure(&format!("SELECT lake.series_define_metric('{store}', NULL)")).0,
                "22004"
            );
        });
    }

    #[pg_test]
    fn options_are_checked() {
        for (options, state) in [
            (r#"{"nope": 1}"#, "22023"),
            (r#"{"strict": 1}"#, "22023"),
            (r#"{"max_past": "-1 day"}"#, "22023"),
            (r#"{"max_future": "soon"}"#, "22007"),
            (r#"{"max_series": 0}"#, "22023"),
            (r#"{"chunks_ahead": 9999}"#, "22023"),
            ("[]", "22023"),
        ] {
            assert_eq!(
                failure(&format!("SELECT lake.series_create('x', options => '{options}')")).0,
                state,
                "{options}"
            );
        }
        for key in crate::series::options::known() {
            assert!(
                failure("SELECT lake.series_create('x', options => '{\"nope\": 1}')")
                    .1
                    .contains("nope"),
                "{key}"
            );
        }
    }

    #[pg_test]
    fn decades_of_history_load() {
        on_both("{}", |engine, store| {
            let sql = format!(
                "SELECT * FROM lake.series_ingest('{store}',
                 (SELECT array_agg(d) FROM generate_series(now() - interval '49 years', now() - interval '1 day', '90 days') d),
                 (SELECT array_agg('m'::text) FROM generate_series(now() - interval '49 years', now() - interval '1 day', '90 days')),
                 NULL, (SELECT array_agg(1.0::float8) FROM generate_series(now() - interval '49 years', now() - interval '1 day', '90 days')))"
            );
            assert_eq!(all(&sql), "(199,0,0)", "{engine}");
            // The whole history in one call would take a chunk for each of 12,000 days.
            if engine == "native" {
                assert_eq!(
                    failure(&sql.replace("90 days", "1 day").replace("(199", "")).0,
                    "54000"
                );
            }
            run(&format!("SELECT lake.series_set_options('{store}', '{{\"max_past\": null}}')"));
            assert_eq!(
                ingest(store, r#"[{"ts": "1850-06-01T00:00:00Z", "metric": "m", "value": 1}]"#, ""),
                "(1,0,0)"
            );
        });
    }
}
