-- Which index is chosen, what is refused, builds in one transaction, measured recall, policies, findings.
SET client_min_messages = warning;
CREATE SCHEMA vector_index; SET search_path = vector_index, public;
\set SHOW_CONTEXT never
\pset format unaligned

-- The choice follows dimensions and storage.
SELECT lake.vector_create('small', 3), lake.vector_create('wide', 3000), lake.vector_create('wider', 5000, storage => 'halfvec');
SELECT method, quantization, reason, definition FROM lake.vector_plan_index('small');
SELECT method, quantization, reason, definition FROM lake.vector_plan_index('wide');
SELECT method, quantization, reason, definition FROM lake.vector_plan_index('wider');
SELECT method, quantization, definition FROM lake.vector_plan_index('small', 'ivfflat', 'halfvec', lists => 7);
SELECT method, quantization, definition FROM lake.vector_plan_index('small', quantization => 'binary', m => 40);

-- What can't be.
SELECT lake.vector_build_index(NULL);
\echo :SQLSTATE
SELECT lake.vector_build_index('small', method => 'btree');
\echo :SQLSTATE
SELECT lake.vector_build_index('small', quantization => 'int8');
\echo :SQLSTATE
SELECT lake.vector_build_index('small', m => 1);
\echo :SQLSTATE
SELECT lake.vector_build_index('small', m => 40, ef_construction => 64);
\echo :SQLSTATE
SELECT lake.vector_build_index('wide', quantization => 'none');
\echo :SQLSTATE
SELECT lake.vector_build_index('small', method => 'diskann');
\echo :SQLSTATE
SELECT lake.vector_build_index('small', method => 'vchordrq');
\echo :SQLSTATE
SELECT lake.vector_create('city', 3, metric => 'l1');
SELECT lake.vector_build_index('city', method => 'ivfflat');
\echo :SQLSTATE
CREATE TABLE parts (id bigint PRIMARY KEY, embedding vector(3)) PARTITION BY RANGE (id);
SELECT lake.vector_adopt('parts');
SELECT method, quantization, definition FROM lake.vector_plan_index('parts');
CREATE TABLE untyped (id bigint PRIMARY KEY, embedding vector);
SELECT lake.vector_adopt('untyped', dimensions => 3);
SELECT method, quantization, definition FROM lake.vector_plan_index('untyped');
CREATE ROLE vector_index_other;
GRANT USAGE ON SCHEMA vector_index TO vector_index_other;
SET ROLE vector_index_other;
SELECT lake.vector_build_index('small');
SELECT lake.vector_cancel_build('small');
SELECT lake.vector_set_index_policy('small');
SELECT count(*) FROM lake.vector_indexes;
RESET ROLE;

-- A build in this transaction, with a name that has to be quoted.
SELECT lake.vector_create('"Odd ""Name; --"', 3);
INSERT INTO "Odd ""Name; --" (id, embedding) SELECT 'r' || i, ARRAY[sin(i), cos(i), sin(3 * i)]::real[]::vector FROM generate_series(1, 500) i;
SELECT lake.vector_build_index('"Odd ""Name; --"', concurrently => false) > 0 AS built;
SELECT index, method, opclass, state, rows_at_build, rows_since_built >= 0 AS counted, definition FROM lake.vector_indexes;
SELECT lake.vector_build_index('"Odd ""Name; --"');
SELECT lake.vector_build_index('"Odd ""Name; --"', quantization => 'halfvec', replace => true, concurrently => false) > 0 AS built;
SELECT index, opclass, state FROM lake.vector_indexes;
SELECT lake.vector_build_index('"Odd ""Name; --"', m => 8, replace => true, concurrently => false) > 0 AS built;
SELECT index, opclass, state FROM lake.vector_indexes;
SELECT count(*) FROM lake.jobs WHERE action = 'build_index';

-- Recall.
SELECT recall_mean > 0.9 AS mean, recall_worst <= recall_p5 AS worst, samples, ef_search, index FROM lake.vector_measure_recall('"Odd ""Name; --"', samples => 20);
SELECT recall_mean > 0.9 AS mean, ef_search FROM lake.vector_measure_recall('"Odd ""Name; --"', samples => 5, ef_search => 50);
SELECT reached, recall_mean >= 0.9 AS mean FROM lake.vector_tune('"Odd ""Name; --"', 0.9, samples => 20);
SELECT (options->>'ef_search')::int > 0 AS kept, options->>'metric' AS metric FROM lake.stores WHERE store = '"Odd ""Name; --"'::regclass;
SELECT store, k, samples, filter, rows FROM lake.vector_recall;
SELECT lake.vector_measure_recall('small');
SELECT lake.vector_measure_recall('"Odd ""Name; --"', k => 0);
SELECT lake.vector_measure_recall('"Odd ""Name; --"', samples => 0);
SELECT lake.vector_tune('"Odd ""Name; --"', 1.5);
SELECT lake.vector_tune('"Odd ""Name; --"', 0.9, worst => 0);
GRANT SELECT ON "Odd ""Name; --" TO vector_index_other;
SET ROLE vector_index_other;
SELECT samples FROM lake.vector_measure_recall('"Odd ""Name; --"', samples => 5);
SELECT count(*) FROM lake.vector_recall;
SELECT lake.vector_tune('"Odd ""Name; --"');
RESET ROLE;
SELECT count(*) FROM lake.vector_recall;

-- Policies.
SELECT action, schedule FROM lake.jobs WHERE store = 'small'::regclass ORDER BY action;
SELECT lake.vector_set_index_policy('small', auto => false);
SELECT count(*) FROM lake.jobs WHERE store = 'small'::regclass;
SELECT lake.vector_set_index_policy('small', min_rows => 10, quantization => 'halfvec');
SELECT options->'policy' AS policy FROM lake.stores WHERE store = 'small'::regclass;
SELECT lake.vector_set_index_policy('small', min_rows => 0);
SELECT lake.vector_set_index_policy('small', max_exact_ms => 'NaN');
SELECT lake.vector_create('never', 3, options => '{"index": "none"}');
SELECT count(*) FROM lake.jobs WHERE store = 'never'::regclass;
SELECT lake.vector_create('odd', 3, options => '{"index": "btree"}');

-- Findings.
CREATE INDEX wrong ON never USING hnsw (embedding vector_l2_ops);
SELECT severity, subject, finding, remedy FROM lake.health() WHERE finding LIKE '%wrong%';
INSERT INTO never (id, embedding, metadata) SELECT i, ARRAY[sin(i), cos(7 * i), sin(13 * i)]::real[]::vector, jsonb_build_object('model', 'm' || i % 2) FROM generate_series(1, 1200) i;
ANALYZE never;
SELECT lake.vector_build_index('never', concurrently => false) > 0 AS built;
SELECT lake.vector_set_index_policy('never');
SELECT steps FROM lake.run_job((SELECT job_id FROM lake.jobs WHERE store = 'never'::regclass AND action = 'measure_recall'));
SELECT severity, subject, finding FROM lake.health() WHERE finding LIKE '%models%';
DROP TABLE never;
SELECT count(*) FROM _lake.vector_index v LEFT JOIN pg_class c ON c.oid = v.relid WHERE c.oid IS NULL;

DROP SCHEMA vector_index CASCADE;
DROP ROLE vector_index_other;
SELECT count(*) FROM _lake.vector_index;
SELECT count(*) FROM _lake.vector_recall;
SELECT count(*) FROM _lake.vector_finding;
