-- Stores of places: made, adopted, filled, searched, with names that hurt.
-- Needs: CREATE EXTENSION postgis;
\set SHOW_CONTEXT never
CREATE SCHEMA geo_stores;
SET search_path = geo_stores, public;

SELECT lake.geo_create('towns', 'Point');
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_attribute a
WHERE a.attrelid = 'towns'::regclass AND a.attnum > 0 ORDER BY a.attnum;
SELECT indexdef FROM pg_indexes WHERE schemaname = 'geo_stores' AND tablename = 'towns' ORDER BY 1;
INSERT INTO towns VALUES ('outside', ST_SetSRID(ST_MakePoint(200, 0), 4326));
SELECT lake.geo_create('towns');
SELECT lake.geo_create('other', 'Circle');
SELECT lake.geo_create('other', srid => 3857);
SELECT lake.geo_create('other', id_type => 'money');
SELECT lake.geo_create('other', options => '{"colour": "red"}');
SELECT lake.geo_create('other', options => '{"dimensions": 4}');
SELECT lake.geo_create(NULL);
SELECT lake.geo_create('nowhere.other');
SELECT lake.geo_adopt('towns');

SELECT lake.geo_upsert('towns', '{"type":"Feature","id":"suva","geometry":{"type":"Point","coordinates":[178.44,-18.14]},"properties":{"country":"FJ","people":93970}}');
SELECT lake.geo_upsert('towns', '{"type":"Feature","id":"suva","geometry":{"type":"Point","coordinates":[178.44,-18.14]},"properties":{"people":93970,"country":"FJ"}}');
SELECT lake.geo_upsert('towns', '{"type":"Feature","id":"suva","geometry":{"type":"Point","coordinates":[178.45,-18.14]},"properties":{"country":"FJ","people":93970}}');
SELECT lake.geo_upsert('towns', '{"type":"Feature","geometry":null,"properties":null}');
SELECT lake.geo_upsert('towns', '{"type":"Feature","id":"x","geometry":{"type":"Point","coordinates":[0,91]},"properties":null}');
SELECT lake.geo_upsert('towns', '{"type":"Feature","id":"x","geometry":{"type":"Point","coordinates":[0,1,2]},"properties":null}');
SELECT lake.geo_upsert('towns', '{"type":"Feature","id":"x","geometry":{"type":"LineString","coordinates":[[0,1],[2,3]]},"properties":null}');
SELECT lake.geo_upsert('towns', '{"type":"Point","coordinates":[0,1]}');
SELECT lake.geo_upsert('towns', NULL);
SELECT lake.geo_upsert('pg_class', '{}');

SELECT * FROM lake.geo_upsert_many('towns', '{"type":"FeatureCollection","features":[
  {"type":"Feature","id":"apia","geometry":{"type":"Point","coordinates":[-171.77,-13.83]},"properties":{"country":"WS","people":41611}},
  {"type":"Feature","id":"nukualofa","geometry":{"type":"Point","coordinates":[-175.2,-21.14]},"properties":{"country":"TO","people":27600}},
  {"type":"Feature","id":"nadi","geometry":{"type":"Point","coordinates":[177.45,-17.8]},"properties":{"country":"FJ","people":71048}},
  {"type":"Feature","id":"matautu","geometry":{"type":"Point","coordinates":[-176.13,-13.28]},"properties":null}]}');
-- Nothing is written when one is bad; or the good ones are, and the bad ones kept with their reason.
\set broken '{"type":"FeatureCollection","features":[{"type":"Feature","id":"a","geometry":{"type":"Point","coordinates":[1,2]},"properties":{}},{"type":"Feature","id":"b","geometry":{"type":"Point","coordinates":[181,2]},"properties":{}},{"type":"Feature","id":"a","geometry":{"type":"Point","coordinates":[1,3]},"properties":{}},{"type":"Feature","id":"c","geometry":{"type":"Point","coordinates":["1",2]},"properties":{}}]}'
SELECT * FROM lake.geo_upsert_many('towns', :'broken');
SELECT lake.geo_count('towns');
SELECT * FROM lake.geo_upsert_many('towns', :'broken', 'reject');
SELECT ordinal, row_id, code, message, pointer, payload FROM _lake.reject WHERE relid = 'towns'::regclass ORDER BY ordinal;
SELECT * FROM lake.geo_upsert_many('towns', :'broken'::jsonb, on_error => 'reject', repair => true);
SELECT * FROM lake.geo_get('towns', ARRAY['a', 'b', 'zz']);
SELECT lake.geo_delete('towns', ARRAY['a', 'b']);
SELECT * FROM lake.geo_upsert_many('towns', '{"type":"FeatureCollection","features":[{"type":"Feature",}]}', 'reject');
SELECT * FROM lake.geo_upsert_many('towns', '{"type":"Point","coordinates":[1,2]}');
SELECT * FROM lake.geo_upsert_many('towns', '{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"EPSG:3857"}},"features":[]}');
SELECT * FROM lake.geo_upsert_many('towns', '{}', 'ignore');
SELECT * FROM lake.geo_upsert_many('towns', NULL::text);

