//! The strict profile against `ST_IsValid`: the same verdict on polygons that are mostly degenerate.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::testing::lacks;
    use pgrx::prelude::*;

    /// splitmix64
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }

        fn below(&mut self, n: u64) -> u64 {
            self.next() % n
        }
    }

    type Point = (f64, f64);

    /// Round a middle, so that it is likely to be simple, with corners on a grid, where they meet
    /// others; or corners anywhere.
    fn ring(random: &mut Random, middle: Point, size: u64) -> Vec<Point> {
        let corners = 3 + random.below(5);
        let mut points: Vec<Point> = (0..corners)
            .map(|i| {
                let turn = std::f64::consts::TAU * (i as f64 + 0.5) / corners as f64;
                let far = 1.0 + random.below(size) as f64;
                ((middle.0 + far * turn.cos()).round(), (middle.1 + far * turn.sin()).round())
            })
            .collect();
        match random.below(6) {
            0 => points.reverse(),
            1 => {
                let (a, b) = (random.below(corners) as usize, random.below(corners) as usize);
                points.swap(a, b);
            }
            2 => points.iter_mut().for_each(|p| p.0 += random.below(100) as f64 / 64.0),
            _ => {}
        }
        points.push(points[0]);
        points
    }

    fn polygon(random: &mut Random, middle: Point) -> Vec<Vec<Point>> {
        let mut rings = vec![ring(random, middle, 8)];
        for _ in 0..random.below(4) {
            let by = |random: &mut Random| random.below(9) as f64 - 4.0;
            let at = (middle.0 + by(random), middle.1 + by(random));
            rings.push(ring(random, at, 3));
        }
        rings
    }

    fn document(random: &mut Random) -> String {
        if random.below(3) > 0 {
            let shape = polygon(random, (0.0, 0.0));
            return serde_json::json!({"type": "Polygon", "coordinates": shape}).to_string();
        }
        let shapes: Vec<_> = (0..1 + random.below(3))
            .map(|i| {
                let high = random.below(6) as f64;
                polygon(random, (10.0 * i as f64, high))
            })
            .collect();
        serde_json::json!({"type": "MultiPolygon", "coordinates": shapes}).to_string()
    }

    /// Documents on whose validity the two differ.
    fn differing(documents: Vec<String>) -> Vec<String> {
        Spi::get_one_with_args(
            "SELECT COALESCE(array_agg(CASE WHEN theirs THEN 'valid: ' ELSE 'invalid: ' END || doc), '{}') \
             FROM (SELECT doc, \"Gis Engine\".ST_IsValid(\"Gis Engine\".ST_GeomFromGeoJSON(doc)) AS theirs, \
                          NOT EXISTS (SELECT FROM lake.geojson_validate(doc, 'strict') f \
                                      WHERE f.code IN ('V1', 'V2', 'V3', 'V4', 'R4')) AS ours \
                   FROM pg_catalog.unnest($1) AS doc) AS verdicts WHERE ours <> theirs",
            &[documents.into()],
        )
        .unwrap()
        .unwrap()
    }

    #[pg_test]
    fn strict_agrees_with_postgis() {
        if lacks("postgis") {
            return;
        }
        Spi::run("CREATE SCHEMA \"Gis Engine\"; CREATE EXTENSION postgis SCHEMA \"Gis Engine\"; SET client_min_messages = error")
            .unwrap();
        let mut random = Random(20_260);
        let documents: Vec<String> = (0..20_000).map(|_| document(&mut random)).collect();
        let valid: i64 = Spi::get_one_with_args(
            "SELECT count(*) FROM unnest($1) AS doc WHERE \"Gis Engine\".ST_IsValid(\"Gis Engine\".ST_GeomFromGeoJSON(doc))",
            &[documents.clone().into()],
        )
        .unwrap()
        .unwrap();
        assert!((1_000..19_000).contains(&valid), "{valid} of them are valid");
        let differing = differing(documents);
        assert!(
            differing.is_empty(),
            "{}: {:#?}",
            differing.len(),
            &differing[..differing.len().min(5)]
        );
    }
}
