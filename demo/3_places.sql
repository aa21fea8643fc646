\set ECHO none
SET client_min_messages = warning;
\echo
\echo '=== 3. Places: 28,000 airports and the countries of the world ==='
\echo

CREATE TEMP TABLE document (name text, doc text);
CREATE TEMP TABLE line (doc text);
\copy line FROM PROGRAM 'cat "$LAKE_DATA/airports.geojson"' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
INSERT INTO document SELECT 'airports', doc FROM line; TRUNCATE line;
\copy line FROM PROGRAM 'cat "$LAKE_DATA/countries.geojson"' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
INSERT INTO document SELECT 'countries', doc FROM line;

\set ECHO queries
\echo '-- Every fault of a document, not only the first.'
SELECT severity, code, pointer, message
FROM lake.geojson_validate('{"type": "Feature", "id": [7], "geometry":
    {"type": "MultiPolygon", "coordinates": [[[[0, 0], [10, 0], [10, 10]]], [[[20, 91], [30, 0], [30, 10], [20, 91]]]]}}');

SELECT name, pg_size_pretty(length(doc)::bigint) AS size, lake.geojson_is_valid(doc) AS valid FROM document;

SELECT lake.geo_create('airports', geometry_type => 'Point');
SELECT result.* FROM document, lake.geo_upsert_many('airports', doc::jsonb) AS result WHERE name = 'airports';

\echo '-- Five more features, two of them good.'
SELECT * FROM lake.geo_upsert_many('airports', '{"type": "FeatureCollection", "features": [
    {"type": "Feature", "id": "DEMO1", "geometry": {"type": "Point", "coordinates": [8.57, 50.05]},  "properties": {"name": "Heliport one"}},
    {"type": "Feature", "id": "DEMO2", "geometry": {"type": "Point", "coordinates": [8.57, 95.05]},  "properties": {"name": "Beyond the pole"}},
    {"type": "Feature", "id": "DEMO3", "geometry": {"type": "Point", "coordinates": [8.57]},         "properties": {"name": "Half a position"}},
    {"type": "Feature", "id": "DEMO4", "geometry": {"type": "Dot",   "coordinates": [8.57, 50.05]},  "properties": {"name": "No such type"}},
    {"type": "Feature", "id": "DEMO5", "geometry": {"type": "Point", "coordinates": [8.58, 50.06]},  "properties": {"name": "Heliport two"}}
]}'::jsonb, on_error => 'reject');
SELECT ordinal, id, code, message, pointer FROM lake.rejects WHERE store = 'airports'::regclass ORDER BY ordinal;

SELECT lake.geo_create('countries');
SELECT result.* FROM document, lake.geo_upsert_many('countries', doc::jsonb, on_error => 'reject', repair => true) AS result
WHERE name = 'countries';
\echo '-- Real data has real faults: what could be mended was (repair), the rest was kept aside.'
SELECT code, count(*), min(id) AS for_example, min(message) AS message
FROM lake.rejects WHERE store = 'countries'::regclass GROUP BY code ORDER BY 2 DESC;

\echo '-- Airports within 25 km of the Eiffel tower, in metres on the spheroid.'
SELECT id, round(distance_m) AS distance_m, round(bearing_deg) AS bearing, properties ->> 'name' AS name
FROM lake.geo_near('airports', 2.2945, 48.8584, radius_m => 25000);

\echo '-- The nearest with an IATA code from the middle of the Pacific: across the antimeridian too.'
SELECT id, round(distance_m / 1000) AS km, properties ->> 'name' AS name, properties ->> 'country' AS country
FROM lake.geo_nearest('airports', 179.9, -10, k => 5, filter => '{"iata": {"$exists": true}}');

\echo '-- Airports in Iceland, by its outline from the other store.'
SELECT count(*) AS airports, count(properties -> 'iata') AS with_iata_code
FROM lake.geo_within('airports', (SELECT ST_AsGeoJSON(geom)::jsonb FROM countries WHERE id = 'ISL'));

SELECT store, kind, engine, pg_size_pretty(bytes) AS size FROM lake.stores ORDER BY 2, 1;
