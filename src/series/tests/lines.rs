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

    /// Lines as Telegraf 1.x writes them (serializer `influx`): keys sorted, integers with `i`, unsigned
    /// ones with `u` where that is configured, floats in Go's shortest form, escapes where they are needed.
    const TELEGRAF: &str = r#"cpu,cpu=cpu0,host=web-01 usage_guest=0,usage_idle=98.19277108433735,usage_iowait=0.10040160642570281 1700000010000000000
disk,device=mapper/vg\ root,fstype=ext4,host=web-01,mode=rw,path=/mnt/a\,b free=98473914368i,inodes_used=1310720i,used_percent=7.450580596923828e-09 1700000010000000000
win_cpu,host=PC,instance=_Total,objectname=Processor\ Information Percent_Idle_Time=98.5,Percent\ DPC=1e+06 1700000010000000000
win_disk,host=PC,path=C:\Windows,tag\=key=a\=b Free=-9223372036854775808i 1700000010000000000
net\,all,host=münchen,interface=日本 bytes_recv=18446744073709551615u,up=true,down=false 1700000010000000000
x509,host=a expiry=9i,ok=t,subject="CN=\"a, b\" c=d\\e # no comment
second line of it",valid=F 1700000010000000000
system,host=a load1=0.5,uptime_format=" 1:00" 1700000010000000000
internal_write,host=a buffer_limit=10000i"#;

    #[pg_test]
    fn every_form_that_telegraf_writes() {
        on_both("{\"max_past\": null}", |_, store| {
            assert_eq!(
                all(&format!(
                    "SELECT * FROM lake.series_ingest_line_protocol('{store}', $l${TELEGRAF}$l$, text_fields => 'skip')"
                )),
                "(17,0,0)"
            );
            for (metric, tags, value) in [
                ("cpu_usage_idle", r#"{"cpu": "cpu0", "host": "web-01"}"#, "98.19277108433735"),
                (
                    "disk_used_percent",
                    r#"{"path": "/mnt/a,b", "device": "mapper/vg root"}"#,
                    "7.450580596923828e-09",
                ),
                ("win_cpu_Percent DPC", r#"{"objectname": "Processor Information"}"#, "1000000"),
                (
                    "win_disk_Free",
                    r#"{"path": "C:\\Windows", "tag=key": "a=b"}"#,
                    "-9.223372036854775808e18",
                ),
                ("net,all_bytes_recv", r#"{"interface": "日本"}"#, "1.8446744073709552e19"),
                ("net,all_down", "{}", "0"),
                ("x509_valid", "{}", "0"),
                ("x509_expiry", r#"{"host": "a"}"#, "9"),
                ("internal_write_buffer_limit", "{}", "10000"),
            ] {
                assert_eq!(
                    text(&format!(
                        "SELECT value = {value} FROM lake.series_latest('{store}', $m${metric}$m$, $t${tags}$t$)"
                    ))
                    .as_deref(),
                    Some("true"),
                    "{metric} {tags}"
                );
            }
            // The precisions of the agent's setting `precision`, all of the same instant.
            for (unit, digits) in [("s", ""), ("ms", "000"), ("us", "000000"), ("ns", "000000000")]
            {
                assert_eq!(
                    all(&format!(
                        "SELECT * FROM lake.series_ingest_line_protocol('{store}', 'p,u={unit} value=1 1700000010{digits}', '{unit}')"
                    )),
                    "(1,0,0)"
                );
            }
            assert_eq!(
                all(&format!(
                    "SELECT DISTINCT extract(epoch FROM ts)::bigint FROM lake.series_latest('{store}', 'p')"
                )),
                "(1700000010)"
            );
        });
    }

    #[pg_test]
    fn what_was_cut_off_costs_one_line() {
        on_both("{\"max_past\": null}", |_, store| {
            let whole = "m,h=a v=1,w=2 1700000000\nm,h=a v=3,w=4 1700000001";
            for end in 26..whole.len() - 1 {
                let cut = whole.get(..end).unwrap_or_default();
                let counts = all(&format!(
                    "SELECT accepted + duplicate, rejected FROM lake.series_ingest_line_protocol('{store}', '{cut}', 's', 'reject', 'replace')"
                ));
                // The first line always; of the second what can be read, or one fault.
                assert!(
                    matches!(counts.as_str(), "(2,1)" | "(3,0)" | "(4,0)" | "(2,2)"),
                    "{cut:?}: {counts}"
                );
            }
            // Half a character can't be in a text at all: the server refuses the whole of it.
            assert_eq!(
                failure(&format!(
                    "SELECT lake.series_ingest_line_protocol('{store}', convert_from('\\x6dc3'::bytea, 'UTF8'))"
                ))
                .0,
                "22021"
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
