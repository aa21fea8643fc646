//! InfluxDB line protocol into both engines.

use super::helpers::{all, failure, on_both, run, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn what_telegraf_sends_is_taken() {
        on_both("{\"max_past\": null}", |_, store| {
            let lines = "# a comment\n\
                cpu,cpu=cpu-total,host=srv1 usage_idle=97.5,usage_user=1.25 1700000000000000000\n\
                mem,host=srv1 used=3i,free=18446744073709551615u,ok=true 1700000000000000000\n\
                system,host=srv1 uptime_format=\"1 day\" 1700000000000000000\n\
                temp,host=a\\ b value=21.5 1700000001500000000\n";
            assert_eq!(
                all(&format!(
                    "SELECT * FROM lake.series_ingest_line_protocol('{store}', $l${lines}$l$, text_fields => 'skip')"
                )),
                "(6,0,0)"
            );
            assert_eq!(
                all(&format!(
                    "SELECT s.metric, s.tags, extract(epoch FROM p.ts)::float8, p.value FROM {store} p JOIN {store}_series s USING (series_id) ORDER BY 1"
                )),
                "(cpu_usage_idle,\"{\"\"cpu\"\": \"\"cpu-total\"\", \"\"host\"\": \"\"srv1\"\"}\",1700000000,97.5) \
                 (cpu_usage_user,\"{\"\"cpu\"\": \"\"cpu-total\"\", \"\"host\"\": \"\"srv1\"\"}\",1700000000,1.25) \
                 (mem_free,\"{\"\"host\"\": \"\"srv1\"\"}\",1700000000,1.8446744073709552e+19) \
                 (mem_ok,\"{\"\"host\"\": \"\"srv1\"\"}\",1700000000,1) \
                 (mem_used,\"{\"\"host\"\": \"\"srv1\"\"}\",1700000000,3) \
                 (temp,\"{\"\"host\"\": \"\"a b\"\"}\",1700000001.5,21.5)"
            );
        });
    }

    #[pg_test]
    fn bad_lines_have_their_number_and_cost_no_other() {
        on_both("{\"max_past\": null}", |_, store| {
            let lines =
                "m v=1 1\n\nm v=\nm v=2 2\nm s=\"x\",v=3 3\nm,host v=1\nm v=4 99999999999999999";
            let (state, message) = failure(&format!(
                "SELECT lake.series_ingest_line_protocol('{store}', '{lines}', 's')"
            ));
            assert_eq!(state, "22P02");
            assert!(message.ends_with("line 3: field \"v\" has no value (column 5)"), "{message}");
            assert_eq!(text(&format!("SELECT count(*) FROM {store}")).as_deref(), Some("0"));
            assert_eq!(
                all(&format!(
                    "SELECT * FROM lake.series_ingest_line_protocol('{store}', '{lines}', 's', 'reject')"
                )),
                "(3,0,4)"
            );
            assert_eq!(
                all(&format!(
                    "SELECT ordinal, code, payload->>'line' FROM lake.rejects WHERE store = '{store}'::regclass ORDER BY ordinal"
                )),
                "(3,bad_line,\"m v=\") (5,text_field,) (6,bad_line,\"m,host v=1\") (7,bad_timestamp,)"
            );
            // Replayed, they are refused again, for the same reasons.
            assert_eq!(
                all(&format!(
                    "SELECT replayed, accepted, rejected FROM lake.replay_rejects('{store}')"
                )),
                "(4,0,4)"
            );
        });
    }

    #[pg_test]
    fn arguments_are_checked() {
        run("SELECT lake.series_create('s', engine => 'native')");
        for (call, state) in [
            ("('s', NULL)", "22004"),
            ("('s', 'm v=1', 'd')", "22023"),
            ("('s', 'm v=1', NULL)", "22004"),
            ("('s', 'm v=1', 's', 'maybe')", "22023"),
            ("('s', 'm v=1', text_fields => 'keep')", "22023"),
            ("('pg_class', 'm v=1')", "42809"),
            ("('s', 'm v=\"text\"')", "22023"),
            ("('s', 'm v=1 9223372036854775807', 'h')", "22023"),
        ] {
            assert_eq!(
                failure(&format!("SELECT lake.series_ingest_line_protocol{call}")).0,
                state,
                "{call}"
            );
        }
        assert_eq!(all("SELECT * FROM lake.series_ingest_line_protocol('s', '')"), "(0,0,0)");
        assert_eq!(all("SELECT * FROM lake.series_ingest_line_protocol('s', 'm v=1')"), "(1,0,0)");
        assert_eq!(
            text("SELECT count(*) FROM s WHERE ts BETWEEN now() - interval '1 minute' AND clock_timestamp()").as_deref(),
            Some("1")
        );
    }
}
