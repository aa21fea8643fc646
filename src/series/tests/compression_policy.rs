//! Compression in the background: what is due is compressed, what isn't stays, nothing is compressed for
//! nothing; and the estimate before.

use super::helpers::{failure, run, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;

    /// A store of daily chunks, with three days long ago and today.
    fn store() {
        run("SELECT lake.series_create('m', '1 day', 'native')");
        run(
            "SELECT lake.series_ingest('m', array_agg(t), array_agg('cpu' || n), NULL, array_agg(n + extract(minute FROM t)::float8)) \
             FROM generate_series('2026-01-01Z'::timestamptz, '2026-01-03 23:59Z', '1 minute') t, generate_series(1, 4) n",
        );
        run("SELECT lake.series_ingest('m', ARRAY[now()], ARRAY['cpu1'], NULL, ARRAY[1.0])");
    }

    fn job() {
        run("SELECT lake.run_job(job_id) FROM lake.jobs WHERE action = 'compress'");
    }

    fn states() -> String {
        text("SELECT string_agg(state, ' ' ORDER BY range_start) FROM lake.chunks WHERE range_end < now() + interval '1 hour'")
            .unwrap()
    }

    #[pg_test]
    fn what_is_old_enough_is_compressed_once() {
        store();
        run("SELECT lake.series_set_compression('m', '1 day')");
        assert_eq!(states(), "closed closed closed");
        let rows = text("SELECT count(*)::text || sum(value) FROM m");
        job();
        assert_eq!(states(), "compressed compressed compressed");
        assert_eq!(text("SELECT count(*)::text || sum(value) FROM m"), rows);
        let files = || {
            text(
                "SELECT string_agg(pg_relation_filenode(chunk)::text, ' ' ORDER BY chunk::text) FROM lake.chunks",
            )
        };
        let before = files();
        job();
        assert_eq!(files(), before, "nothing was due");
        // A few late rows stay beside the batches, many are compressed with them.
        run("INSERT INTO m SELECT '2026-01-02 00:00:30Z', series_id, 1 FROM m_series");
        job();
        assert_eq!(files(), before, "a few rows aren't worth it");
        run(
            "INSERT INTO m SELECT t, series_id, 1 FROM m_series, generate_series('2026-01-02 00:00:31Z'::timestamptz, '2026-01-02 23:59:31Z', '1 minute') t",
        );
        job();
        assert_ne!(files(), before, "many are");
        assert_eq!(
            text("SELECT pg_relation_size(chunk)::text FROM lake.chunks WHERE range_start = '2026-01-02Z'").as_deref(),
            Some("0")
        );
        assert_eq!(text("SELECT count(*)::text FROM m").as_deref(), Some("23045"));
        assert_eq!(
            text("SELECT string_agg(steps || ' ' || rows, ', ' ORDER BY run_id) FROM lake.job_runs WHERE action = 'compress'").as_deref(),
            Some("3 17280, 0 0, 0 0, 1 11524")
        );
    }

    #[pg_test]
    fn what_is_young_or_cannot_be_compressed_stays() {
        store();
        run("ALTER TABLE m_p20260102 SET UNLOGGED");
        run("SELECT lake.series_set_compression('m', now() - '2026-01-03 12:00Z')");
        job();
        assert_eq!(states(), "compressed closed closed");
        run("ALTER TABLE m_p20260102 SET LOGGED; SELECT lake.series_set_compression('m', '0')");
        job();
        assert_eq!(states(), "compressed compressed compressed");
        assert_eq!(
            text("SELECT state FROM lake.chunks WHERE range_start <= now() AND range_end > now()")
                .as_deref(),
            Some("open")
        );
        run("SELECT lake.series_set_compression('m', NULL)");
        assert_eq!(
            text("SELECT count(*)::text FROM lake.jobs WHERE action = 'compress'").as_deref(),
            Some("0")
        );
        assert_eq!(
            text("SELECT options ->> 'compression' FROM lake.stores WHERE store = 'm'::regclass"),
            None
        );
        assert_eq!(states(), "compressed compressed compressed");
    }

    #[pg_test]
    fn an_estimate_is_what_compression_comes_to_and_changes_nothing() {
        store();
        run("ANALYZE m");
        let estimate = || {
            text(
                "SELECT concat_ws(' ', chunk, rows, bytes, compressed_bytes, round(ratio::numeric, 1), plain_bytes, estimated_bytes) \
                  FROM lake.series_estimate_compression('m')",
            )
        };
        let before = text("SELECT count(*)::text FROM pg_class");
        let estimated = estimate().unwrap();
        assert_eq!(text("SELECT count(*)::text FROM pg_class"), before);
        let chunk = estimated.split(' ').next().unwrap().to_owned();
        let came = text(&format!(
            "SELECT concat_ws(' ', '{chunk}', rows, bytes_before, bytes_after, round(bytes_before / bytes_after::numeric, 1)) \
             FROM lake.series_compress_chunk('{chunk}')"
        ))
        .unwrap();
        assert!(estimated.starts_with(&came), "{estimated}, came to {came}");
        run("SELECT lake.series_set_compression('m', '0')");
        job();
        assert_eq!(estimate(), None, "all is compressed");
    }

    #[pg_test]
    fn wrong_calls_are_refused() {
        store();
        run("CREATE TABLE plain (ts timestamptz)");
        for (call, expected) in [
            ("lake.series_set_compression(NULL, '1 day')", "22004"),
            ("lake.series_set_compression('plain', '1 day')", "42809"),
            ("lake.series_set_compression('m', '-1 day')", "22023"),
            ("lake.series_set_compression('m', '1 day', ARRAY['nosuch'])", "42703"),
            ("lake.series_set_compression('m', '1 day', ARRAY[NULL]::text[])", "22004"),
            ("lake.series_set_compression('m', '1 day', NULL, ARRAY['nosuch; --'])", "42703"),
            ("lake.series_estimate_compression(NULL)", "22004"),
            ("lake.series_estimate_compression('plain')", "42809"),
        ] {
            assert_eq!(failure(&format!("SELECT {call}")).0, expected, "{call}");
        }
        if crate::testing::lacks("timescaledb") {
            return;
        }
        run("CREATE EXTENSION timescaledb; SELECT lake.series_create('h', '1 day', 'timescaledb')");
        for call in
            ["lake.series_set_compression('h', '1 day')", "lake.series_estimate_compression('h')"]
        {
            assert_eq!(failure(&format!("SELECT {call}")).0, "0A000", "{call}");
        }
    }
}
