-- Aggregates over values and times, for any table.

CREATE AGGREGATE lake.first(pg_catalog.anyelement, pg_catalog.timestamptz) (
    SFUNC = _lake.first_transition,
    STYPE = pg_catalog.internal,
    SSPACE = 128,
    FINALFUNC = _lake.edge_final,
    FINALFUNC_EXTRA,
    COMBINEFUNC = _lake.first_combine,
    SERIALFUNC = _lake.edge_serialize,
    DESERIALFUNC = _lake.edge_deserialize,
    PARALLEL = SAFE
);

CREATE AGGREGATE lake.last(pg_catalog.anyelement, pg_catalog.timestamptz) (
    SFUNC = _lake.last_transition,
    STYPE = pg_catalog.internal,
    SSPACE = 128,
    FINALFUNC = _lake.edge_final,
    FINALFUNC_EXTRA,
    COMBINEFUNC = _lake.last_combine,
    SERIALFUNC = _lake.edge_serialize,
    DESERIALFUNC = _lake.edge_deserialize,
    PARALLEL = SAFE
);

CREATE AGGREGATE lake.increase(value pg_catalog.float8, ts pg_catalog.timestamptz) (
    SFUNC = _lake.samples_transition,
    STYPE = pg_catalog.internal,
    FINALFUNC = _lake.increase_final,
    COMBINEFUNC = _lake.samples_combine,
    SERIALFUNC = _lake.samples_serialize,
    DESERIALFUNC = _lake.samples_deserialize,
    PARALLEL = SAFE
);

CREATE AGGREGATE lake.rate(value pg_catalog.float8, ts pg_catalog.timestamptz) (
    SFUNC = _lake.samples_transition,
    STYPE = pg_catalog.internal,
    FINALFUNC = _lake.rate_final,
    COMBINEFUNC = _lake.samples_combine,
    SERIALFUNC = _lake.samples_serialize,
    DESERIALFUNC = _lake.samples_deserialize,
    PARALLEL = SAFE
);

CREATE AGGREGATE lake.time_weighted_avg(value pg_catalog.float8, ts pg_catalog.timestamptz) (
    SFUNC = _lake.samples_transition,
    STYPE = pg_catalog.internal,
    FINALFUNC = _lake.time_weighted_avg_final,
    COMBINEFUNC = _lake.samples_combine,
    SERIALFUNC = _lake.samples_serialize,
    DESERIALFUNC = _lake.samples_deserialize,
    PARALLEL = SAFE
);

CREATE TYPE lake.sample AS (ts pg_catalog.timestamptz, value pg_catalog.float8);

CREATE FUNCTION _lake.lttb_final(pg_catalog.internal) RETURNS lake.sample[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'lttb_final_wrapper';

CREATE AGGREGATE lake.downsample_lttb(ts pg_catalog.timestamptz, value pg_catalog.float8, n pg_catalog.int4) (
    SFUNC = _lake.lttb_transition,
    STYPE = pg_catalog.internal,
    FINALFUNC = _lake.lttb_final,
    COMBINEFUNC = _lake.samples_combine,
    SERIALFUNC = _lake.samples_serialize,
    DESERIALFUNC = _lake.samples_deserialize,
    PARALLEL = SAFE
);

CREATE AGGREGATE lake.percentile_sketch(value pg_catalog.float8) (
    SFUNC = _lake.sketch_transition,
    STYPE = pg_catalog.internal,
    FINALFUNC = _lake.sketch_serialize,
    COMBINEFUNC = _lake.sketch_combine,
    SERIALFUNC = _lake.sketch_serialize,
    DESERIALFUNC = _lake.sketch_deserialize,
    PARALLEL = SAFE
);

CREATE AGGREGATE lake.percentile_sketch(sketch pg_catalog.bytea) (
    SFUNC = _lake.sketch_merge_transition,
    STYPE = pg_catalog.internal,
    FINALFUNC = _lake.sketch_serialize,
    COMBINEFUNC = _lake.sketch_combine,
    SERIALFUNC = _lake.sketch_serialize,
    DESERIALFUNC = _lake.sketch_deserialize,
    PARALLEL = SAFE
);

COMMENT ON AGGREGATE lake.first(pg_catalog.anyelement, pg_catalog.timestamptz) IS 'value at the earliest time; rows without a time are passed over';
COMMENT ON AGGREGATE lake.last(pg_catalog.anyelement, pg_catalog.timestamptz) IS 'value at the latest time; rows without a time are passed over';
COMMENT ON AGGREGATE lake.increase(pg_catalog.float8, pg_catalog.timestamptz) IS 'how much a counter grew; a value below the one before it is a restart from zero. Null for fewer than two samples';
COMMENT ON AGGREGATE lake.rate(pg_catalog.float8, pg_catalog.timestamptz) IS 'increase of a counter a second, from the first to the last sample';
COMMENT ON AGGREGATE lake.time_weighted_avg(pg_catalog.float8, pg_catalog.timestamptz) IS 'average over time of a value that holds until the next sample';
COMMENT ON TYPE lake.sample IS 'a value at an instant';
COMMENT ON AGGREGATE lake.downsample_lttb(pg_catalog.timestamptz, pg_catalog.float8, pg_catalog.int4) IS 'at most n samples that look like all of them when plotted (largest triangle three buckets); unnest() makes rows of them';
COMMENT ON AGGREGATE lake.percentile_sketch(pg_catalog.float8) IS 'sketch of a distribution: percentiles within 1 % of the exact value, from lake.percentile(sketch, q)';
COMMENT ON AGGREGATE lake.percentile_sketch(pg_catalog.bytea) IS 'merges sketches: the same as one sketch of all their values';
COMMENT ON FUNCTION lake.percentile(pg_catalog.bytea, pg_catalog.float8) IS 'value at quantile q (0 to 1) of a sketch, within 1 %; smallest and largest are exact';
COMMENT ON FUNCTION lake.percentiles(pg_catalog.bytea, pg_catalog.float8[]) IS 'values at several quantiles of a sketch';
COMMENT ON FUNCTION lake.sketch_count(pg_catalog.bytea) IS 'how many values a sketch has seen';
