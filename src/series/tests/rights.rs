//! Who may do what: writers need `INSERT` and `SELECT` on both tables and nothing more.

use super::helpers::{all, failure, on_both, run, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;
    use crate::testing::lacks;

    #[pg_test]
    fn a_writer_writes_into_new_chunks_that_belong_to_the_owner() {
        if lacks("timescaledb") {
            return;
        }
        run("CREATE ROLE keeper; CREATE ROLE writer; CREATE ROLE reader; CREATE ROLE stranger;
             CREATE EXTENSION timescaledb; GRANT CREATE ON SCHEMA public TO keeper; SET LOCAL ROLE keeper");
        on_both("{}", |engine, store| {
            run(&format!(
                "GRANT SELECT, INSERT ON {store}, {store}_series TO writer; GRANT SELECT ON {store}, {store}_series TO reader"
            ));
            let ingest = format!(
                "SELECT * FROM lake.series_ingest('{store}', ARRAY[now() - interval '30 days'], ARRAY['m'], NULL, ARRAY[1.0])"
            );
            run("SET LOCAL ROLE writer");
            assert_eq!(all(&ingest), "(1,0,0)");
            run("SET LOCAL ROLE reader");
            assert_eq!(
                text(&format!("SELECT count(*) FROM lake.series_query('{store}', 'm')")).as_deref(),
                Some("1")
            );
            let other = ingest.replace("30 days", "60 days");
            assert_eq!(failure(&other).0, "42501");
            for call in [
                format!("lake.series_set_retention('{store}', '1 day')"),
                format!("lake.series_define_metric('{store}', 'm')"),
                format!("lake.series_set_options('{store}', '{{\"strict\": true}}')"),
            ] {
                assert_eq!(failure(&format!("SELECT {call}")).0, "42501", "{call}");
            }
            run("SET LOCAL ROLE stranger");
            assert_eq!(failure(&format!("SELECT lake.series_query('{store}', 'm')")).0, "42501");
            assert_eq!(failure(&other).0, "42501");
            assert_eq!(text("SELECT count(*) FROM lake.chunks").as_deref(), Some("0"));
            run("SET LOCAL ROLE keeper");
            assert_eq!(
                all(&format!(
                    "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE oid IN (SELECT chunk FROM lake.chunks WHERE store = '{store}'::regclass)"
                )),
                "(keeper)",
                "{engine}"
            );
        });
        run("RESET ROLE");
    }

    #[pg_test]
    fn an_owner_who_may_not_create_is_named() {
        run("CREATE ROLE keeper; CREATE SCHEMA closed; GRANT USAGE, CREATE ON SCHEMA closed TO keeper; SET LOCAL ROLE keeper;
             SELECT lake.series_create('closed.s', engine => 'native'); RESET ROLE;
             REVOKE CREATE ON SCHEMA closed FROM keeper");
        let (state, message) = failure(
            "SELECT lake.series_ingest('closed.s', ARRAY[now() - interval '9 days'], ARRAY['m'], NULL, ARRAY[1.0])",
        );
        assert_eq!(state, "42501");
        assert!(
            message.contains("owner keeper may not create tables in schema closed"),
            "{message}"
        );
        assert_eq!(text("SELECT count(*) FROM closed.s_series").as_deref(), Some("0"));
    }

    #[pg_test]
    fn adopting_takes_the_owner() {
        run(
            "CREATE ROLE stranger; CREATE TABLE p(at timestamptz NOT NULL) PARTITION BY RANGE (at); SET LOCAL ROLE stranger",
        );
        assert_eq!(failure("SELECT lake.series_adopt('p', 'at')").0, "42501");
        run("RESET ROLE");
    }
}
