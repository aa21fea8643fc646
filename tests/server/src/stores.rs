//! Stores and jobs for tests of workers, made without the families: what a worker does with a job
//! doesn't depend on what the job is.

use postgres::Client;

/// A series store `name` with 200 rows, owned by `owner`, with an `analyze` job that is due in an
/// hour. While a worker analyses it, each row takes 50 ms where `slow_jobs(true)` was called.
/// Returns the job's id.
#[track_caller]
pub fn store_with_job(db: &mut Client, name: &str, owner: &str) -> i64 {
    let sql = format!(
        r#"
        CREATE TABLE IF NOT EXISTS public.slow_switch (slow bool);
        GRANT SELECT ON public.slow_switch TO PUBLIC;
        CREATE OR REPLACE FUNCTION public.slow(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
        BEGIN
            IF pg_catalog.current_setting('application_name') = 'lake_stores visit'
               AND (SELECT slow FROM public.slow_switch) THEN
                PERFORM pg_catalog.pg_sleep(0.05);
            END IF;
            RETURN n;
        END $$;
        CREATE TABLE {name} (n int);
        INSERT INTO {name} SELECT generate_series(1, 200);
        CREATE INDEX ON {name} (public.slow(n));
        ALTER TABLE {name} OWNER TO {owner};
        INSERT INTO _lake.store (relid, kind, engine) VALUES ('{name}', 'series', 'native');
        "#
    );
    db.batch_execute(&sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let sql = format!(
        "INSERT INTO _lake.job (relid, kind, action, schedule, next_run) \
         VALUES ('{name}', 'series', 'analyze', '1 hour', now() + interval '1 hour') RETURNING job_id"
    );
    db.query_one(&sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e}")).get(0)
}

/// Whether jobs of [`store_with_job`] take ten seconds from now on, or no time.
#[track_caller]
pub fn slow_jobs(db: &mut Client, slow: bool) {
    db.batch_execute(&format!(
        "DELETE FROM public.slow_switch; INSERT INTO public.slow_switch VALUES ({slow})"
    ))
    .unwrap_or_else(|e| panic!("{e}"));
}

/// Makes a job due.
#[track_caller]
pub fn make_due(db: &mut Client, job: i64) {
    db.execute("SELECT lake.alter_job($1, next_run => now())", &[&job])
        .unwrap_or_else(|e| panic!("{e}"));
}

/// Outcomes of the job's runs, the newest first.
#[track_caller]
pub fn outcomes(db: &mut Client, job: i64) -> Vec<String> {
    db.query("SELECT outcome FROM lake.job_runs WHERE job_id = $1 ORDER BY run_id DESC", &[&job])
        .unwrap_or_else(|e| panic!("{e}"))
        .iter()
        .map(|row| row.get(0))
        .collect()
}

/// The visit that is in this database now.
#[track_caller]
pub fn visit_pid(db: &mut Client) -> Option<i32> {
    db.query_one("SELECT visit_pid FROM lake.worker_status", &[])
        .unwrap_or_else(|e| panic!("{e}"))
        .get(0)
}
