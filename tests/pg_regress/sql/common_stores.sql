-- Functions and views that serve all stores: stores, jobs, rejects, called right and wrong.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA common_stores;
SET search_path = common_stores, public;

-- A store with a name of the worst kind. Its job is paused before a worker can see it.
BEGIN;
SELECT lake.series_create('"we""ird.Schema; --"', engine => 'native') AS store;
SELECT job_id AS job FROM lake.jobs WHERE store = 'common_stores."we""ird.Schema; --"'::regclass \gset
SELECT lake.alter_job(:job, paused => true);
COMMIT;
\set store '\'common_stores."we""ird.Schema; --"\''
SELECT store, kind, engine, owner = current_user AS mine, estimated_rows, bytes > 0 AS has_size, companion
FROM lake.stores WHERE store = :store::regclass;

-- Jobs.
SELECT store, kind, action, schedule, state, next_run, failures, last_outcome FROM lake.jobs WHERE job_id = :job;
SELECT count(*) AS ran FROM lake.run_job(:job);
SELECT store, action, outcome, sqlstate, message, steps >= 0 AS counted FROM lake.job_runs WHERE job_id = :job;
SELECT lake.alter_job(:job, schedule => '2 hours', config => '{"note": "kept"}');
SELECT schedule, config, state FROM lake.jobs WHERE job_id = :job;
SELECT lake.alter_job(:job, schedule => '999 milliseconds');
SELECT lake.alter_job(:job, config => '[1]');
SELECT lake.alter_job(NULL);
SELECT lake.alter_job(987654321, paused => true);
SELECT lake.run_job(NULL);
SELECT lake.run_job(987654321);

-- Rejects: refused, mended, taken again.
SELECT lake.series_define_metric(:store, 'cpu', max_value => 100);
SELECT * FROM lake.series_ingest(:store, ARRAY[now(), now()], ARRAY['cpu', 'cpu'],
    ARRAY['{"h": "a"}', '{"h": "b"}']::jsonb[], ARRAY[150, 1500], on_error => 'reject');
SELECT store, ordinal, code, message, pointer, payload->>'value' AS value, rejected_by = current_user AS by_me
FROM lake.rejects WHERE store = :store::regclass ORDER BY ordinal;
SELECT * FROM lake.replay_rejects(:store);
SELECT lake.series_define_metric(:store, 'cpu', max_value => 1000);
SELECT * FROM lake.replay_rejects(:store);
SELECT * FROM lake.replay_rejects(:store, batch => 987654321);
SELECT lake.purge_rejects(:store, older_than => '1 hour');
SELECT lake.purge_rejects(:store);
SELECT lake.replay_rejects(NULL);

-- Another role.
CREATE ROLE common_stores_other;
GRANT USAGE ON SCHEMA common_stores TO common_stores_other;
SET ROLE common_stores_other;
SELECT count(*) FROM lake.job_runs WHERE job_id = :job;
SELECT lake.run_job(:job);
SELECT lake.alter_job(:job, paused => false);
SELECT lake.drop_store(:store);
SELECT lake.purge_rejects(:store);
RESET ROLE;

-- The end of stores.
CREATE TABLE plain ();
SELECT lake.drop_store('plain');
SELECT lake.drop_store(NULL);
SELECT lake.replay_rejects('plain');
CREATE VIEW blocks AS SELECT * FROM "we""ird.Schema; --";
SELECT lake.drop_store(:store);
DROP VIEW blocks;
SELECT lake.drop_store(:store, keep_table => true);
SELECT count(*) FROM lake.stores WHERE store = :store::regclass;
SELECT count(*) FROM lake.jobs WHERE job_id = :job;
SELECT count(*) FROM "we""ird.Schema; --";
BEGIN;
SELECT lake.series_create('dropped', engine => 'native') AS store;
DROP TABLE dropped;
SELECT count(*) FROM _lake.store WHERE relid::oid NOT IN (SELECT oid FROM pg_class);
SELECT count(*) FROM _lake.job WHERE relid::oid NOT IN (SELECT oid FROM pg_class);
COMMIT;

-- What there is below.
SELECT engine, installed_version IS NOT NULL AS installed, edition FROM lake.engines WHERE engine = 'vector';
SELECT count(*) AS of_unknown_severity FROM lake.health() WHERE severity NOT IN ('error', 'warning', 'info');

DROP OWNED BY common_stores_other;
DROP ROLE common_stores_other;
SET client_min_messages = error;
DROP SCHEMA common_stores CASCADE;
