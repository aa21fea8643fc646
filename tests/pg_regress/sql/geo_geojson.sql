-- GeoJSON documents: every function called right and wrong.
-- Needs: CREATE EXTENSION postgis;
\set SHOW_CONTEXT never
CREATE SCHEMA geo_geojson;
SET search_path = geo_geojson, public;

-- Every fault, not only the first; member order doesn't matter.
SELECT severity, code, pointer, message, hint, byte_offset FROM lake.geojson_validate(
  '{"features":[{"type":"Feature","geometry":{"coordinates":[[[0,0],[0,1],[1,1],[1,0]]],"type":"Polygon"},"properties":[]},
    {"type":"Feature","geometry":{"type":"Point","coordinates":["1",95]},"properties":null,"id":null}],
    "type":"FeatureCollection","crs":{"type":"name","properties":{"name":"EPSG:3857"}}}');
SELECT severity, code, pointer FROM lake.geojson_validate(
  '{"type":"LineString","coordinates":[[170.12345678,0],[-170,0,5]]}', 'strict');
SELECT severity, code, pointer FROM lake.geojson_validate(
  '{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]],"properties":{}}', 'lenient');
SELECT * FROM lake.geojson_validate('{"type":"Point","coordinates":[1,2]}'::jsonb);
SELECT code, pointer, byte_offset FROM lake.geojson_validate('{"type":"Point","coordinates":[1,NaN]}');
SELECT code, pointer, byte_offset FROM lake.geojson_validate('{"type":"Point","coordinates":[1,200]}'::jsonb);
SELECT code, pointer, message FROM lake.geojson_validate('{"type":"Point","coordinates":[1,2]} extra');
SELECT code, pointer, message FROM lake.geojson_validate('');
SELECT * FROM lake.geojson_validate('{}', 'loose');
SELECT count(*) FROM lake.geojson_validate(NULL::text);

SELECT lake.geojson_is_valid('{"type":"Point","coordinates":[1,2]}'),
       lake.geojson_is_valid('{"type":"Point","coordinates":[1e400,2]}'),
       lake.geojson_is_valid('{"type":"Polygon","coordinates":[[[0,0],[0,1],[1,1],[0,0]]]}', 'strict'),
       lake.geojson_is_valid(NULL::jsonb);
SELECT lake.geojson_assert('{"type":"Point","coordinates":[1,2]}');
SELECT lake.geojson_assert('{"type":"Point","coordinates":[48.1,-122.3]}');
SELECT lake.geojson_assert('{"type":"Point","coordinates":[1,2]');
CREATE TABLE parcels (id int, shape jsonb CHECK (lake.geojson_assert(shape)));
INSERT INTO parcels VALUES (1, '{"type":"Point","coordinates":[1,2]}');
\set VERBOSITY terse
INSERT INTO parcels VALUES (2, '{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}');
\set VERBOSITY default
INSERT INTO parcels VALUES (3, NULL);
SELECT count(*) FROM parcels;

SELECT * FROM lake.geojson_repair('{"type":"Feature","id":1,"crs":null,
  "geometry":{"type":"Polygon","coordinates":[[[190,0],[190,1],[191,1],[191,1]]]}}');
SELECT doc, jsonb_array_length(edits) FROM lake.geojson_repair('{"type":"Point","coordinates":[1,2]}'::jsonb);
SELECT * FROM lake.geojson_repair('{"type":"Point","coordinates":[1,95]}');
SELECT * FROM lake.geojson_repair('{"type":"Polygon","coordinates":[[[170,0],[190,0],[190,9],[170,9]]]}');
SELECT * FROM lake.geojson_repair('{"type":"Polygon","coordinates":[[[0,80],[120,80],[-120,80],[0,80]]]}');

SELECT encode(lake.geojson_to_ewkb('{"type":"Point","coordinates":[1,2]}'), 'hex');
SELECT encode(lake.geojson_to_ewkb('{"type":"Point","coordinates":[1,2,3]}', 0), 'hex');
SELECT lake.geojson_from_ewkb(lake.geojson_to_ewkb('{"type":"Feature","geometry":{"type":"Polygon","coordinates":[[[0,0],[0,1],[1,1],[0,0]]]},"properties":null}'));
SELECT lake.geojson_to_ewkb('{"type":"Feature","geometry":null,"properties":null}') IS NULL;
SELECT lake.geojson_to_ewkb('{"type":"FeatureCollection","features":[]}');
SELECT lake.geojson_to_ewkb('{"type":"LineString","coordinates":[[1,2],[3,4,5]]}');
SELECT lake.geojson_to_ewkb('{"type":"Point","coordinates":[1,2]}', -1);
SELECT lake.geojson_from_ewkb('\x0108000000');
SELECT lake.geojson_from_ewkb('\x0101');

SELECT round(lake.geojson_distance(a, b)), round(lake.geojson_distance(a, b, 'haversine')),
       round(lake.geojson_bearing(a, b)), lake.geojson_bearing(a, a)
FROM (VALUES ('{"type":"Point","coordinates":[-0.1276,51.5072]}', '{"type":"Point","coordinates":[2.3522,48.8566]}')) v(a, b);
SELECT round(lake.geojson_area(d)), round(lake.geojson_length(d))
FROM (VALUES ('{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1],[0,0]]]}'),
             ('{"type":"Polygon","coordinates":[[[179.5,0],[-179.5,0],[-179.5,1],[179.5,1],[179.5,0]]]}')) v(d);
SELECT lake.geojson_distance('{"type":"Point","coordinates":[1,2]}', '{"type":"LineString","coordinates":[[1,2],[3,4]]}');
SELECT lake.geojson_distance('{"type":"Point","coordinates":[1,2]}', '{"type":"Point","coordinates":[1,2]}', 'manhattan');

-- The conversion to a geometry is SQL that the planner can see through.
SELECT ST_AsEWKT(lake.geojson_to_geometry('{"type":"MultiPoint","coordinates":[[1,2],[3,4]]}'));
EXPLAIN (VERBOSE, COSTS OFF) SELECT lake.geojson_to_geometry(shape) FROM parcels;
DO $$ BEGIN PERFORM lake.geojson_assert('[]'); EXCEPTION WHEN invalid_parameter_value THEN RAISE NOTICE '22023'; END $$;
DO $$ BEGIN PERFORM lake.geojson_assert('['); EXCEPTION WHEN invalid_text_representation THEN RAISE NOTICE '22P02'; END $$;

SET client_min_messages = warning;
DROP SCHEMA geo_geojson CASCADE;
