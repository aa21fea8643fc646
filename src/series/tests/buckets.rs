//! `lake.bucket`, `lake.first`, `lake.last`.

use super::helpers::{all, failure, run, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn bucket_agrees_with_date_trunc_in_every_zone() {
        run("CREATE TABLE moments AS
             SELECT '2024-01-01'::timestamptz + i * interval '1 hour 7 minutes 13.5 s' AS ts
             FROM generate_series(0, 15000) i");
        for zone in [
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "America/Havana",
            "Asia/Beirut",
            "Asia/Kathmandu",
            "Australia/Lord_Howe",
        ] {
            for (width, unit) in [
                ("1 day", "day"),
                ("1 week", "week"),
                ("1 month", "month"),
                ("3 months", "quarter"),
                ("1 year", "year"),
            ] {
                let wrong = all(&format!(
                    "SELECT ts, lake.bucket('{width}', ts, '{zone}') b, date_trunc('{unit}', ts, '{zone}') d
                     FROM moments WHERE lake.bucket('{width}', ts, '{zone}') <> date_trunc('{unit}', ts, '{zone}') LIMIT 3"
                ));
                // Where a midnight comes twice, date_trunc takes the second and may lie after ts.
                let known = zone == "America/Havana" && width == "1 day";
                assert!(wrong.is_empty() || known, "{zone} {width}: {wrong}");
            }
        }
    }

    #[pg_test]
    fn buckets_begin_at_or_before_what_they_hold() {
        let wrong = all(
            "SELECT z, w, ts FROM unnest(ARRAY['Europe/Berlin', 'America/Havana', 'Australia/Lord_Howe']) z,
                    unnest(ARRAY['15 minutes', '45 minutes', '1 hour', '2 hours', '6 hours', '1 day', '1 month']::interval[]) w,
                    generate_series('2026-01-01'::timestamptz, '2026-12-31', '37 minutes') ts
             WHERE lake.bucket(w, ts, z) > ts OR lake.bucket(w, lake.bucket(w, ts, z), z) <> lake.bucket(w, ts, z)
                OR ts - lake.bucket(w, ts, z) >= CASE w WHEN '1 month' THEN '31 days' ELSE w END + interval '1 hour' LIMIT 3",
        );
        assert_eq!(wrong, "");
        let back = all(
            "SELECT z, w, ts FROM (
                 SELECT z, w, ts, b, lag(b) OVER (PARTITION BY z, w ORDER BY ts) AS before FROM (
                     SELECT z, w, ts, lake.bucket(w, ts, z) AS b
                     FROM unnest(ARRAY['Europe/Berlin', 'America/Havana', 'Australia/Lord_Howe']) z,
                          unnest(ARRAY['45 minutes', '70 minutes', '2 hours', '1 day']::interval[]) w,
                          generate_series('2026-03-01'::timestamptz, '2026-11-15', '13 minutes') ts) o) p
             WHERE b < before LIMIT 3",
        );
        assert_eq!(back, "");
    }

    #[pg_test]
    fn bucket_follows_the_session_zone_and_origin() {
        run("SET LOCAL TimeZone = 'Europe/Berlin'");
        assert_eq!(
            text("SELECT lake.bucket('1 day', '2026-03-29 12:00+00')").as_deref(),
            Some("2026-03-29 00:00:00+01")
        );
        assert_eq!(
            text(
                "SELECT lake.bucket('6 hours', '2026-03-01 12:00+00', 'UTC', '2026-01-01 01:00+00')"
            )
            .as_deref(),
            Some("2026-03-01 08:00:00+01")
        );
        assert_eq!(text("SELECT lake.bucket('1 day', 'infinity')").as_deref(), Some("infinity"));
        assert_eq!(text("SELECT lake.bucket('1 day', NULL)"), None);
        assert_eq!(failure("SELECT lake.bucket('1 month 1 day', now())").0, "22023");
        assert_eq!(failure("SELECT lake.bucket('1 day', now(), 'Mars')").0, "22023");
    }

    #[pg_test]
    fn first_and_last_of_any_type_in_parallel() {
        run("CREATE TABLE f AS SELECT i % 7 AS g, (i * 37) % 10007 AS k, 'v' || i AS t, i::numeric AS n,
                    i::float8 AS d, ARRAY[i] AS a, '2026-01-01'::timestamptz + ((i * 37) % 10007) * interval '1 s' AS ts
             FROM generate_series(1, 10000) i;
             ANALYZE f;
             SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0;
             SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL max_parallel_workers_per_gather = 2");
        let query = "SELECT g, lake.first(t, ts), lake.last(t, ts), lake.last(n, ts), lake.first(d, ts), lake.last(a, ts) FROM f GROUP BY g";
        let plan = Spi::connect(|client| {
            client
                .select(&format!("EXPLAIN {query}"), None, &[])
                .unwrap()
                .filter_map(|row| row.get::<String>(1).unwrap())
                .collect::<String>()
        });
        assert!(plan.contains("Partial"), "{plan}");
        assert_eq!(
            all(&format!("{query} ORDER BY g")),
            all("SELECT g, (SELECT t FROM f b WHERE b.g = a.g ORDER BY ts LIMIT 1),
                        (SELECT t FROM f b WHERE b.g = a.g ORDER BY ts DESC LIMIT 1),
                        (SELECT n FROM f b WHERE b.g = a.g ORDER BY ts DESC LIMIT 1),
                        (SELECT d FROM f b WHERE b.g = a.g ORDER BY ts LIMIT 1),
                        (SELECT f.a FROM f WHERE f.g = a.g ORDER BY ts DESC LIMIT 1)
                 FROM (SELECT DISTINCT g FROM f) a ORDER BY g")
        );
    }

    #[pg_test]
    fn nulls_of_first_and_last() {
        run("CREATE TABLE f(v text, ts timestamptz);
             INSERT INTO f VALUES ('no time', NULL), (NULL, '2026-01-03'), ('a', '2026-01-01'), ('b', '2026-01-02')");
        assert_eq!(
            all(
                "SELECT lake.first(v, ts), lake.last(v, ts), lake.last(v, ts) FILTER (WHERE v IS NOT NULL) FROM f"
            ),
            "(a,,b)"
        );
        assert_eq!(all("SELECT lake.first(v, ts) FROM f WHERE ts IS NULL"), "()");
    }
}
