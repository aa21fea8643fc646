-- Time-series stores: charts.

COMMENT ON FUNCTION lake.series_plot(pg_catalog.regclass, pg_catalog.text, pg_catalog.jsonb, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.interval, pg_catalog.text, pg_catalog.int4, pg_catalog.int4, pg_catalog.text, pg_catalog.int4) IS 'a line chart of what lake.series_query reads, as SVG: gaps as gaps, in the session''s time zone';
