-- Time-series stores: views, comments.

CREATE VIEW lake.chunks AS
SELECT c.store, c.chunk, c.range_start, c.range_end, c.rows, c.bytes,
       c.compressed_bytes, c.ratio, c.state
FROM _lake.chunks() c;

CREATE VIEW lake.metrics AS
SELECT m.relid AS store, m.metric, m.unit, m.kind, m.min_value, m.max_value, m.tag_keys,
       m.max_future, m.max_past, m.max_series
FROM _lake.metric m
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) m.relid::pg_catalog.oid
WHERE pg_catalog.has_table_privilege(c.oid, 'SELECT');

COMMENT ON VIEW lake.chunks IS 'chunks of series stores: range, estimated rows, bytes with indexes, those of the compressed rows and how many times smaller they became, state (ahead, open, closed, compressed)';
COMMENT ON VIEW lake.metrics IS 'metrics defined by lake.series_define_metric';
COMMENT ON FUNCTION lake.bucket(pg_catalog.interval, pg_catalog.timestamptz, pg_catalog.text, pg_catalog.timestamptz) IS 'start of the time bucket that holds ts, by the clock on the wall of the time zone';
COMMENT ON FUNCTION lake.series_create(pg_catalog.text, pg_catalog.interval, pg_catalog.text, pg_catalog.jsonb) IS 'make a metric store: a table of points in chunks, and a table of series beside it';
COMMENT ON FUNCTION lake.series_adopt(pg_catalog.regclass, pg_catalog.text, pg_catalog.text[], pg_catalog.text[], pg_catalog.jsonb) IS 'take a hypertable or a range-partitioned table as a series store';
COMMENT ON FUNCTION lake.series_set_options(pg_catalog.regclass, pg_catalog.jsonb) IS 'change options of a metric store: max_future, max_past, max_series, strict, allow_non_finite, chunks_ahead';
COMMENT ON FUNCTION lake.series_define_metric(pg_catalog.regclass, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.float8, pg_catalog.float8, pg_catalog.text[], pg_catalog.interval, pg_catalog.interval, pg_catalog.int8) IS 'define what points of a metric must be like; others are rejected with their reason';
COMMENT ON FUNCTION lake.series_ingest(pg_catalog.regclass, pg_catalog.timestamptz[], pg_catalog.text[], pg_catalog.jsonb[], pg_catalog.float8[], pg_catalog.text, pg_catalog.text, pg_catalog.int4[]) IS 'write points from arrays: accepted, duplicate, rejected; with series, metric and tags have an entry for each series, and series says which is a point''s';
COMMENT ON FUNCTION lake.series_ingest(pg_catalog.regclass, pg_catalog.jsonb, pg_catalog.text, pg_catalog.text) IS 'write points from a JSON array of {ts, metric, tags, value}: accepted, duplicate, rejected';
COMMENT ON FUNCTION lake.series_ingest_line_protocol(pg_catalog.regclass, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS 'write points from InfluxDB line protocol, one for each numeric or boolean field: accepted, duplicate, rejected. precision: ns, us, ms, s, m, h; text_fields: reject, skip';
COMMENT ON FUNCTION lake.series_query(pg_catalog.regclass, pg_catalog.text, pg_catalog.jsonb, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.interval, pg_catalog.text, pg_catalog.text) IS 'points of a metric from from_ts up to, not including, to_ts; with a bucket one aggregated row for each series and bucket';
COMMENT ON FUNCTION lake.series_latest(pg_catalog.regclass, pg_catalog.text, pg_catalog.jsonb) IS 'last point of each series';
COMMENT ON FUNCTION lake.series_set_retention(pg_catalog.regclass, pg_catalog.interval, pg_catalog.int8) IS 'keep chunks for this long, or this many bytes of them; the worker drops what is due';
COMMENT ON FUNCTION lake.series_plan_retention(pg_catalog.regclass) IS 'chunks that retention is about to drop, oldest first, and why';
