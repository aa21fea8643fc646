-- Places: maps.

COMMENT ON FUNCTION lake.geo_tile(pg_catalog.regclass, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.jsonb, pg_catalog.text) IS 'A Mapbox Vector Tile (Web Mercator z/x/y) of the places in it, with their ids and properties; no bytes where there are none';
COMMENT ON FUNCTION lake.geo_grid(pg_catalog.regclass, pg_catalog.float8[], pg_catalog.int4, pg_catalog.jsonb) IS 'How many places there are in the cells of a grid over a box, and their mean position; west > east crosses the antimeridian';
