//! Tiles against the ones that PostGIS makes by hand; grids against counting.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::testing::lacks;
    use pgrx::prelude::*;

    fn run(sql: &str) {
        Spi::run(sql).unwrap();
    }

    fn int(sql: &str) -> i64 {
        Spi::get_one::<i64>(sql).unwrap().unwrap()
    }

    /// Two stores of points, by text and by number; PostGIS where no search path leads.
    fn world() {
        run("CREATE SCHEMA \"Gis Engine\"; CREATE EXTENSION postgis SCHEMA \"Gis Engine\"");
        run("SELECT setseed(0.5); SELECT lake.geo_create('world', 'Point'); \
             SELECT lake.geo_create('numbered', id_type => 'bigint')");
        run("INSERT INTO world SELECT 'p' || i, \
                    \"Gis Engine\".ST_SetSRID(\"Gis Engine\".ST_MakePoint(random() * 360 - 180, \
                        CASE WHEN i % 100 = 0 THEN 90 ELSE degrees(asin(random() * 2 - 1)) END), 4326), \
                    jsonb_build_object('n', i % 10, 'name', 'x' || i % 7, 'id', 'mine', 'deep', '[1]'::jsonb) \
             FROM generate_series(1, 3000) i; \
             INSERT INTO world VALUES ('nowhere', NULL, '{}'); \
             INSERT INTO numbered SELECT substr(id, 2)::int, geom, properties FROM world WHERE id <> 'nowhere'; \
             ANALYZE world; ANALYZE numbered");
        // Rows come in the order of the table, which is part of a tile's bytes.
        run("SET LOCAL enable_indexscan = off");
    }

    fn by_hand(store: &str, feature_id: &str) -> String {
        format!(
            "(SELECT \"Gis Engine\".ST_AsMVT(m, 'hostile \"layer\"', 4096, 'geom', 'feature_id') FROM ( \
                SELECT \"Gis Engine\".ST_AsMVTGeom(\"Gis Engine\".ST_Transform(geom, 3857), \
                           \"Gis Engine\".ST_TileEnvelope(z, x, y), 4096, 64) AS geom, \
                       {feature_id} AS feature_id, id::text, properties - 'id' AS properties \
                FROM {store} WHERE \"Gis Engine\".ST_Y(geom) BETWEEN -86 AND 86) m WHERE geom IS NOT NULL)"
        )
    }

    #[pg_test]
    fn tiles_of_points_are_those_made_by_hand() {
        if lacks("postgis") {
            return;
        }
        world();
        for (store, feature_id) in [("world", "NULL::int8"), ("numbered", "id")] {
            let wrong = Spi::get_one::<String>(&format!(
                "SELECT string_agg(format('%s/%s/%s', z, x, y), ' ') FROM (VALUES (0), (1), (2), (3)) l(z), \
                    generate_series(0, (1 << z) - 1) x, generate_series(0, (1 << z) - 1) y \
                 WHERE lake.geo_tile('{store}', z, x, y, layer => 'hostile \"layer\"') IS DISTINCT FROM COALESCE({}, '')",
                by_hand(store, feature_id)
            ))
            .unwrap();
            assert_eq!(wrong, None, "{store}");
        }
        let less = int("SELECT length(lake.geo_tile('world', 0, 0, 0, '{\"n\": 3}'))::int8");
        let all = int("SELECT length(lake.geo_tile('world', 0, 0, 0))::int8");
        assert!(less > 0 && less * 5 < all, "{less} of {all}");
    }

    #[pg_test]
    fn tiles_of_areas_reach_to_the_poles_and_end_where_the_areas_do() {
        if lacks("postgis") {
            return;
        }
        run("CREATE EXTENSION postgis; SELECT lake.geo_create('areas')");
        run(
            "SELECT lake.geo_upsert('areas', '{\"type\": \"Feature\", \"id\": \"south\", \"properties\": {}, \"geometry\": \
             {\"type\": \"Polygon\", \"coordinates\": [[[-180, -90], [180, -90], [180, -60], [-180, -60], [-180, -90]]]}}')",
        );
        let filled = "SELECT string_agg(x || '/' || y, ' ' ORDER BY y, x) FROM generate_series(0, 7) x, generate_series(0, 7) y \
                      WHERE lake.geo_tile('areas', 3, x, y) <> ''";
        assert_eq!(
            Spi::get_one::<String>(filled).unwrap().as_deref(),
            Some(
                "0/5 1/5 2/5 3/5 4/5 5/5 6/5 7/5 0/6 1/6 2/6 3/6 4/6 5/6 6/6 7/6 0/7 1/7 2/7 3/7 4/7 5/7 6/7 7/7"
            )
        );
        // Right inside, a tile is its area whole: the same as any other such tile.
        assert_eq!(
            int(
                "SELECT count(DISTINCT lake.geo_tile('areas', 12, x, 4000)) FROM generate_series(2000, 2010) x"
            ),
            1
        );
    }

    #[pg_test]
    fn what_a_tile_can_not_show_is_left_out_of_it() {
        if lacks("postgis") {
            return;
        }
        run("CREATE EXTENSION postgis; SELECT lake.geo_create('coast')");
        // A circle of 20,000 vertices.
        run(
            "INSERT INTO coast SELECT 'c', ST_SetSRID(ST_MakePolygon(ST_MakeLine(p ORDER BY i)), 4326), '{}' \
             FROM (SELECT i, ST_MakePoint(10 * cosd(i * 360.0 / 20000), 10 * sind(i * 360.0 / 20000)) AS p \
                   FROM generate_series(0, 20000) i) c",
        );
        let size = |z: i32, x: i32, y: i32| {
            int(&format!("SELECT length(lake.geo_tile('coast', {z}, {x}, {y}))::int8"))
        };
        assert!((40..400).contains(&size(0, 0, 0)), "{}", size(0, 0, 0));
        assert!(size(4, 8, 7) > size(0, 0, 0));
    }

    #[pg_test]
    fn grids_count_what_boxes_find() {
        if lacks("postgis") {
            return;
        }
        world();
        let wrong = int("SELECT count(*) FROM (VALUES \
                ('{-180,-90,180,90}'::float8[], 7), ('{-20,30,40,71}', 16), ('{160,-50,-150,20}', 9), ('{-3,-80,1,80}', 5), ('{-80,-3,80,1}', 5)) b(box, cells), \
                LATERAL (SELECT sum(g.count) AS total, \
                                bool_and(g.count = (SELECT count(*) FROM lake.geo_in_bbox('world', g.bbox[1], g.bbox[2], g.bbox[3], g.bbox[4]))) AS each, \
                                bool_and(g.lat BETWEEN g.bbox[2] AND g.bbox[4]) AS inside \
                         FROM lake.geo_grid('world', box, cells) g) g \
             WHERE (total, each, inside) IS DISTINCT FROM \
                   ((SELECT count(*) FROM lake.geo_in_bbox('world', box[1], box[2], box[3], box[4])), true, true)");
        assert_eq!(wrong, 0);
        assert_eq!(
            int("SELECT max(x)::int8 FROM lake.geo_grid('world', '{-180,-90,180,90}', 8)"),
            7
        );
        assert_eq!(
            int("SELECT max(y)::int8 FROM lake.geo_grid('world', '{-180,-90,180,90}', 8)"),
            3
        );
        // Not points: where a point inside them is, also across the antimeridian.
        run("SELECT lake.geo_create('islands'); \
             INSERT INTO islands VALUES ('fiji', \"Gis Engine\".ST_GeomFromText( \
                'SRID=4326;MULTIPOLYGON(((177 -19,180 -19,180 -16,177 -16,177 -19)),((-180 -19,-179 -19,-179 -16,-180 -16,-180 -19)))'), '{}')");
        assert_eq!(
            int("SELECT sum(count)::int8 FROM lake.geo_grid('islands', '{170,-30,-170,0}', 4)"),
            1
        );
        assert_eq!(int("SELECT count(*) FROM lake.geo_grid('islands', '{-10,-30,10,0}', 4)"), 0);
    }

    #[pg_test]
    fn wrong_tiles_and_grids_are_told() {
        if lacks("postgis") {
            return;
        }
        run("CREATE EXTENSION postgis; SELECT lake.geo_create('few')");
        for (call, message) in [
            ("geo_tile('few', 32, 0, 0)", "z 32 is outside 0 to 31"),
            ("geo_tile('few', -1, 0, 0)", "z -1 is outside 0 to 31"),
            ("geo_tile('few', 3, 8, 0)", "x 8 is outside 0 to 7, which is what there is at zoom 3"),
            (
                "geo_tile('few', 31, 0, -1)",
                "y -1 is outside 0 to 2147483647, which is what there is at zoom 31",
            ),
            ("geo_tile('few', NULL, 0, 0)", "z is null"),
            ("geo_grid('few', '{0,0,1,1}', 0)", "cells 0 is outside 1 to 4096"),
            ("geo_grid('few', '{0,0,0,1}')", "bbox has no area"),
            ("geo_grid('few', '{0,0,1}')", "bbox must be an array of four numbers"),
            ("geo_grid('few', '{0,5,1,1}')", "south 5 is north of north 1"),
            ("geo_grid('few', '{0,0,1,NaN}')", "north NaN is outside -90 to 90"),
            ("geo_grid('few', NULL)", "bbox is null"),
        ] {
            let told = PgTryBuilder::new(|| {
                run(&format!("SELECT lake.{call}"));
                String::new()
            })
            .catch_others(|e| match e {
                pg_sys::panic::CaughtError::PostgresError(e)
                | pg_sys::panic::CaughtError::ErrorReport(e) => e.message().to_owned(),
                e => e.rethrow(),
            })
            .execute();
            assert_eq!(told, message, "{call}");
        }
        assert_eq!(int("SELECT length(lake.geo_tile('few', 31, 2147483647, 2147483647))::int8"), 0);
    }
}
