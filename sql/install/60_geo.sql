-- Places: the conversion to geometry, which can exist only where PostGIS does, and comments.

-- lake.geojson_to_geometry(doc, srid), in SQL over geojson_to_ewkb so that it is inlined. It is no
-- member of this extension, or DROP EXTENSION postgis CASCADE would take lake_stores with it; it
-- depends on both extensions instead, and goes with whichever goes first.
CREATE FUNCTION _lake.geo_make_to_geometry() RETURNS pg_catalog.void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    engine pg_catalog.name;
    doc_type pg_catalog.text;
    inside pg_catalog.bool;
BEGIN
    SELECT n.nspname INTO engine
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
    WHERE e.extname OPERATOR(pg_catalog.=) 'postgis';
    IF engine IS NULL THEN
        RETURN;
    END IF;
    FOREACH doc_type IN ARRAY ARRAY['text', 'jsonb'] LOOP
        CONTINUE WHEN pg_catalog.to_regprocedure(
            pg_catalog.format('lake.geojson_to_geometry(pg_catalog.%s, pg_catalog.int4)', doc_type)) IS NOT NULL;
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION lake.geojson_to_geometry(doc pg_catalog.%1$s, srid pg_catalog.int4 DEFAULT 4326) '
            'RETURNS %2$I.geometry LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE '
            'RETURN lake.geojson_to_ewkb(doc, srid)::%2$I.geometry', doc_type, engine);
        EXECUTE pg_catalog.format(
            'COMMENT ON FUNCTION lake.geojson_to_geometry(pg_catalog.%s, pg_catalog.int4) IS %L', doc_type,
            'The PostGIS geometry of a GeoJSON geometry or Feature; raises what lake.geojson_assert raises');
        -- While the extension's own script runs, all that is made becomes a member.
        SELECT EXISTS (
            SELECT FROM pg_catalog.pg_depend d
            WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
              AND d.objid OPERATOR(pg_catalog.=) pg_catalog.to_regprocedure(
                  pg_catalog.format('lake.geojson_to_geometry(pg_catalog.%s, pg_catalog.int4)', doc_type))::pg_catalog.oid
              AND d.deptype OPERATOR(pg_catalog.=) 'e') INTO inside;
        IF inside THEN
            EXECUTE pg_catalog.format(
                'ALTER EXTENSION lake_stores DROP FUNCTION lake.geojson_to_geometry(pg_catalog.%s, pg_catalog.int4)', doc_type);
        END IF;
        EXECUTE pg_catalog.format(
            'ALTER FUNCTION lake.geojson_to_geometry(pg_catalog.%s, pg_catalog.int4) DEPENDS ON EXTENSION lake_stores', doc_type);
        EXECUTE pg_catalog.format(
            'ALTER FUNCTION lake.geojson_to_geometry(pg_catalog.%s, pg_catalog.int4) DEPENDS ON EXTENSION postgis', doc_type);
    END LOOP;
END
$function$;
REVOKE ALL ON FUNCTION _lake.geo_make_to_geometry() FROM PUBLIC;

-- Makes it when PostGIS comes. Not while a dump is restored, which brings the function itself (and is
-- told by the setting that every dump begins with); and never so that CREATE EXTENSION fails for it.
CREATE FUNCTION _lake.geo_extension_created() RETURNS pg_catalog.event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF pg_catalog.current_setting('check_function_bodies') OPERATOR(pg_catalog.=) 'on' THEN
        PERFORM _lake.geo_make_to_geometry();
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'lake.geojson_to_geometry could not be made: %', SQLERRM;
END
$function$;
REVOKE ALL ON FUNCTION _lake.geo_extension_created() FROM PUBLIC;

CREATE EVENT TRIGGER lake_geo_extension_created ON ddl_command_end
    WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION _lake.geo_extension_created();

-- PostGIS may be there already. Not while a dump is restored: CREATE EXTENSION itself sets
-- check_function_bodies for its scripts, so here the dump is told by row_security, which it sets too.
DO $block$
BEGIN
    IF pg_catalog.current_setting('row_security') OPERATOR(pg_catalog.=) 'on' THEN
        PERFORM _lake.geo_make_to_geometry();
    END IF;
END
$block$;

COMMENT ON FUNCTION _lake.geo_make_to_geometry() IS 'Makes lake.geojson_to_geometry where PostGIS is there and it is not';
COMMENT ON FUNCTION _lake.geo_extension_created() IS 'Makes lake.geojson_to_geometry when PostGIS comes';
COMMENT ON EVENT TRIGGER lake_geo_extension_created IS 'Makes lake.geojson_to_geometry when PostGIS comes';

