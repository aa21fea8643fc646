//! How wide chunks are, and how that changes.

use super::helpers::{all, failure, find, now_plus, on_both, run, steps, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;
    use crate::series::jobs;

    #[pg_test]
    fn widths_follow_what_is_written() {
        on_both("{\"chunk_target_bytes\": 1048576}", |engine, store| {
            assert_eq!(
                text(&format!("SELECT reason FROM lake.series_advise_interval('{store}')"))
                    .as_deref(),
                Some("too few closed chunks with rows in them to tell")
            );
            run(&format!(
                "SELECT lake.series_ingest('{store}', array_agg(now() - d * interval '1 day' + s * interval '1 second'),
                     array_agg('m'::text), NULL, array_agg(1.0::float8))
                 FROM generate_series(2, 5) d, generate_series(1, 100) s"
            ));
            // Some tens of kB a day: a megabyte takes weeks.
            let advised =
                text(&format!("SELECT chunk_interval FROM lake.series_advise_interval('{store}')"))
                    .unwrap();
            assert!(advised.ends_with("days"), "{engine}: {advised}");
            let done = steps(&find(store), jobs::make_chunks, now_plus("0"));
            assert!(done[0].subject.contains(&format!("are {advised} wide")), "{engine}: {done:?}");
            assert_eq!(
                text(&format!(
                    "SELECT options ->> 'chunk_interval' FROM lake.stores WHERE store = '{store}'::regclass"
                )),
                Some(advised)
            );
            // New chunks are of the new width, and none lies upon another.
            run(&format!(
                "SELECT lake.series_ingest('{store}', array_agg(now() + d * interval '9 days'), array_agg('m'::text), NULL, array_agg(1.0::float8))
                 FROM generate_series(-20, 0) d"
            ));
            assert_eq!(
                all(&format!(
                    "SELECT max(range_end - range_start) > interval '1 day' AS wider, bool_and(free) AS apart FROM (
                         SELECT *, coalesce(range_start >= lag(range_end) OVER (ORDER BY range_start), true) AS free
                         FROM lake.chunks WHERE store = '{store}'::regclass) c"
                )),
                "(t,t)",
                "{engine}"
            );
        });
    }

    #[pg_test]
    fn wrong_targets() {
        run("SELECT lake.series_create('s', '1 day', 'native');
             CREATE TABLE p(at timestamptz NOT NULL, v int) PARTITION BY RANGE (at); SELECT lake.series_adopt('p', 'at')");
        for (call, state) in [
            ("lake.series_advise_interval('s', 0)", "22023"),
            ("lake.series_advise_interval(NULL)", "22004"),
            ("lake.series_advise_interval('p')", "0A000"),
            ("lake.series_advise_interval('pg_class')", "42809"),
            ("lake.series_set_options('s', '{\"chunk_target_bytes\": 5}')", "22023"),
            ("lake.series_set_options('s', '{\"chunk_target_bytes\": \"1GB\"}')", "22023"),
        ] {
            assert_eq!(failure(&format!("SELECT {call}")).0, state, "{call}");
        }
        run("SELECT lake.series_set_options('s', '{\"chunk_target_bytes\": null}')");
    }
}
