\set ECHO none
SET client_min_messages = warning;
\echo
\echo '=== 2. Time series: CO2 at Mauna Loa, 1958 to 2001, and a week of a fleet of 20 hosts ==='
\echo

CREATE TEMP TABLE co2 (day date, ppm float8);
\copy co2 FROM 'data/co2/mauna_loa_weekly.csv' (FORMAT csv, HEADER true)

\set ECHO queries
SELECT lake.series_create('air', chunk_interval => '1825 days');
SELECT lake.series_define_metric('air', 'co2_ppm', unit => 'ppm', max_past => '100 years');

SELECT result.*
FROM (
    SELECT array_agg(day::timestamptz ORDER BY day) AS ts,
           array_agg('co2_ppm'::text) AS metric,
           array_agg('{"station": "Mauna Loa"}'::jsonb) AS tags,
           array_agg(ppm ORDER BY day) AS value
    FROM co2 WHERE ppm IS NOT NULL
) AS b, lake.series_ingest('air', b.ts, b.metric, b.tags, b.value) AS result;

\echo '-- The average of each decade.'
SELECT ts::date AS decade, tags, round(value::numeric, 2) AS ppm
FROM lake.series_query('air', 'co2_ppm', from_ts => '1960-01-01', to_ts => '2000-01-01', bucket => '10 years');

\echo '-- Weeks that were never measured: a gap stays a gap, or is filled if you say how.'
SELECT ts::date AS week, round(value::numeric, 2) AS ppm
FROM lake.series_query('air', 'co2_ppm', from_ts => '1958-05-01', to_ts => '1958-07-12', bucket => '7 days', fill => 'linear');

\set ECHO none
\getenv run RUN
\set picture :run '/demo-co2.svg'
\pset format unaligned
\pset tuples_only on
\o :picture
SELECT lake.series_plot('air', 'co2_ppm', bucket => '7 days', title => 'CO2 at Mauna Loa (ppm)', width => 900);
\o
\pset tuples_only off
\pset format aligned
\echo '-- lake.series_plot: a chart of all of it, with its gaps, is in' :picture
\echo

CREATE TEMP TABLE measured AS
SELECT host, ts,
       50 + 30 * sin(extract(epoch FROM ts) / 13751 + host) + 10 * sin(extract(epoch FROM ts) / 613 * (1 + host % 3)) AS cpu
FROM generate_series(1, 20) AS host,
     generate_series(date_trunc('minute', now()) - interval '7 days' + interval '1 minute',
                     date_trunc('minute', now()), '1 minute') AS ts;
\set ECHO queries

SELECT lake.series_create('fleet', chunk_interval => '1 day');
SELECT lake.series_define_metric('fleet', 'cpu', unit => 'percent', min_value => 0, max_value => 100);

\echo '-- 201,600 points, one call for each host.'
SELECT sum(accepted) AS accepted, sum(duplicate) AS duplicate, sum(rejected) AS rejected
FROM (
    SELECT array_agg(ts ORDER BY ts) AS ts,
           array_agg('cpu'::text) AS metric,
           array_agg(jsonb_build_object('host', format('web-%s', host))) AS tags,
           array_agg(cpu ORDER BY ts) AS value
    FROM measured GROUP BY host
) AS b, lake.series_ingest('fleet', b.ts, b.metric, b.tags, b.value) AS result;

\echo '-- Sending a batch again is harmless; what is outside the definition is kept aside with the reason.'
SELECT * FROM lake.series_ingest('fleet',
    ARRAY[(SELECT max(ts) FROM measured), now(), '2200-01-01'],
    ARRAY['cpu', 'cpu', 'cpu'],
    ARRAY['{"host": "web-1"}', '{"host": "web-1"}', '{"host": "web-1"}']::jsonb[],
    ARRAY[50, 250, 50], on_error => 'reject');
SELECT ordinal, code, message FROM lake.rejects WHERE store = 'fleet'::regclass ORDER BY ordinal;

SELECT ts, round(value::numeric, 1) AS busiest
FROM lake.series_query('fleet', 'cpu', tags => '{"host": "web-7"}', from_ts => now() - interval '1 day', to_ts => now(),
                       bucket => '4 hours', agg => 'max');

SELECT tags, ts, round(value::numeric, 1) AS cpu FROM lake.series_latest('fleet', 'cpu') ORDER BY ts DESC, series_id LIMIT 3;

\echo '-- Keep three days. The plan is what the worker will do.'
SELECT lake.series_set_retention('fleet', keep => '3 days');
SELECT chunk, range_start, range_end, pg_size_pretty(bytes) AS size, reason FROM lake.series_plan_retention('fleet');

\set ECHO none
\echo '-- waiting for the background worker …'
DO $$
BEGIN
    FOR attempt IN 1 .. 300 LOOP
        EXIT WHEN EXISTS (SELECT FROM lake.job_runs WHERE store = 'fleet'::regclass AND action = 'retention' AND outcome = 'success');
        PERFORM pg_sleep(0.1);
    END LOOP;
    IF NOT EXISTS (SELECT FROM lake.job_runs WHERE store = 'fleet'::regclass AND action = 'retention' AND outcome = 'success') THEN
        RAISE 'the background worker did not run the retention job within 30 seconds';
    END IF;
END $$;
\set ECHO queries
SELECT store, action, started_at, duration, outcome, steps, pg_size_pretty(bytes_before) AS before, pg_size_pretty(bytes_after) AS after
FROM lake.job_runs WHERE store = 'fleet'::regclass ORDER BY run_id;
SELECT chunk, range_start, range_end, pg_size_pretty(bytes) AS size, state FROM lake.chunks WHERE store = 'fleet'::regclass ORDER BY range_start;