COMMENT ON FUNCTION lake.geojson_validate(pg_catalog.text, pg_catalog.text) IS 'Every fault of a GeoJSON document by RFC 7946: severity, rule, JSON Pointer, message, hint; profile rfc7946, strict or lenient';
COMMENT ON FUNCTION lake.geojson_validate(pg_catalog.jsonb, pg_catalog.text) IS 'Every fault of a GeoJSON document by RFC 7946: severity, rule, JSON Pointer, message, hint; profile rfc7946, strict or lenient';
COMMENT ON FUNCTION lake.geojson_is_valid(pg_catalog.text, pg_catalog.text) IS 'Whether a GeoJSON document has no errors under the profile; for CHECK constraints and WHERE';
COMMENT ON FUNCTION lake.geojson_is_valid(pg_catalog.jsonb, pg_catalog.text) IS 'Whether a GeoJSON document has no errors under the profile; for CHECK constraints and WHERE';
COMMENT ON FUNCTION lake.geojson_assert(pg_catalog.text, pg_catalog.text) IS 'True for a GeoJSON document without errors; else raises the first, with its pointer; for CHECK constraints';
COMMENT ON FUNCTION lake.geojson_assert(pg_catalog.jsonb, pg_catalog.text) IS 'True for a GeoJSON document without errors; else raises the first, with its pointer; for CHECK constraints';
COMMENT ON FUNCTION lake.geojson_repair(pg_catalog.text) IS 'The document with rings closed and wound, longitudes wrapped, cut at the antimeridian, crs dropped; and the list of edits';
COMMENT ON FUNCTION lake.geojson_repair(pg_catalog.jsonb) IS 'The document with rings closed and wound, longitudes wrapped, cut at the antimeridian, crs dropped; and the list of edits';
COMMENT ON FUNCTION lake.geojson_to_ewkb(pg_catalog.text, pg_catalog.int4) IS 'EWKB of a GeoJSON geometry or Feature; needs no PostGIS';
COMMENT ON FUNCTION lake.geojson_to_ewkb(pg_catalog.jsonb, pg_catalog.int4) IS 'EWKB of a GeoJSON geometry or Feature; needs no PostGIS';
COMMENT ON FUNCTION lake.geojson_from_ewkb(pg_catalog.bytea) IS 'GeoJSON of a geometry in EWKB or WKB, wound by the right-hand rule, with all its digits';
COMMENT ON FUNCTION lake.geojson_distance(pg_catalog.text, pg_catalog.text, pg_catalog.text) IS 'Metres between two points; method geodesic (WGS 84 ellipsoid) or haversine (sphere)';
COMMENT ON FUNCTION lake.geojson_distance(pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.text) IS 'Metres between two points; method geodesic (WGS 84 ellipsoid) or haversine (sphere)';
COMMENT ON FUNCTION lake.geojson_bearing(pg_catalog.text, pg_catalog.text) IS 'Degrees clockwise from north in which the shortest way from a to b begins';
COMMENT ON FUNCTION lake.geojson_bearing(pg_catalog.jsonb, pg_catalog.jsonb) IS 'Degrees clockwise from north in which the shortest way from a to b begins';
COMMENT ON FUNCTION lake.geojson_area(pg_catalog.text) IS 'Square metres of the polygons of a document on the WGS 84 ellipsoid';
COMMENT ON FUNCTION lake.geojson_area(pg_catalog.jsonb) IS 'Square metres of the polygons of a document on the WGS 84 ellipsoid';
COMMENT ON FUNCTION lake.geojson_length(pg_catalog.text) IS 'Metres along the lines of a document, and round its polygons, on the WGS 84 ellipsoid';
COMMENT ON FUNCTION lake.geojson_length(pg_catalog.jsonb) IS 'Metres along the lines of a document, and round its polygons, on the WGS 84 ellipsoid';

COMMENT ON FUNCTION lake.geo_create(pg_catalog.text, pg_catalog.text, pg_catalog.int4, pg_catalog.text, pg_catalog.jsonb) IS 'Makes a table of places (id, geom, properties) with its indexes';
COMMENT ON FUNCTION lake.geo_adopt(pg_catalog.regclass, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS 'Makes a store of a PostGIS table that exists; adds the indexes it lacks';
COMMENT ON FUNCTION lake.geo_upsert(pg_catalog.regclass, pg_catalog.jsonb) IS 'Writes one Feature by its id: inserted, updated or unchanged';
COMMENT ON FUNCTION lake.geo_upsert_many(pg_catalog.regclass, pg_catalog.text, pg_catalog.text, pg_catalog.bool) IS 'Writes the features of a FeatureCollection; on_error raise or reject; repair mends what can be mended';
COMMENT ON FUNCTION lake.geo_upsert_many(pg_catalog.regclass, pg_catalog.jsonb, pg_catalog.text, pg_catalog.bool) IS 'Writes the features of a FeatureCollection; on_error raise or reject; repair mends what can be mended';
COMMENT ON FUNCTION lake.geo_near(pg_catalog.regclass, pg_catalog.float8, pg_catalog.float8, pg_catalog.float8, pg_catalog.int8, pg_catalog.jsonb) IS 'Places within a radius in metres, nearest first';
COMMENT ON FUNCTION lake.geo_nearest(pg_catalog.regclass, pg_catalog.float8, pg_catalog.float8, pg_catalog.int4, pg_catalog.jsonb, pg_catalog.float8) IS 'The k nearest places, exact on the WGS 84 ellipsoid, nearest first';
COMMENT ON FUNCTION lake.geo_within(pg_catalog.regclass, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.int8) IS 'Places no part of which is outside a polygon';
COMMENT ON FUNCTION lake.geo_intersects(pg_catalog.regclass, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.int8) IS 'Places that share a point with a polygon';
COMMENT ON FUNCTION lake.geo_in_bbox(pg_catalog.regclass, pg_catalog.float8, pg_catalog.float8, pg_catalog.float8, pg_catalog.float8, pg_catalog.jsonb, pg_catalog.int8) IS 'Places that meet a box of longitudes and latitudes; west greater than east crosses the antimeridian';
COMMENT ON FUNCTION lake.geo_feature_collection(pg_catalog.regclass, pg_catalog.jsonb, pg_catalog.float8[], pg_catalog.int8) IS 'Places as the text of a GeoJSON FeatureCollection';
COMMENT ON FUNCTION lake.geo_get(pg_catalog.regclass, pg_catalog.text[], pg_catalog.jsonb, pg_catalog.int8) IS 'Places by id or filter';
COMMENT ON FUNCTION lake.geo_delete(pg_catalog.regclass, pg_catalog.text[], pg_catalog.jsonb) IS 'Deletes places by id or filter; returns how many';
COMMENT ON FUNCTION lake.geo_count(pg_catalog.regclass, pg_catalog.jsonb, pg_catalog.text[]) IS 'How many places there are';
