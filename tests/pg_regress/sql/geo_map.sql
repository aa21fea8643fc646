-- Needs: CREATE EXTENSION postgis;
-- Maps: tiles and grids.
CREATE SCHEMA "Hostile ""Map""";
SET search_path = "Hostile ""Map""", public;
\set SHOW_CONTEXT never
SELECT lake.geo_create('"my ""places""; drop"', id_type => 'integer');
SELECT * FROM lake.geo_upsert_many('"my ""places""; drop"', '{"type": "FeatureCollection", "features": [
  {"type": "Feature", "id": 1, "properties": {"name": "Nadi", "deep": {"a": 1}}, "geometry": {"type": "Point", "coordinates": [177.4434, -17.7554]}},
  {"type": "Feature", "id": 2, "properties": {"name": "O''Higgins", "id": "x"}, "geometry": {"type": "Point", "coordinates": [-172.0083, -13.83]}},
  {"type": "Feature", "id": 3, "properties": {}, "geometry": {"type": "LineString", "coordinates": [[170, -89.99], [-170, 89.99]]}},
  {"type": "Feature", "id": 4, "properties": {}, "geometry": null}]}');
SELECT z, x, y, length(lake.geo_tile('"my ""places""; drop"', z, x, y)) > 0 AS something
FROM (VALUES (0, 0, 0), (1, 1, 1), (1, 0, 1), (5, 3, 3)) t(z, x, y);
SELECT lake.geo_tile('"my ""places""; drop"', 0, 0, 0, '{"name": "nobody"}') AS nothing;
SELECT position('O''Higgins'::bytea IN lake.geo_tile('"my ""places""; drop"', 0, 0, 0)) > 0 AS attribute,
       position('my "places"; drop'::bytea IN lake.geo_tile('"my ""places""; drop"', 0, 0, 0)) > 0 AS layer;
SELECT * FROM lake.geo_grid('"my ""places""; drop"', '{170,-40,-170,0}', 4);
SELECT * FROM lake.geo_grid('"my ""places""; drop"', '{170,-40,-170,0}', 4, '{"name": "Nadi"}');

-- Wrong calls.
SELECT lake.geo_tile('"my ""places""; drop"', 1, 2, 0);
SELECT lake.geo_tile('"my ""places""; drop"', 40, 0, 0);
SELECT lake.geo_tile(NULL, 0, 0, 0);
SELECT lake.geo_tile('pg_class', 0, 0, 0);
SELECT lake.geo_tile('"my ""places""; drop"', 0, 0, 0, '{"$nope": 1}');
SELECT lake.geo_grid('"my ""places""; drop"', '{170,-40,170,0}');
SELECT lake.geo_grid('"my ""places""; drop"', '{170,-40,-170,0}', 5000);
SELECT lake.geo_grid('"my ""places""; drop"', '{170,-40,-170,NULL}');

-- With the rights of who calls.
CREATE ROLE map_nobody;
GRANT USAGE ON SCHEMA "Hostile ""Map""" TO map_nobody;
SET ROLE map_nobody;
SELECT lake.geo_tile('"my ""places""; drop"', 0, 0, 0);
SELECT lake.geo_grid('"my ""places""; drop"', '{170,-40,-170,0}');
RESET ROLE;
DROP SCHEMA "Hostile ""Map""" CASCADE;
DROP ROLE map_nobody;
