-- Queries, buckets and aggregates on both engines.
-- Needs: CREATE EXTENSION timescaledb;
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA series_query;
SET search_path = series_query, public;
SET TimeZone = 'Europe/Berlin';
SELECT lake.series_create('n', engine => 'native'), lake.series_create('t', engine => 'timescaledb');
-- Two hosts over the night in which summer begins, every 20 minutes; b misses two hours.
SELECT s, i.* FROM unnest('{n,t}'::regclass[]) s, LATERAL (
    SELECT array_agg(ts) AS ts, array_agg('load'::text) AS metric, array_agg(jsonb_build_object('host', host)) AS tags, array_agg(v) AS value
    FROM (SELECT ts, host, (row_number() OVER (PARTITION BY host ORDER BY ts))::float8 AS v
          FROM generate_series('2026-03-29 00:00+01'::timestamptz, '2026-03-29 06:00+02', '20 minutes') ts, unnest('{a,b}'::text[]) host) g
    WHERE host = 'a' OR ts NOT BETWEEN '2026-03-29 03:00+02' AND '2026-03-29 04:59+02') p,
    lake.series_ingest(s, p.ts, p.metric, p.tags, p.value) i;

SELECT ts, tags ->> 'host' AS host, value FROM lake.series_query('n', 'load', bucket => '1 hour', agg => 'avg');
SELECT ts, tags ->> 'host' AS host, value FROM lake.series_query('n', 'load', '{"host": "b"}', from_ts => '2026-03-29 00:00', to_ts => '2026-03-29 07:00', bucket => '1 hour', agg => 'max', fill => 'linear');
SELECT agg, array_agg(value ORDER BY ts) FROM unnest('{avg,min,max,sum,count,first,last,increase,rate,p50,p95,p99}'::text[]) agg,
    LATERAL (SELECT ts, round(value::numeric, 5) AS value FROM lake.series_query('n', 'load', '{"host": "a"}', bucket => '3 hours', agg => agg)) q
GROUP BY agg ORDER BY agg;
SELECT fill, array_agg(value ORDER BY ts) FROM unnest('{"null",previous,linear,0,-1.5}'::text[]) fill,
    LATERAL (SELECT * FROM lake.series_query('n', 'load', '{"host": "b"}', bucket => '1 hour', agg => 'min', fill => fill)) q
GROUP BY fill ORDER BY fill COLLATE "C";
SELECT ts, value FROM lake.series_query('n', 'load', '{"host": "b"}', '2026-03-29 02:00+01', '2026-03-29 05:21+02');
SELECT tags, ts, value FROM lake.series_latest('n', 'load');
-- The other engine says the same.
SELECT count(*) FROM (
    SELECT agg, fill, q.ts, q.tags, q.value FROM unnest('{avg,min,max,sum,count,first,last,increase,rate,p50,p95,p99}'::text[]) agg,
        unnest('{"null",previous,linear,0}'::text[]) fill, lake.series_query('n', 'load', bucket => '40 minutes', agg => agg, fill => fill) q
    EXCEPT
    SELECT agg, fill, q.ts, q.tags, q.value FROM unnest('{avg,min,max,sum,count,first,last,increase,rate,p50,p95,p99}'::text[]) agg,
        unnest('{"null",previous,linear,0}'::text[]) fill, lake.series_query('t', 'load', bucket => '40 minutes', agg => agg, fill => fill) q) d;
SELECT count(*) FROM lake.series_query('n', 'nothing') a FULL JOIN lake.series_query('n', 'load', '{"host": "c"}') b ON true;

-- Wrong.
SELECT * FROM lake.series_query('n', NULL);
SELECT * FROM lake.series_query('n', 'load', '"a"');
SELECT * FROM lake.series_query('n', 'load', agg => 'max');
SELECT * FROM lake.series_query('n', 'load', fill => '0');
SELECT * FROM lake.series_query('n', 'load', bucket => '1 hour', agg => 'median');
SELECT * FROM lake.series_query('n', 'load', bucket => '1 hour', fill => 'NaN');
SELECT * FROM lake.series_query('n', 'load', bucket => '0');
SELECT * FROM lake.series_query('n', 'load', bucket => '1 month 1 day');
SELECT * FROM lake.series_query('n', 'load', from_ts => '-infinity');
SELECT * FROM lake.series_query('n', 'load', from_ts => '1000-01-01', bucket => '1 second', fill => 'null');
SELECT * FROM lake.series_latest('n', tags => '[]');
SELECT * FROM lake.series_latest('pg_class');

-- Buckets.
SELECT w, lake.bucket(w, '2026-10-25 02:30+02') AS summer, lake.bucket(w, '2026-10-25 02:30+01') AS winter
FROM unnest('{15 minutes,1 hour,2 hours,6 hours,1 day,1 week,1 month,3 months,1 year}'::interval[]) w;
SELECT lake.bucket('1 day', '2026-10-25 02:30+02', 'Asia/Kathmandu') AT TIME ZONE 'Asia/Kathmandu' AS kathmandu,
       lake.bucket('90 minutes', '2026-10-25 02:30+02', 'UTC', '2026-01-01 00:10+00') AT TIME ZONE 'UTC' AS origin,
       lake.bucket('1 day', '-infinity'), lake.bucket('1 day', NULL), lake.bucket(NULL, now());
SELECT lake.bucket('-1 day', now());
SELECT lake.bucket('1 day', now(), 'Mars/Olympus');
SELECT lake.bucket('1 month', now(), origin => '2026-01-02 00:00');
SELECT lake.bucket('1 day', now(), origin => 'infinity');
-- Aggregates on any table.
CREATE TABLE f (g int, v text, n numeric, ts timestamptz);
INSERT INTO f VALUES (1, 'b', 2, '2026-01-02'), (1, 'a', 1, '2026-01-01'), (1, 'never', 9, NULL), (1, NULL, NULL, '2026-01-03'), (2, NULL, 5, NULL);
SELECT g, lake.first(v, ts), lake.last(v, ts), lake.last(v, ts) FILTER (WHERE v IS NOT NULL) AS last_there, lake.first(n, ts), lake.last(f, ts) FROM f GROUP BY g ORDER BY g;

SELECT lake.drop_store('n'), lake.drop_store('t');
DROP SCHEMA series_query CASCADE;
