//! `lake.gapfill`, `lake.locf` and `lake.interpolate` on any table, against plain SQL.

use super::helpers::{all, failure, run, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn every_bucket_of_the_range() {
        run("SET LOCAL TimeZone = 'Europe/Oslo'");
        // The hour that comes twice is there twice; the bucket of from_ts is the first.
        assert_eq!(
            all(
                "SELECT b FROM lake.gapfill('1 hour', '2026-10-24 23:30+00', '2026-10-25 02:00+00') b"
            ),
            r#"("2026-10-25 01:00:00+02") ("2026-10-25 02:00:00+02") ("2026-10-25 02:00:00+01")"#
        );
        assert_eq!(
            all("SELECT b FROM lake.gapfill('1 month', '2026-01-31', '2026-03-01', 'UTC') b"),
            r#"("2026-01-01 01:00:00+01") ("2026-02-01 01:00:00+01")"#
        );
        assert_eq!(
            all(
                "SELECT b FROM lake.gapfill('7 days', '2026-01-01', '2026-01-08', origin => '2026-01-02') b"
            ),
            r#"("2025-12-26 00:00:00+01") ("2026-01-02 00:00:00+01")"#
        );
        assert_eq!(all("SELECT b FROM lake.gapfill('1 day', '2026-01-02', '2026-01-01') b"), "");
    }

    #[pg_test]
    fn endless_ranges_are_made_as_they_are_read() {
        assert_eq!(
            text("SELECT count(*) FROM (SELECT lake.gapfill('1 microsecond', '2000-01-01', '2026-01-01') LIMIT 3) q").as_deref(),
            Some("3")
        );
        for (arguments, state) in [
            ("'0 s', '2026-01-01', '2026-01-02'", "22023"),
            ("'1 mon 1 day', '2026-01-01', '2026-01-02'", "22023"),
            ("'1 s', '-infinity', '2026-01-02'", "22023"),
            ("'1 s', '2026-01-01', 'infinity'", "22023"),
            ("'1 s', '2026-01-01', NULL", "22004"),
            ("'1 s', '2026-01-01', '2026-01-02', 'Nowhere/Here'", "22023"),
            ("'1 s', '2026-01-01', '2026-01-02', 'UTC', 'infinity'", "22023"),
        ] {
            assert_eq!(
                failure(&format!("SELECT lake.gapfill({arguments})")).0,
                state,
                "{arguments}"
            );
        }
    }

    #[pg_test]
    fn windows_equal_slow_sql() {
        run("SELECT setseed(0.25);
             CREATE TABLE g AS SELECT i / 100 AS p, '2026-01-01 00:00+00'::timestamptz + i * i * interval '1 s' AS ts,
                    CASE WHEN random() < 0.3 THEN (random() * 100)::int::float8 END AS v
             FROM generate_series(0, 499) i");
        for (direction, back) in [("", "<"), (" DESC", ">")] {
            let on = if back == "<" { ">" } else { "<" };
            assert_eq!(
                all(&format!(
                    "SELECT p, ts, lake.locf(v) OVER w, round((lake.interpolate(v, ts) OVER w)::numeric, 6)
                     FROM g WINDOW w AS (PARTITION BY p ORDER BY ts{direction}) ORDER BY 1, 2"
                )),
                all(&format!(
                    "SELECT a.p, a.ts, coalesce(a.v, b.v),
                            round(coalesce(a.v, b.v + (c.v - b.v) * extract(epoch FROM a.ts - b.ts)::float8
                                                     / extract(epoch FROM c.ts - b.ts)::float8)::numeric, 6)
                     FROM g a
                     LEFT JOIN LATERAL (SELECT v, ts FROM g b WHERE b.p = a.p AND b.ts {back} a.ts AND v IS NOT NULL
                                        ORDER BY ts {0} LIMIT 1) b ON true
                     LEFT JOIN LATERAL (SELECT v, ts FROM g c WHERE c.p = a.p AND c.ts {on} a.ts AND v IS NOT NULL
                                        ORDER BY ts {1} LIMIT 1) c ON true ORDER BY 1, 2",
                    if back == "<" { "DESC" } else { "" },
                    if back == "<" { "" } else { "DESC" },
                )),
                "{direction}"
            );
        }
    }

    #[pg_test]
    fn windows_of_odd_rows() {
        run("CREATE TABLE g (n int, ts timestamptz, v float8, t text);
             INSERT INTO g VALUES (1, '2026-01-01', NULL, NULL), (2, '2026-01-02', 1, 'a'), (3, NULL, 7, NULL),
                                  (4, '2026-01-03', NULL, NULL), (5, NULL, NULL, 'b'), (6, '2026-01-04', 5, NULL), (7, '2026-01-05', NULL, NULL)");
        // A value without a time is itself, and nobody's neighbour.
        assert_eq!(
            all(
                "SELECT lake.interpolate(v, ts) OVER (ORDER BY n), lake.locf(t) OVER (ORDER BY n) FROM g"
            ),
            "(,) (1,a) (7,a) (3,a) (,b) (5,b) (,b)"
        );
        assert_eq!(
            all(
                "SELECT lake.locf(v) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM g"
            ),
            "() (1) (7) (7) () (5) (5)"
        );
        assert_eq!(failure("SELECT lake.interpolate(v, ts) FROM g").0, "42809");
    }
}
