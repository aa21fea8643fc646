-- Making, changing and adopting series stores: right, wrong, and with hostile names.
-- Needs: CREATE EXTENSION timescaledb;
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA series_store;
SET search_path = series_store, public;
SET TimeZone = 'UTC';

-- Both engines; TimescaleDB is the default where it is installed.
SELECT engine, installed_version IS NOT NULL AS installed, edition IN ('apache', 'community') AS edition_known FROM lake.engines WHERE engine = 'timescaledb';
SELECT lake.series_create('by_default');
SELECT lake.series_create('cpu', chunk_interval => '6 hours', engine => 'native', options => '{"chunks_ahead": 1, "strict": true}');
SELECT lake.series_create('series_store.mem', '7 days', 'timescaledb', '{"max_past": null, "max_series": 5}');
SELECT store, kind, engine, jsonb_pretty(options) FROM lake.stores
WHERE store::text IN ('by_default', 'cpu', 'mem') ORDER BY store::text;
SELECT store, action, schedule FROM lake.jobs WHERE store::text IN ('by_default', 'cpu', 'mem') ORDER BY 1, 2;
SELECT state, count(*), min(range_end - range_start) AS width FROM lake.chunks WHERE store = 'cpu'::regclass GROUP BY state ORDER BY state;
\d cpu_series
SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
WHERE attrelid = 'cpu'::regclass AND attnum > 0 ORDER BY attnum;
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'cpu'::regclass AND contype = 'p';
-- Wrong.
SELECT lake.series_create(NULL);
SELECT lake.series_create('cpu');
SELECT lake.series_create('a', '1 month');
SELECT lake.series_create('a', '1 second');
SELECT lake.series_create('a', '-1 day');
SELECT lake.series_create('a', '90 seconds');
SELECT lake.series_create('a', '100 years');
SELECT lake.series_create('a', NULL);
SELECT lake.series_create('a', engine => 'influx');
SELECT lake.series_create('a.b.c');
SELECT lake.series_create('nowhere.a');
SELECT lake.series_create('a', options => '[1]');
SELECT lake.series_create('a', options => '{"retention": "1 day"}');
SELECT lake.series_create('a', options => '{"max_past": "-1 day"}');
SELECT lake.series_create('a', options => '{"max_past": 5}');
SELECT lake.series_create('a', options => '{"max_future": "soon"}');
SELECT lake.series_create('a', options => '{"strict": "yes"}');
SELECT lake.series_create('a', options => '{"max_series": 0}');
SELECT lake.series_create('a', options => '{"chunks_ahead": 1001}');
SELECT to_regclass('a') IS NULL AS nothing_was_left, to_regclass('a_series') IS NULL AS nor_its_series;
-- Options.
SELECT lake.series_set_options('cpu', '{"strict": false, "max_future": null}');
SELECT lake.series_set_options('cpu', '{"engine": "native"}');
SELECT lake.series_set_options('cpu', NULL);
-- Metrics.
SELECT lake.series_define_metric('cpu', 'load', unit => '1', min_value => 0);
SELECT lake.series_define_metric('cpu', 'load', unit => '%', kind => 'gauge', max_value => 100, tag_keys => '{host,core}',
                                 max_future => '1 minute', max_past => '7 days', max_series => 64);
SELECT * FROM lake.metrics WHERE store = 'cpu'::regclass;
SELECT lake.series_define_metric('cpu', NULL);
SELECT lake.series_define_metric('cpu', '');
SELECT lake.series_define_metric('cpu', 'load', kind => 'histogram');
SELECT lake.series_define_metric('cpu', 'load', min_value => 2, max_value => 1);
SELECT lake.series_define_metric('cpu', 'load', max_value => 'NaN');
SELECT lake.series_define_metric('cpu', 'load', tag_keys => '{a,NULL}');
SELECT lake.series_define_metric('cpu', 'load', max_past => '-1 day');
SELECT lake.series_define_metric('cpu', 'load', max_series => 0);
-- Adopting.
CREATE TABLE parts (at timestamptz NOT NULL, device int, v float8) PARTITION BY RANGE (at);
CREATE TABLE parts_2020 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
CREATE TABLE hyper (at timestamptz NOT NULL, device int, v float8);
SELECT FROM create_hypertable('hyper', by_range('at', interval '7 days'));
INSERT INTO hyper VALUES ('2020-01-02', 1, 1);
CREATE TABLE listed (at timestamptz, device int) PARTITION BY LIST (device);
CREATE TABLE plain (at timestamptz, device int);
SELECT lake.series_adopt('parts', 'at', segment_by => '{device}', order_by => '{at}');
SELECT lake.series_adopt('hyper', 'at');
SELECT store, range_start, range_end, state FROM lake.chunks WHERE store IN ('parts'::regclass, 'hyper'::regclass) ORDER BY 1, 2;
SELECT lake.series_adopt('parts', 'at');
SELECT lake.series_adopt('plain', 'at');
SELECT lake.series_adopt('listed', 'at');
SELECT lake.series_adopt('plain', 'device');
SELECT lake.series_adopt('plain', 'when');
SELECT lake.series_adopt('plain', 'at', segment_by => '{nothing}');
SELECT lake.series_adopt('plain', 'at', segment_by => '{NULL}');
SELECT lake.series_adopt(NULL, 'at');
SELECT lake.series_latest('parts');
SELECT lake.series_ingest('plain', '[]');
-- Hostile names.
CREATE SCHEMA "we""ird.Schema";
SELECT lake.series_create('"we""ird.Schema"."ta ble;--"', engine => 'native', chunk_interval => '30 days', options => '{"chunks_ahead": 0}');
SELECT lake.series_create('"we""ird.Schema"."''"', engine => 'timescaledb');
SELECT * FROM lake.series_ingest('"we""ird.Schema"."ta ble;--"', '[{"ts": "2026-03-01T00:00:00Z", "metric": "a\"b'';--", "tags": {"'';": "\""}, "value": 1}]');
SELECT * FROM lake.series_ingest('"we""ird.Schema"."''"', '[{"ts": "2026-03-01T00:00:00Z", "metric": "a\"b'';--", "tags": {"'';": "\""}, "value": 1}]');
SELECT metric, tags, ts, value FROM lake.series_latest('"we""ird.Schema"."ta ble;--"');
SELECT metric, tags, ts, value FROM lake.series_latest('"we""ird.Schema"."''"');
SELECT chunk FROM lake.chunks WHERE store = '"we""ird.Schema"."ta ble;--"'::regclass AND range_end < '2026-04-01' ORDER BY 1;
-- Names of 63 bytes, alike up to the last letter.
SELECT lake.series_create(repeat('n', 62) || 'a', '1 hour', 'native', '{"chunks_ahead": 0}');
SELECT lake.series_create(repeat('n', 62) || 'b', '1 hour', 'native', '{"chunks_ahead": 0}');
SELECT lake.series_create(repeat('n', 64));
SELECT count(*), max(octet_length(c.relname)) <= 63 AS fits, count(DISTINCT c.relname) = count(*) AS distinct_names
FROM lake.chunks k JOIN pg_class c ON c.oid = k.chunk WHERE c.relname LIKE 'nnn%';
SELECT relname FROM pg_class WHERE relname LIKE 'nnn%series%' AND relkind = 'r' ORDER BY relname COLLATE "C";

SELECT lake.drop_store(store) FROM lake.stores WHERE kind = 'series' ORDER BY store::text;
SELECT count(*) FROM lake.stores WHERE kind = 'series';
DROP SCHEMA series_store, "we""ird.Schema" CASCADE;
