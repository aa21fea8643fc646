-- Ingest on both engines: counts, conflicts, faults.
-- Needs: CREATE EXTENSION timescaledb;
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA series_ingest;
SET search_path = series_ingest, public;
SET TimeZone = 'UTC';
SELECT lake.series_create('n', engine => 'native'), lake.series_create('t', engine => 'timescaledb');

-- From arrays, and the same from JSON.
SELECT s, i.* FROM unnest('{n,t}'::regclass[]) s, lake.series_ingest(s,
    ARRAY['2026-03-01 00:00', '2026-03-01 00:01', '2026-03-05 00:00']::timestamptz[],
    ARRAY['cpu', 'cpu', 'mem'],
    ARRAY['{"host": "a"}', '{"host": "b"}', '{}']::jsonb[],
    ARRAY[1, 2, 3]) i;
SELECT s, i.* FROM unnest('{n,t}'::regclass[]) s, lake.series_ingest(s, '[
    {"ts": "2026-03-01T01:00:00+01:00", "metric": "cpu", "tags": {"host": "a"}, "value": 9},
    {"ts": "2026-03-01T00:00:00.123456789Z", "metric": "cpu", "tags": {"host": "a", "core": "0"}, "value": -0.0},
    {"ts": "2026-03-05T00:00:00Z", "metric": "mem", "value": 3}]') i;
SELECT s.metric, s.tags, p.ts, p.value FROM n p JOIN n_series s USING (series_id) ORDER BY 3, 1, 2;
SELECT count(*) FROM (SELECT ts, metric, tags, value FROM n JOIN n_series USING (series_id)
                      EXCEPT SELECT ts, metric, tags, value FROM t JOIN t_series USING (series_id)) d;
SELECT chunk FROM lake.chunks WHERE store = 'n'::regclass AND range_end < '2026-04-01' ORDER BY range_start;

-- Conflicts, in the batch and with the store.
\set points '[{"ts": "2026-03-02T00:00:00Z", "metric": "c", "value": 1}, {"ts": "2026-03-02T00:00:00Z", "metric": "c", "value": 2}]'
SELECT s, i.* FROM unnest('{n,t}'::regclass[]) s, lake.series_ingest(s, :'points') i;
SELECT s, i.* FROM unnest('{n,t}'::regclass[]) s, lake.series_ingest(s, :'points', on_conflict => 'replace') i;
SELECT s, i.* FROM unnest('{n,t}'::regclass[]) s, lake.series_ingest(s, :'points', on_conflict => 'replace') i;
SELECT lake.series_ingest('n', :'points', on_conflict => 'error');
SELECT lake.series_ingest('t', '[{"ts": "2026-03-02T00:00:00Z", "metric": "c", "value": 1}]', on_conflict => 'error');
SELECT s, i.* FROM unnest('{n,t}'::regclass[]) s, lake.series_ingest(s, :'points', 'reject', 'error') i;
SELECT value FROM lake.series_query('n', 'c');
SELECT value FROM lake.series_query('t', 'c');

-- Faults: raised one by one …
SELECT lake.series_ingest('n', '[7]');
SELECT lake.series_ingest('n', '[{"ts": "2026-03-01T00:00:00Z", "metric": "m", "value": 1}, {"ts": "2026-03-01", "metric": "m", "value": 1}, {}]');
SELECT lake.series_ingest('n', '[{"ts": 1767225600, "metric": "m", "value": 1}]');
SELECT lake.series_ingest('n', '[{"ts": "2026-02-29T00:00:00Z", "metric": "m", "value": 1}]');
SELECT lake.series_ingest('n', '[{"ts": "2026-03-01T00:00:00Z", "metric": "m", "tags": {"host": 7}, "value": 1}]');
SELECT lake.series_ingest('n', '[{"ts": "2026-03-01T00:00:00Z", "metric": "m", "tags": ["host"], "value": 1}]');
SELECT lake.series_ingest('n', '[{"ts": "2026-03-01T00:00:00Z", "metric": "m", "value": "1"}]');
SELECT lake.series_ingest('n', '[{"ts": "2026-03-01T00:00:00Z", "metric": "m", "value": 1, "unit": "C"}]');
SELECT lake.series_ingest('n', ARRAY['2026-03-01'::timestamptz], ARRAY['m'], NULL, ARRAY['NaN'::float8]);
SELECT lake.series_ingest('n', ARRAY['-infinity'::timestamptz], ARRAY['m'], NULL, ARRAY[1]);
SELECT lake.series_ingest('n', ARRAY['2026-03-01'::timestamptz], ARRAY['m', 'm'], NULL, ARRAY[1]);
SELECT lake.series_ingest('n', ARRAY['2026-03-01'::timestamptz], NULL, NULL, ARRAY[1]);
SELECT lake.series_ingest('n', '{"ts": "2026-03-01T00:00:00Z", "metric": "m", "value": 1}'::jsonb);
SELECT lake.series_ingest('n', '[]'::jsonb, on_error => 'skip');
SELECT lake.series_ingest('n', '[]'::jsonb, on_conflict => 'update');
-- … or rejected together, with the good rows written.
SELECT s, i.* FROM unnest('{n,t}'::regclass[]) s, lake.series_ingest(s,
    ARRAY['2026-03-03', '2200-01-01', '1970-01-01', 'infinity', NULL, '2026-03-03', '2026-03-03', '2026-03-03']::timestamptz[],
    ARRAY['m', 'm', 'm', 'm', 'm', NULL, '', 'm'],
    ARRAY['{}', '{}', '{}', '{}', '{}', '{}', '{}', '{"a~/b": null}']::jsonb[],
    ARRAY[1, 1, 1, 1, 1, 1, 1, 1], on_error => 'reject') i;
SELECT ordinal, id, code, pointer, payload FROM lake.rejects WHERE store = 't'::regclass ORDER BY batch, ordinal;
SELECT message FROM lake.rejects WHERE store = 't'::regclass AND code NOT LIKE 'too%' ORDER BY batch, ordinal;
SELECT count(*) FROM lake.chunks WHERE range_end > now() + interval '1 month';
-- Once the store allows them, they are taken again.
SELECT lake.series_set_options('n', '{"max_past": null}') IS NOT NULL AS changed;
SELECT r.* FROM (SELECT max(batch) AS batch FROM lake.rejects WHERE store = 'n'::regclass) b, lake.replay_rejects('n', b.batch) r;
SELECT ts, value FROM lake.series_query('n', 'm', to_ts => '2000-01-01');

-- One call makes a thousand chunks at most.
SELECT lake.series_ingest('n', array_agg(d), array_agg('long'::text), NULL, array_agg(1.0::float8))
FROM generate_series('1990-01-01'::timestamptz, '2000-01-01', '1 day') d;

SELECT lake.drop_store('n'), lake.drop_store('t');
DROP SCHEMA series_ingest CASCADE;