-- Across the antimeridian.
SELECT id, round(distance_m) AS distance_m, round(bearing_deg) AS bearing_deg, geometry, properties FROM lake.geo_nearest('towns', 180, -17, 3);
SELECT id, round(distance_m) AS distance_m FROM lake.geo_nearest('towns', -180, -17, 9, '{"country": {"$in": ["WS", "TO"]}}');
SELECT id, round(distance_m) AS distance_m FROM lake.geo_nearest('towns', 180, -17, max_distance_m => 300000);
SELECT id, round(distance_m) AS distance_m FROM lake.geo_near('towns', 179, -17, 500000);
SELECT id FROM lake.geo_near('towns', 179, -17, 20000000, 2, '{"people": {"$gt": 50000}}');
SELECT id FROM lake.geo_in_bbox('towns', 177, -20, -175, -10);
SELECT id FROM lake.geo_in_bbox('towns', -177, -25, -170, -10, "limit" => 2);
SELECT id FROM lake.geo_within('towns', '{"type":"Polygon","coordinates":[[[177,-20],[-175,-20],[-175,-10],[177,-10],[177,-20]]]}');
SELECT id FROM lake.geo_intersects('towns', '{"type":"Polygon","coordinates":[[[-180,-20],[-175,-20],[-175,-10],[-180,-10],[-180,-20]]]}');
SELECT lake.geo_feature_collection('towns', bbox => ARRAY[177, -19, 180, -17]);
SELECT lake.geo_count('towns', '{"country": "FJ"}'), lake.geo_count('towns');

SELECT lake.geo_nearest('towns', 181, 0);
SELECT lake.geo_nearest('towns', 51.5, -122);
SELECT lake.geo_nearest('towns', 0, 0, 0);
SELECT lake.geo_nearest('towns', 'NaN', 0);
SELECT lake.geo_near('towns', 0, 0, -1);
SELECT lake.geo_near('towns', 0, 0, NULL);
SELECT lake.geo_nearest('towns', 0, 0, filter => '{"people": {"$near": 1}}');
SELECT lake.geo_in_bbox('towns', 0, 10, 5, -10);
SELECT lake.geo_within('towns', '{"type":"Point","coordinates":[1,2]}');
SELECT lake.geo_within('towns', '{"type":"Polygon","coordinates":[[[0,0],[1,1],[1,0],[0,1],[0,0]]]}');
SELECT lake.geo_feature_collection('towns', bbox => ARRAY[1, 2]);
SELECT lake.geo_delete('towns');
SELECT lake.geo_get('pg_class', ARRAY['x']);

-- Names.
CREATE SCHEMA "we""ird.Schema";
SELECT lake.geo_create('"we""ird.Schema"."ta ble;--"', id_type => 'uuid');
SELECT lake.geo_upsert('"we""ird.Schema"."ta ble;--"', '{"type":"Feature","id":"A0EEBC999C0B4EF8BB6D6BB9BD380A11","geometry":{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]},"properties":{"''; DROP TABLE towns; --":1}}');
SELECT lake.geo_upsert('"we""ird.Schema"."ta ble;--"', '{"type":"Feature","id":"not one","geometry":null,"properties":null}');
SELECT * FROM lake.geo_nearest('"we""ird.Schema"."ta ble;--"', 0.9, 0.1, filter => '{"''; DROP TABLE towns; --": 1}');
SELECT lake.geo_feature_collection('"we""ird.Schema"."ta ble;--"');
CREATE TABLE "Old Places" ("the id" int PRIMARY KEY, "the place" geometry, "more;" jsonb);
INSERT INTO "Old Places" VALUES (1, ST_SetSRID(ST_MakePoint(1, 2), 4326), '{"a": 1}'), (2, NULL, NULL);
SELECT lake.geo_adopt('"Old Places"');
SELECT lake.geo_adopt('"Old Places"', 'the id', 'the place', 'more;');
SELECT * FROM lake.geo_nearest('"Old Places"', 1, 2);
SELECT lake.geo_feature_collection('"Old Places"');
CREATE TABLE flat (id int, geom geometry(Point, 3857), properties jsonb);
SELECT lake.geo_adopt('flat');
CREATE TABLE round_ (id int, geom geography, properties jsonb);
SELECT lake.geo_adopt('round_');
CREATE TABLE loose (id int, geom geometry(Point, 4326), properties jsonb);
SELECT lake.geo_adopt('loose');

-- Heights.
SELECT lake.geo_create('peaks', 'Point', options => '{"dimensions": 3}');
SELECT lake.geo_upsert('peaks', '{"type":"Feature","id":"mont blanc","geometry":{"type":"Point","coordinates":[6.8652,45.8326,4806]},"properties":null}');
SELECT lake.geo_upsert('peaks', '{"type":"Feature","id":"k2","geometry":{"type":"Point","coordinates":[76.5133,35.8825]},"properties":null}');
SELECT geometry FROM lake.geo_get('peaks', filter => '{}');

SET client_min_messages = warning;
DELETE FROM _lake.reject WHERE relid = 'towns'::regclass;
DELETE FROM _lake.store WHERE relid::regclass::text IN ('towns', 'peaks', '"Old Places"', '"we""ird.Schema"."ta ble;--"');
DROP SCHEMA geo_stores, "we""ird.Schema" CASCADE;
