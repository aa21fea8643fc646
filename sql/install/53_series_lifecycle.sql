-- The life of series stores: how long single metrics stay, chunks on their way out.

CREATE TABLE _lake.series_keep (
    relid  pg_catalog.regclass NOT NULL,
    -- Empty: any metric.
    metric pg_catalog.text     NOT NULL,
    tags   pg_catalog.jsonb    NOT NULL,
    keep   pg_catalog.interval NOT NULL,
    PRIMARY KEY (relid, metric, tags)
);

-- Chunks of this server, so neither table is dumped. Those that are being detached to be dropped:
CREATE TABLE _lake.series_dropping (
    relid    pg_catalog.regclass    NOT NULL,
    chunk    pg_catalog.oid         NOT NULL,
    rows     pg_catalog.int8,
    bytes    pg_catalog.int8        NOT NULL,
    begun_at pg_catalog.timestamptz NOT NULL,
    -- By this library: only then it may be dropped.
    detached pg_catalog.bool        NOT NULL DEFAULT false,
    PRIMARY KEY (relid, chunk)
);
-- Those whose rows were deleted as the rules say, and how they stood then:
CREATE TABLE _lake.series_thinned (
    relid pg_catalog.regclass NOT NULL,
    chunk pg_catalog.oid      NOT NULL,
    state pg_catalog.text     NOT NULL,
    PRIMARY KEY (relid, chunk)
);

SELECT pg_catalog.pg_extension_config_dump('_lake.series_keep', '');

CREATE VIEW lake.metric_retention AS
SELECT k.relid AS store, CASE WHEN k.metric OPERATOR(pg_catalog.<>) '' THEN k.metric END AS metric, k.tags, k.keep
FROM _lake.series_keep k
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) k.relid::pg_catalog.oid
WHERE pg_catalog.has_table_privilege(c.oid, 'SELECT');

COMMENT ON VIEW lake.metric_retention IS 'how long points of single metrics, or of series with certain tags, stay';
COMMENT ON FUNCTION lake.series_set_metric_retention(pg_catalog.regclass, pg_catalog.text, pg_catalog.interval, pg_catalog.jsonb) IS 'keep points of a metric, of series with these tags, only for this long; null for keep removes the rule';
COMMENT ON FUNCTION lake.series_advise_interval(pg_catalog.regclass, pg_catalog.int8) IS 'how wide chunks should be for what was written lately: the interval, why, and the figures';
