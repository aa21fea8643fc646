-- What a row of an exact search and a step of an approximate one cost, per vector store.
CREATE TABLE _lake.vector_cost (
    relid        pg_catalog.regclass PRIMARY KEY,
    exact_row_us pg_catalog.float8,
    visit_us     pg_catalog.float8,
    rows         pg_catalog.float8,
    measured_at  pg_catalog.timestamptz NOT NULL
);
GRANT SELECT ON _lake.vector_cost TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('_lake.vector_cost', '');
