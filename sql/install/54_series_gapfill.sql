-- Filling gaps in any query.

CREATE FUNCTION lake.interpolate(value pg_catalog.float8, ts pg_catalog.timestamptz) RETURNS pg_catalog.float8
    LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'interpolate_wrapper';

-- Its step is strict: a null leaves the state as it was.
CREATE AGGREGATE lake.locf(pg_catalog.anyelement) (
    SFUNC = _lake.locf_step,
    STYPE = pg_catalog.anyelement
);

COMMENT ON FUNCTION lake.gapfill(pg_catalog.interval, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.text, pg_catalog.timestamptz) IS 'the starts of all buckets from that of from_ts up to, not including, to_ts: what lake.bucket would give';
COMMENT ON FUNCTION lake.interpolate(pg_catalog.float8, pg_catalog.timestamptz) IS 'window function: the value, or where it is null what lies on the straight line between the neighbours, by time';
COMMENT ON AGGREGATE lake.locf(pg_catalog.anyelement) IS 'with OVER (ORDER BY …): the value, or where it is null the last one before (last observation carried forward)';
