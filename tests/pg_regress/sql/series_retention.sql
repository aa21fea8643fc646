-- Retention on both engines: the plan, the run, what blocks it.
-- Needs: CREATE EXTENSION timescaledb;
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA series_retention;
SET search_path = series_retention, public;
SET TimeZone = 'UTC';
SELECT lake.series_create('n', engine => 'native'), lake.series_create('t', engine => 'timescaledb');
SELECT s, i.* FROM unnest('{n,t}'::regclass[]) s, LATERAL (
    SELECT array_agg(ts) AS ts, array_agg('m'::text) AS metric, array_agg(1.0::float8) AS value
    FROM (SELECT now() AS ts UNION ALL SELECT generate_series('2026-01-01 00:00+00', '2026-01-04 23:00+00', interval '1 hour')) g) p,
    lake.series_ingest(s, p.ts, p.metric, NULL, p.value) i;
-- Nothing is due before retention is set.
SELECT count(*) FROM lake.series_plan_retention('n');
-- Paused, so that no worker comes in between.
BEGIN;
SELECT lake.series_set_retention('n', keep => '3 days'), lake.series_set_retention('t', keep => '3 days');
SELECT count(*) FROM lake.jobs j, lake.alter_job(j.job_id, paused => true) WHERE store IN ('n'::regclass, 't'::regclass) AND action = 'retention';
COMMIT;
SELECT chunk, range_start, range_end, bytes > 0 AS has_bytes, reason, blocked_by FROM lake.series_plan_retention('n');
SELECT range_start, range_end, bytes > 0 AS has_bytes, reason, blocked_by FROM lake.series_plan_retention('t');
SELECT store, action, schedule FROM lake.jobs WHERE store IN ('n'::regclass, 't'::regclass) AND action = 'retention' ORDER BY store::text;
SELECT options -> 'retention' FROM lake.stores WHERE store = 'n'::regclass;
-- A view on a chunk holds it back, and only it.
CREATE VIEW keeps AS SELECT * FROM n_p20260102;
SELECT chunk, blocked_by FROM lake.series_plan_retention('n');
SELECT count(*) FROM lake.jobs j, lake.run_job(j.job_id) WHERE store IN ('n'::regclass, 't'::regclass) AND action = 'retention';
SELECT chunk, blocked_by FROM lake.series_plan_retention('n');
SELECT 'n' AS store, min(ts), count(*) FROM n WHERE ts < '2026-02-01' UNION ALL SELECT 't', min(ts), count(*) FROM t WHERE ts < '2026-02-01';
DROP VIEW keeps;
SELECT count(*) FROM lake.jobs j, lake.run_job(j.job_id) WHERE store = 'n'::regclass AND action = 'retention';
SELECT count(*) FROM n;
SELECT count(*) FROM t;
SELECT store, outcome, steps FROM lake.job_runs WHERE store IN ('n'::regclass, 't'::regclass) AND action = 'retention' ORDER BY run_id;
-- By size: never what is being written.
BEGIN;
SELECT lake.series_set_retention('n', NULL, max_bytes => 1);
SELECT count(*) FROM lake.series_plan_retention('n');
ROLLBACK;
-- An end of it.
SELECT lake.series_set_retention('n', NULL);
SELECT count(*) FROM lake.jobs WHERE store = 'n'::regclass AND action = 'retention';
-- Wrong.
SELECT lake.series_set_retention('n', '-1 day');
SELECT lake.series_set_retention('n', NULL, 0);
SELECT lake.series_set_retention('pg_class', '1 day');
SELECT lake.series_plan_retention(NULL);

SELECT lake.drop_store('n'), lake.drop_store('t');
DROP SCHEMA series_retention CASCADE;
