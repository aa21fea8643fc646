-- Loads of vector stores that have begun: the definitions of the indexes that are gone meanwhile.
CREATE TABLE _lake.vector_load (
    relid    pg_catalog.regclass    PRIMARY KEY,
    begun_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),
    begun_by pg_catalog.name        NOT NULL,
    indexes  pg_catalog.jsonb       NOT NULL
);
SELECT pg_catalog.pg_extension_config_dump('_lake.vector_load', '');

COMMENT ON FUNCTION lake.vector_begin_load(regclass) IS
    'Drops the vector indexes of a store before a large load, keeps their definitions, and returns how many there were. Searches are exact until lake.vector_end_load';
COMMENT ON FUNCTION lake.vector_end_load(regclass, boolean, boolean) IS
    'Ends a load: the background worker makes the indexes again, blocking no writer (concurrently => false, or without a worker: now); with rebuild false they are forgotten. Returns how many that is';
