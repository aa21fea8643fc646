//! Places against PostGIS: the same geometries, the same distances, the same rows as brute force.

mod map;
mod validity;
mod watch;

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::geo::nearby::for_tests;
    use crate::geo::store::Places;
    use crate::regclass::RegClass;
    use crate::testing::lacks;
    use pgrx::prelude::*;

    fn run(sql: &str) {
        Spi::run(sql).unwrap();
    }

    fn one<T: FromDatum + IntoDatum>(sql: &str) -> T {
        Spi::get_one::<T>(sql).unwrap().unwrap()
    }

    fn int(sql: &str) -> i64 {
        one::<i64>(sql)
    }

    /// PostGIS in a schema of its own that isn't on the search path, which is the harder case.
    fn postgis() {
        run("CREATE SCHEMA \"Gis Engine\"; CREATE EXTENSION postgis SCHEMA \"Gis Engine\"");
    }

    fn places(name: &str) -> Places {
        let oid: pg_sys::Oid = one(&format!("SELECT '{name}'::regclass::oid"));
        Places::find(RegClass(oid)).unwrap()
    }

    /// Points all over the world: at random, in clusters, on the antimeridian, at and near the poles,
    /// some of them twice.
    fn world() {
        postgis();
        run("SELECT setseed(0.25); SELECT lake.geo_create('world', 'Point')");
        run("INSERT INTO world SELECT kind || i, \
                \"Gis Engine\".ST_SetSRID(\"Gis Engine\".ST_MakePoint( \
                    CASE WHEN lon > 180 THEN lon - 360 WHEN lon < -180 THEN lon + 360 ELSE lon END, \
                    greatest(-90, least(90, lat))), 4326), \
                jsonb_build_object('kind', kind, 'n', i % 10) \
             FROM (SELECT 'any' AS kind, i, random() * 360 - 180 AS lon, degrees(asin(random() * 2 - 1)) AS lat \
                   FROM generate_series(1, 3000) i \
                   UNION ALL SELECT 'fiji', i, 180 + (random() - 0.5) * 4, -17 + (random() - 0.5) * 4 FROM generate_series(1, 1000) i \
                   UNION ALL SELECT 'pole', i, random() * 360 - 180, 90 - random() * 2 FROM generate_series(1, 500) i \
                   UNION ALL SELECT 'south', i, random() * 360 - 180, -90 + random() * 2 FROM generate_series(1, 500) i \
                   UNION ALL SELECT 'alps', i, 8 + random() * 4, 46 + random() * 2 FROM generate_series(1, 2000) i \
                   UNION ALL SELECT 'seam', i, CASE i % 2 WHEN 0 THEN 180 ELSE -180 END, i - 25 FROM generate_series(1, 50) i \
                   UNION ALL SELECT 'twin', i, 9, 47 FROM generate_series(1, 20) i) p");
        run("INSERT INTO world VALUES ('nowhere', NULL, '{}'), \
             ('empty', \"Gis Engine\".ST_GeomFromText('POINT EMPTY', 4326), '{}')");
        run("ANALYZE world");
        // What every search is compared with.
        run(
            "CREATE FUNCTION truth(lon float8, lat float8) RETURNS TABLE (id text, d float8) LANGUAGE sql AS $$ \
                SELECT w.id, \"Gis Engine\".ST_Distance(w.geom::\"Gis Engine\".geography, \
                    \"Gis Engine\".ST_SetSRID(\"Gis Engine\".ST_MakePoint(lon, lat), 4326)::\"Gis Engine\".geography) \
                FROM world w WHERE NOT \"Gis Engine\".ST_IsEmpty(w.geom) ORDER BY 2, 1 $$",
        );
        run("CREATE TABLE asked AS SELECT row_number() OVER () AS q, * FROM (VALUES \
                (0.0, 0.0), (180, 0), (-180, 0), (180, -17), (-180, -17), (179.999, -16.5), (-179.999, -17.2), \
                (0, 90), (77, 90), (0, -90), (12, 89.9), (-170, -89.5), (9, 47), (10.3, 46.2), (-60, 60), (139, 35), \
                (0, 88), (179.5, 66), (-0.0001, 51.5)) v(lon, lat)");
    }

    #[pg_test]
    fn nearest_is_what_brute_force_finds() {
        if lacks("postgis") {
            return;
        }
        world();
        for k in [1, 2, 10, 25, 100] {
            let wrong = int(&format!(
                "SELECT count(*) FROM asked a \
                 WHERE ARRAY(SELECT n.id FROM lake.geo_nearest('world', a.lon, a.lat, {k}) n) \
                       IS DISTINCT FROM ARRAY(SELECT t.id FROM truth(a.lon, a.lat) t LIMIT {k})"
            ));
            assert_eq!(wrong, 0, "k = {k}");
        }
        // All there are, when more are asked for; rows without a place are never found.
        assert_eq!(int("SELECT count(*) FROM lake.geo_nearest('world', 5, 5, 1000000)"), 7070);
        assert_eq!(
            int("SELECT count(*) FROM lake.geo_nearest('world', 5, 5, 10, '{\"kind\": \"none\"}')"),
            0
        );
    }

    #[pg_test]
    fn nearest_keeps_filter_and_greatest_distance() {
        if lacks("postgis") {
            return;
        }
        world();
        let wrong = int("SELECT count(*) FROM asked a \
             WHERE ARRAY(SELECT n.id FROM lake.geo_nearest('world', a.lon, a.lat, 7, '{\"n\": {\"$lt\": 3}}') n) \
                   IS DISTINCT FROM ARRAY(SELECT t.id FROM truth(a.lon, a.lat) t JOIN world USING (id) \
                                          WHERE (properties ->> 'n')::int < 3 LIMIT 7)");
        assert_eq!(wrong, 0);
        let wrong = int("SELECT count(*) FROM asked a \
             WHERE ARRAY(SELECT n.id FROM lake.geo_nearest('world', a.lon, a.lat, 50, max_distance_m => 90000) n) \
                   IS DISTINCT FROM ARRAY(SELECT t.id FROM truth(a.lon, a.lat) t WHERE d <= 90000 LIMIT 50)");
        assert_eq!(wrong, 0);
    }

    #[pg_test]
    fn near_is_what_brute_force_finds() {
        if lacks("postgis") {
            return;
        }
        world();
        for radius in [0, 1000, 50_000, 700_000, 30_000_000] {
            let wrong = int(&format!(
                "SELECT count(*) FROM asked a \
                 WHERE ARRAY(SELECT n.id FROM lake.geo_near('world', a.lon, a.lat, {radius}) n) \
                       IS DISTINCT FROM ARRAY(SELECT t.id FROM truth(a.lon, a.lat) t WHERE d <= {radius})"
            ));
            assert_eq!(wrong, 0, "radius {radius}");
        }
        assert_eq!(int("SELECT count(*) FROM lake.geo_near('world', 9, 47, 1e6, 5)"), 5);
    }

    #[pg_test]
    fn boxes_are_what_brute_force_finds() {
        if lacks("postgis") {
            return;
        }
        world();
        let wrong = int(
            "SELECT count(*) FROM (VALUES (-10.0, 40.0, 12.0, 60.0), (177, -20, -178, -16), (170, -90, -170, 90), \
                (-180, -90, 180, 90), (180, -90, -180, 90), (9, 47, 9, 47), (-180, 89, 180, 90)) b(w, s, e, n) \
             WHERE ARRAY(SELECT id FROM lake.geo_in_bbox('world', w, s, e, n)) \
                   IS DISTINCT FROM ARRAY( \
                     SELECT id FROM world, \"Gis Engine\".ST_X(geom) x, \"Gis Engine\".ST_Y(geom) y \
                     WHERE y BETWEEN s AND n AND CASE WHEN w <= e THEN x BETWEEN w AND e ELSE x >= w OR x <= e END \
                     ORDER BY id)",
        );
        assert_eq!(wrong, 0);
        // An area across the antimeridian, uncut, beyond 180, and cut as section 3.1.9 asks.
        let wrong = int("SELECT count(*) FROM (VALUES \
                ('{\"type\":\"Polygon\",\"coordinates\":[[[177,-20],[-178,-20],[-178,-16],[177,-16],[177,-20]]]}'), \
                ('{\"type\":\"Polygon\",\"coordinates\":[[[177,-20],[182,-20],[182,-16],[177,-16],[177,-20]]]}'), \
                ('{\"type\":\"Polygon\",\"coordinates\":[[[-183,-20],[-178,-20],[-178,-16],[-183,-16],[-183,-20]]]}'), \
                ('{\"type\":\"MultiPolygon\",\"coordinates\":[[[[177,-20],[180,-20],[180,-16],[177,-16],[177,-20]]],[[[-180,-20],[-178,-20],[-178,-16],[-180,-16],[-180,-20]]]]}') \
             ) a(area), LATERAL (SELECT ARRAY(SELECT id FROM lake.geo_in_bbox('world', 177, -20, -178, -16)) AS ids) b \
             WHERE cardinality(b.ids) < 500 \
                OR ARRAY(SELECT id FROM lake.geo_within('world', a.area::jsonb)) IS DISTINCT FROM b.ids \
                OR ARRAY(SELECT id FROM lake.geo_intersects('world', a.area::jsonb)) IS DISTINCT FROM b.ids");
        assert_eq!(wrong, 0);
    }

    #[pg_test]
    fn lines_and_polygons_are_searched_too() {
        if lacks("postgis") {
            return;
        }
        postgis();
        run("SELECT setseed(0.5); SELECT lake.geo_create('shapes')");
        run("INSERT INTO shapes SELECT i::text, \"Gis Engine\".ST_Buffer( \
                \"Gis Engine\".ST_SetSRID(\"Gis Engine\".ST_MakePoint(random() * 340 - 170, random() * 160 - 80), 4326), random() * 5, 2) \
             FROM generate_series(1, 500) i");
        // Long edges, whose great circle lies far from the line in the plane.
        run(
            "INSERT INTO shapes SELECT 'l' || i, \"Gis Engine\".ST_SetSRID(\"Gis Engine\".ST_MakeLine( \
                \"Gis Engine\".ST_MakePoint(-90 + random() * 10, 60 + random() * 10), \
                \"Gis Engine\".ST_MakePoint(80 + random() * 10, 60 + random() * 10)), 4326) \
             FROM generate_series(1, 20) i; ANALYZE shapes",
        );
        let wrong = int(
            "SELECT count(*) FROM (VALUES (0.0, 0.0), (0, 85), (0, 62), (-100, 40), (179, 10)) a(lon, lat) \
             WHERE ARRAY(SELECT n.id FROM lake.geo_nearest('shapes', a.lon, a.lat, 12) n) IS DISTINCT FROM ARRAY( \
                SELECT id FROM shapes ORDER BY \"Gis Engine\".ST_Distance(geom::\"Gis Engine\".geography, \
                    \"Gis Engine\".ST_SetSRID(\"Gis Engine\".ST_MakePoint(a.lon, a.lat), 4326)::\"Gis Engine\".geography), id LIMIT 12)",
        );
        assert_eq!(wrong, 0);
        // In the plane: the box from 30 to 40 north doesn't reach 40.2 north, whatever great circles do.
        run(
            "INSERT INTO shapes VALUES ('north', \"Gis Engine\".ST_GeomFromText('POINT(0 40.2)', 4326))",
        );
        let found = int("SELECT count(*) FROM lake.geo_within('shapes', \
             '{\"type\":\"Polygon\",\"coordinates\":[[[-10,30],[10,30],[10,40],[-10,40],[-10,30]]]}') WHERE id = 'north'");
        assert_eq!(found, 0);
    }

    #[pg_test]
    fn searches_use_the_indexes() {
        if lacks("postgis") {
            return;
        }
        world();
        let places = places("world");
        let explain = |sql: &str| {
            run(&format!("PREPARE q(float8, float8, float8) AS {sql}"));
            let plan = Spi::connect(|client| {
                client
                    .select("EXPLAIN EXECUTE q(9, 47, 20000)", None, &[])
                    .unwrap()
                    .map(|row| row.get::<String>(1).unwrap().unwrap())
                    .collect::<Vec<_>>()
                    .join("\n")
            });
            run("DEALLOCATE q");
            plan
        };
        let plan = explain(&for_tests::near(&places));
        assert!(plan.contains("world_geom_idx1") && !plan.contains("Seq Scan"), "{plan}");
        for mode in ["force_custom_plan", "force_generic_plan"] {
            run(&format!("SET LOCAL plan_cache_mode = {mode}"));
            let plan = explain(&for_tests::nearest(&places, 10));
            assert!(
                plan.contains("world_geom_idx on")
                    && plan.contains("world_geom_idx1")
                    && !plan.contains("Seq Scan"),
                "{plan}"
            );
        }
    }

    #[pg_test]
    fn distances_and_bearings_are_those_of_postgis() {
        if lacks("postgis") {
            return;
        }
        postgis();
        run("SELECT setseed(0.75); CREATE TABLE pairs AS SELECT \
                format('{\"type\":\"Point\",\"coordinates\":[%s,%s]}', a, b) AS p, \
                format('{\"type\":\"Point\",\"coordinates\":[%s,%s]}', c, d) AS q, \
                \"Gis Engine\".ST_SetSRID(\"Gis Engine\".ST_MakePoint(a, b), 4326)::\"Gis Engine\".geography AS g, \
                \"Gis Engine\".ST_SetSRID(\"Gis Engine\".ST_MakePoint(c, d), 4326)::\"Gis Engine\".geography AS h \
             FROM (SELECT random() * 360 - 180 AS a, random() * 180 - 90 AS b, random() * 360 - 180 AS c, random() * 180 - 90 AS d \
                   FROM generate_series(1, 3000) \
                   UNION ALL VALUES (0, 0, 180, 0), (0, 90, 0, -90), (179.9999, 10, -179.9999, 10), (5, 5, 5, 5)) r");
        let off: f64 = one(
            "SELECT max(abs(lake.geojson_distance(p, q) - \"Gis Engine\".ST_Distance(g, h))) FROM pairs",
        );
        assert!(off < 1e-6, "{off}");
        let off: f64 = one(
            "SELECT max(abs(lake.geojson_distance(p, q, 'haversine') - \"Gis Engine\".ST_Distance(g, h, false))) FROM pairs",
        );
        assert!(off < 1e-3, "{off}");
        let off: f64 = one(
            "SELECT max(abs(lake.geojson_bearing(p, q) - degrees(\"Gis Engine\".ST_Azimuth(g, h)))) FROM pairs \
             WHERE \"Gis Engine\".ST_Distance(g, h) BETWEEN 1 AND 19000000",
        );
        assert!(off < 1e-6, "{off}");
        assert!(one::<bool>("SELECT bool_and(lake.geojson_bearing(p, p) IS NULL) FROM pairs"));
        // Areas and lengths, of rings that run either way.
        run("CREATE TABLE areas AS SELECT \"Gis Engine\".ST_Buffer(\"Gis Engine\".ST_SetSRID( \
                \"Gis Engine\".ST_MakePoint(random() * 340 - 170, random() * 160 - 80), 4326), random() * 5, 4) AS g \
             FROM generate_series(1, 100)");
        let off: f64 = one(
            "SELECT max(abs(lake.geojson_area(\"Gis Engine\".ST_AsGeoJSON(g, 15)) / \"Gis Engine\".ST_Area(g::\"Gis Engine\".geography) - 1)) FROM areas",
        );
        assert!(off < 1e-6, "{off}");
        let off: f64 = one(
            "SELECT max(abs(lake.geojson_length(\"Gis Engine\".ST_AsGeoJSON(g, 15)) / \"Gis Engine\".ST_Perimeter(g::\"Gis Engine\".geography) - 1)) FROM areas",
        );
        assert!(off < 1e-9, "{off}");
    }

    #[pg_test]
    fn geometries_are_those_of_postgis() {
        if lacks("postgis") {
            return;
        }
        postgis();
        run(
            "SELECT setseed(0.1); CREATE TABLE docs AS SELECT \"Gis Engine\".ST_AsGeoJSON(g, 15) AS doc FROM ( \
                SELECT \"Gis Engine\".ST_Buffer(\"Gis Engine\".ST_MakePoint(random() * 340 - 170, random() * 160 - 80), random() * 5, 4) AS g FROM generate_series(1, 200) \
                UNION ALL SELECT \"Gis Engine\".ST_MakePoint(random() * 360 - 180, random() * 180 - 90, random() * 1000) FROM generate_series(1, 200) \
                UNION ALL SELECT \"Gis Engine\".ST_Boundary(\"Gis Engine\".ST_Buffer(\"Gis Engine\".ST_MakePoint(random() * 340 - 170, 0), 3)) FROM generate_series(1, 50) \
                UNION ALL VALUES ('MULTIPOINT(1 2, 3 4)'::\"Gis Engine\".geometry), ('MULTILINESTRING((1 2, 3 4), (5 6, 7 8))'), \
                    ('MULTIPOLYGON(((0 0,4 0,4 4,0 4,0 0),(1 1,1 2,2 2,2 1,1 1)),((9 9,9.5 9,9.5 9.5,9 9)))'), ('POINT EMPTY'), ('POLYGON EMPTY'), \
                    ('GEOMETRYCOLLECTION(POINT(1 2), LINESTRING(1 2, 3 4))'), ('GEOMETRYCOLLECTION EMPTY'), ('MULTIPOINT Z (1 2 3)')) s",
        );
        assert_eq!(int("SELECT count(*) FROM docs WHERE NOT lake.geojson_is_valid(doc)"), 0);
        // The same bytes, but for the header that PostGIS' GeoJSON leaves without a reference system.
        let wrong = int(
            "SELECT count(*) FROM docs WHERE \"Gis Engine\".ST_AsEWKB(lake.geojson_to_geometry(doc)) \
             <> \"Gis Engine\".ST_AsEWKB(\"Gis Engine\".ST_SetSRID(\"Gis Engine\".ST_GeomFromGeoJSON(doc), 4326))",
        );
        assert_eq!(wrong, 0);
        let wrong = int("SELECT count(*) FROM docs WHERE NOT \"Gis Engine\".ST_OrderingEquals( \
             lake.geojson_to_geometry(lake.geojson_from_ewkb(lake.geojson_to_ewkb(doc))), \
             CASE WHEN doc LIKE '%Polygon%' THEN \"Gis Engine\".ST_ForcePolygonCCW(lake.geojson_to_geometry(doc)) \
                  ELSE lake.geojson_to_geometry(doc) END)");
        assert_eq!(wrong, 0);
    }

    #[pg_test]
    fn conversion_comes_and_goes_with_postgis() {
        if lacks("postgis") {
            return;
        }
        let there = "SELECT count(*) FROM pg_proc WHERE proname = 'geojson_to_geometry'";
        assert_eq!(int(there), 0);
        postgis();
        assert_eq!(int(there), 2);
        run("DROP EXTENSION postgis");
        assert_eq!(int(there), 0);
        assert_eq!(int("SELECT count(*) FROM pg_extension WHERE extname = 'lake_stores'"), 1);
        // A dump that is restored brings the function itself.
        run("SET LOCAL check_function_bodies = off; CREATE EXTENSION postgis");
        assert_eq!(int(there), 0);
        // Made when a store is, if it wasn't before.
        run("SET LOCAL check_function_bodies = on; SELECT lake.geo_create('p')");
        assert_eq!(int(there), 2);
        assert_eq!(
            int(
                "SELECT count(*) FROM pg_depend WHERE deptype = 'e' AND objid IN (SELECT oid FROM pg_proc WHERE proname = 'geojson_to_geometry')"
            ),
            0
        );
    }

    #[pg_test]
    fn writing_is_recognised_and_rejects_are_kept() {
        if lacks("postgis") {
            return;
        }
        postgis();
        run("SELECT lake.geo_create('p', 'Point', id_type => 'bigint')");
        run("ALTER TABLE p ADD CONSTRAINT not_13 CHECK (id <> 13)");
        let feature = |id: &str, lon: &str| {
            format!(
                r#"{{"type":"Feature","id":{id},"geometry":{{"type":"Point","coordinates":[{lon},2]}},"properties":{{"a":1}}}}"#
            )
        };
        let collection = |features: &[String]| {
            format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, features.join(","))
        };
        let upsert = |text: &str, rest: &str| {
            one::<String>(&format!(
                "SELECT concat_ws(' ', inserted, updated, unchanged, rejected) FROM lake.geo_upsert_many('p', $x${text}$x${rest})"
            ))
        };
        let two = collection(&[feature("1", "1"), feature("\"2\"", "2")]);
        assert_eq!(upsert(&two, ""), "2 0 0 0");
        assert_eq!(upsert(&two, ""), "0 0 2 0");
        let mixed = collection(&[
            feature("1", "5"),
            feature("\"x\"", "1"),
            feature("3", "200"),
            feature("13", "1"),
            feature("4", "4"),
            feature("4", "4.5"),
            "null".to_owned(),
            feature("2", "2"),
            r#"{"type":"Feature","geometry":null,"properties":null}"#.to_owned(),
            r#"{"type":"Feature","id":7,"geometry":{"type":"LineString","coordinates":[[1,2],[3,4]]},"properties":null}"#.to_owned(),
            r#"{"type":"Feature","id":8,"geometry":{"type":"Point","coordinates":[1,2,3]},"properties":null}"#.to_owned(),
            r#"{"type":"Feature","id":9,"geometry":null,"properties":{"a":"\u0000"}}"#.to_owned(),
        ]);
        assert_eq!(upsert(&mixed, ", 'reject'"), "1 1 1 9");
        assert_eq!(
            one::<String>(
                "SELECT string_agg(ordinal || ':' || coalesce(row_id, '-') || ':' || code, ' ' ORDER BY ordinal) FROM _lake.reject"
            ),
            "2:x:id_type 3:3:P3 4:13:23514 5:4:duplicate_id 7:-:O1 9:-:no_id 10:7:geometry_type 11:8:dimension 12:9:J4"
        );
        // Repair wraps the longitude of 3 and drops the height of 8.
        assert_eq!(upsert(&mixed, ", 'reject', true"), "2 0 3 7");
        assert_eq!(int("SELECT count(*) FROM lake.geo_near('p', -160, 2, 1)"), 1);
        // A bare Feature, as jsonb, as an untyped literal.
        assert_eq!(
            one::<String>(
                "SELECT lake.geo_upsert('p', '{\"type\":\"Feature\",\"id\":1e1,\"geometry\":null,\"properties\":null}')"
            ),
            "inserted"
        );
        assert_eq!(
            int(
                "SELECT unchanged FROM lake.geo_upsert_many('p', '{\"type\":\"Feature\",\"id\":10,\"geometry\":null,\"properties\":null}'::jsonb)"
            ),
            1
        );
        // What was rejected can be taken again, once its reason is gone; what was superseded can't.
        run("ALTER TABLE p DROP CONSTRAINT not_13");
        let payloads: Vec<String> = Spi::connect(|client| {
            client
                .select(
                    "SELECT payload::text FROM _lake.reject \
                     WHERE batch = (SELECT min(batch) FROM _lake.reject) ORDER BY ordinal",
                    None,
                    &[],
                )
                .unwrap()
                .map(|row| row.get::<String>(1).unwrap().unwrap())
                .collect()
        });
        let replayed = crate::geo::replay(&places("p").store, &payloads).unwrap();
        assert_eq!((replayed.accepted, replayed.rejected), (1, 8));
    }

    #[pg_test]
    fn a_collection_read_back_is_valid_and_the_same() {
        if lacks("postgis") {
            return;
        }
        world();
        run(
            "CREATE TABLE fc AS SELECT lake.geo_feature_collection('world', '{\"kind\": \"fiji\"}') AS doc",
        );
        assert_eq!(int("SELECT count(*) FROM fc, lake.geojson_validate(doc)"), 0);
        assert_eq!(
            int("SELECT jsonb_array_length(doc::jsonb -> 'features')::bigint FROM fc"),
            1000
        );
        assert_eq!(
            int("SELECT unchanged FROM lake.geo_upsert_many('world', (SELECT doc FROM fc))"),
            1000
        );
        assert_eq!(
            int(
                "SELECT jsonb_array_length(lake.geo_feature_collection('world', bbox => ARRAY[177, -20, -178, -16], \"limit\" => 7)::jsonb -> 'features')::bigint"
            ),
            7
        );
    }

    #[pg_test]
    fn tables_that_exist_are_adopted() {
        if lacks("postgis") {
            return;
        }
        postgis();
        run(
            "CREATE TABLE \"ta ble;--\" (\"na\"\"me\" varchar PRIMARY KEY, \"where?\" \"Gis Engine\".geometry, extra int)",
        );
        run(
            "INSERT INTO \"ta ble;--\" VALUES ('x', \"Gis Engine\".ST_GeomFromText('POINT Z (1 2 3)', 4326))",
        );
        run("SELECT lake.geo_adopt('\"ta ble;--\"', 'na\"me', 'where?', NULL)");
        assert_eq!(int("SELECT count(*) FROM pg_indexes WHERE tablename = 'ta ble;--'"), 3);
        // Adopted once more, it makes no index twice.
        run(
            "DELETE FROM _lake.store; SELECT lake.geo_adopt('\"ta ble;--\"', 'na\"me', 'where?', NULL)",
        );
        assert_eq!(int("SELECT count(*) FROM pg_indexes WHERE tablename = 'ta ble;--'"), 3);
        run(
            "SELECT lake.geo_upsert('\"ta ble;--\"', '{\"type\":\"Feature\",\"id\":\"y\",\"geometry\":{\"type\":\"Point\",\"coordinates\":[1,3]},\"properties\":null}')",
        );
        assert_eq!(
            one::<String>(
                "SELECT string_agg(id, ',') FROM lake.geo_nearest('\"ta ble;--\"', 1, 2.9)"
            ),
            "y,x"
        );
    }

    #[pg_test]
    fn who_may_read_may_search_and_nothing_else() {
        if lacks("postgis") {
            return;
        }
        postgis();
        run(
            "SELECT lake.geo_create('p', 'Point'); CREATE ROLE reader; GRANT SELECT ON p TO reader; GRANT USAGE ON SCHEMA \"Gis Engine\" TO reader",
        );
        run("SET ROLE reader");
        assert_eq!(int("SELECT count(*) FROM lake.geo_nearest('p', 1, 2)"), 0);
        assert_eq!(int("SELECT lake.geo_count('p')"), 0);
        for sql in [
            "SELECT lake.geo_upsert('p', '{\"type\":\"Feature\",\"id\":1,\"geometry\":null,\"properties\":null}')",
            // Rejects are for writers only.
            "SELECT lake.geo_upsert_many('p', '{\"type\":\"Feature\",\"geometry\":null,\"properties\":null}', 'reject')",
            "SELECT lake.geo_delete('p', filter => '{}')",
            "SELECT lake.geo_adopt('p')",
            "SELECT _lake.geo_make_to_geometry()",
        ] {
            let refused = PgTryBuilder::new(std::panic::AssertUnwindSafe(|| {
                Spi::run(sql).unwrap();
                false
            }))
            .catch_when(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, |_| true)
            .execute();
            assert!(refused, "{sql}");
        }
        run("RESET ROLE");
    }

    #[pg_test]
    fn checks_hold_rows_back() {
        run(
            "CREATE TABLE d (doc text CHECK (lake.geojson_assert(doc)), j jsonb CHECK (lake.geojson_is_valid(j, 'strict')))",
        );
        run(
            "INSERT INTO d VALUES ('{\"type\":\"Point\",\"coordinates\":[1,2]}', '{\"type\":\"Point\",\"coordinates\":[1,2]}')",
        );
        let message = PgTryBuilder::new(|| {
            Spi::run("INSERT INTO d VALUES ('{\"type\":\"Point\",\"coordinates\":[1,200]}')")
                .unwrap();
            String::new()
        })
        .catch_when(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, |cause| match cause {
            pg_sys::panic::CaughtError::PostgresError(report)
            | pg_sys::panic::CaughtError::ErrorReport(report) => {
                format!("{} {}", report.message(), report.detail().unwrap_or_default())
            }
            _ => String::new(),
        })
        .execute();
        assert_eq!(
            message,
            "invalid GeoJSON: the latitude 200 is outside -90 to 90 At /coordinates/1, byte 33, rule P3."
        );
    }

    #[pg_test]
    fn repair_cuts_as_postgis_would() {
        if lacks("postgis") {
            return;
        }
        run("CREATE EXTENSION postgis; SELECT setseed(0.75)");
        // Rings of 3 to 40 corners about places near the antimeridian, some with a hole.
        run("CREATE TABLE stars AS \
             SELECT i, ST_MakePolygon(ST_AddPoint(shell, ST_StartPoint(shell)), \
                    CASE WHEN i % 2 = 0 THEN ARRAY[ST_AddPoint(hole, ST_StartPoint(hole))] ELSE '{}' END) AS geom \
             FROM (SELECT i, ST_MakeLine(ST_MakePoint(lon + cosd(a) * r, lat + sind(a) * r) ORDER BY a) AS shell, \
                          ST_MakeLine(ST_MakePoint(lon + cosd(a) * r / 9, lat + sind(a) * r / 9) ORDER BY a) AS hole \
                   FROM (SELECT i, 180 + (random() - 0.5) * 50 AS lon, (random() - 0.5) * 60 AS lat, 4 + i % 37 AS n \
                         FROM generate_series(1, 400) i) c, \
                        LATERAL (SELECT k * 360.0 / n AS a, 15 + 10 * random() AS r FROM generate_series(1, n) k) v \
                   GROUP BY i) s");
        run("DELETE FROM stars WHERE NOT ST_IsValid(geom)");
        assert!(int("SELECT count(*) FROM stars WHERE ST_XMax(geom) > 180") > 300);
        let wrong = int("SELECT count(*) FROM (SELECT geom, \
                    lake.geojson_to_geometry((lake.geojson_repair(ST_AsGeoJSON(geom, 15))).doc, 0) AS ours, \
                    ST_WrapX(geom, 180, -360) AS theirs FROM stars) s \
             WHERE NOT ST_IsValid(ours) OR ST_XMax(ours) > 180 OR ST_Area(ST_SymDifference(ours, theirs)) > 1e-9 \
                OR ST_NumGeometries(ours) <> ST_NumGeometries(theirs)");
        assert_eq!(wrong, 0);
    }
}
