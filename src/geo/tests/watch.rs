//! Watches: after every statement what is inside is what comparing everything with everything finds, and
//! the events lead there.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::testing::lacks;
    use pgrx::prelude::*;

    fn run(sql: &str) {
        Spi::run(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    fn text(sql: &str) -> Option<String> {
        Spi::get_one::<String>(sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    fn state(sql: &str) -> String {
        run(
            "CREATE OR REPLACE FUNCTION pg_temp.state(sql text) RETURNS text LANGUAGE plpgsql AS $$ \
             BEGIN EXECUTE sql; RETURN 'fine'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$",
        );
        Spi::get_one_with_args::<String>("SELECT pg_temp.state($1)", &[sql.into()])
            .unwrap()
            .unwrap()
    }

    /// PostGIS where no search path leads, movers by number, fences by hostile names.
    fn stores() {
        run("CREATE SCHEMA \"Gis Engine\"; CREATE EXTENSION postgis SCHEMA \"Gis Engine\"; \
             CREATE SCHEMA \"O'Dd \"\"S\"\"\"; \
             SELECT lake.geo_create('movers', 'Point', id_type => 'bigint'); \
             SELECT lake.geo_create('\"O''Dd \"\"S\"\"\".\"Fen;ces\"')");
        run("CREATE FUNCTION at(lon float8, lat float8) RETURNS \"Gis Engine\".geometry \
             RETURN \"Gis Engine\".ST_SetSRID(\"Gis Engine\".ST_MakePoint(lon, lat), 4326); \
             CREATE FUNCTION box(w float8, s float8, size float8) RETURNS \"Gis Engine\".geometry \
             RETURN \"Gis Engine\".ST_MakeEnvelope(w, s, w + size, s + size, 4326)");
    }

    const FENCES: &str = "\"O'Dd \"\"S\"\"\".\"Fen;ces\"";

    fn watch(options: &str) {
        run(&format!(
            "SELECT lake.geo_watch('movers', '{}', 'happened'{options})",
            FENCES.replace('\'', "''")
        ));
    }

    /// What is inside and what comparing everything finds, or what the events lead to: none differs.
    fn assert_right(after: &str) {
        let wrong = text(&format!(
            "WITH brute AS (SELECT m.id AS place, f.id AS fence FROM movers m, {FENCES} f \
                            WHERE \"Gis Engine\".ST_Intersects(m.geom, f.geom)), \
                  replay AS (SELECT place, fence FROM happened WHERE kind <> 'dwell' GROUP BY place, fence \
                             HAVING sum(CASE kind WHEN 'enter' THEN 1 ELSE -1 END) = 1) \
             SELECT string_agg(d.what || d.place || d.fence, ' ') FROM ( \
                 SELECT 'missing ' AS what, * FROM (TABLE brute EXCEPT SELECT place, fence FROM happened_inside) a \
                 UNION ALL SELECT 'too many ', * FROM (SELECT place, fence FROM happened_inside EXCEPT TABLE brute) b \
                 UNION ALL SELECT 'not told ', * FROM (TABLE brute EXCEPT TABLE replay) c \
                 UNION ALL SELECT 'told wrongly ', * FROM (TABLE replay EXCEPT TABLE brute) e) d"
        ));
        assert_eq!(wrong, None, "after {after}");
        let twice = text(
            "SELECT string_agg(place || fence, ' ') FROM (SELECT place, fence, kind, \
                lag(kind) OVER (PARTITION BY place, fence ORDER BY event_id) AS before FROM happened \
                WHERE kind <> 'dwell') e WHERE kind = COALESCE(before, 'exit')",
        );
        assert_eq!(twice, None, "entered or left twice after {after}");
    }

    #[pg_test]
    fn entering_and_leaving_are_noted() {
        if lacks("postgis") {
            return;
        }
        stores();
        run(&format!(
            "INSERT INTO {FENCES} (id, geom) VALUES ('in;ner', box(1, 1, 1)), ('outer', box(0, 0, 10)), ('none', NULL)"
        ));
        run("INSERT INTO movers (id, geom) VALUES (1, at(5, 5)), (2, at(50, 50)), (3, NULL)");
        watch("");
        let events = || {
            text(
                "SELECT string_agg(kind || ' ' || place || ' ' || fence, ', ' ORDER BY event_id) FROM happened",
            )
        };
        assert_eq!(events(), None, "who is inside from the beginning hasn't entered");
        assert_eq!(text("SELECT place || fence FROM happened_inside").as_deref(), Some("1outer"));
        // On an edge is inside.
        run("UPDATE movers SET geom = at(1, 1.5) WHERE id = 1");
        run(
            "SELECT lake.geo_upsert('movers', '{\"type\":\"Feature\",\"id\":2,\"geometry\":{\"type\":\"Point\",\"coordinates\":[3,3]},\"properties\":{}}')",
        );
        run("UPDATE movers SET properties = '{\"new\": true}'");
        run("UPDATE movers SET id = 20 WHERE id = 2");
        run("DELETE FROM movers WHERE id = 1");
        assert_eq!(
            events().as_deref(),
            Some(
                "enter 1 in;ner, enter 2 outer, exit 2 outer, enter 20 outer, exit 1 in;ner, exit 1 outer"
            )
        );
        run("DELETE FROM happened");
        run(&format!("UPDATE {FENCES} SET geom = box(-5, -5, 5) WHERE id = 'outer'"));
        run(&format!("INSERT INTO {FENCES} (id, geom) VALUES ('new', box(2, 2, 2))"));
        run(&format!("DELETE FROM {FENCES} WHERE id = 'new'"));
        run(&format!("UPDATE {FENCES} SET geom = box(0, 0, 5) WHERE id = 'outer'"));
        run("TRUNCATE movers");
        assert_eq!(
            events().as_deref(),
            Some("exit 20 outer, enter 20 new, exit 20 new, enter 20 outer, exit 20 outer")
        );
        assert_eq!(
            text("SELECT count(*)::text FROM happened WHERE since > at").as_deref(),
            Some("0")
        );
    }

    #[pg_test]
    fn whatever_happens_what_is_inside_is_right() {
        if lacks("postgis") {
            return;
        }
        stores();
        let seed = text("SELECT (random() * 1000000)::int::text").unwrap();
        println!("seed {seed}");
        run(&format!("SELECT setseed({seed} / 1000000.0)"));
        watch("");
        for n in 0..150 {
            let sql = text(&format!(
                "SELECT CASE (random() * 13)::int \
                   WHEN 0 THEN format('DELETE FROM movers WHERE id %% 7 = %s', (random() * 7)::int) \
                   WHEN 1 THEN format('DELETE FROM {fences} WHERE id = %L', 'f' || (random() * 9)::int) \
                   WHEN 2 THEN format('UPDATE {fences} SET geom = box(random() * 20, random() * 20, 3) WHERE id < %L', 'f' || (random() * 9)::int) \
                   WHEN 3 THEN format('UPDATE movers SET id = id + (random() * 1e12)::bigint + 1000 WHERE id = %s', (random() * 60)::int) \
                   WHEN 4 THEN 'UPDATE movers SET geom = NULL WHERE id % 11 = 3' \
                   WHEN 5 THEN CASE WHEN random() < 0.2 THEN 'TRUNCATE movers' ELSE 'DELETE FROM {fences} WHERE false' END \
                   WHEN 6 THEN format('UPDATE {fences} SET id = id || md5(random()::text) WHERE id = %L', 'f' || (random() * 9)::int) \
                   WHEN 7 THEN format('INSERT INTO {fences} (id, geom) VALUES (%L, box(%s, %s, %s)) ON CONFLICT (id) DO UPDATE SET geom = excluded.geom', \
                        'f' || (random() * 9)::int, random() * 20, random() * 20, 1 + random() * 9) \
                   WHEN 8 THEN 'UPDATE movers SET geom = at(\"Gis Engine\".ST_X(geom) + random() * 4 - 2, \"Gis Engine\".ST_Y(geom)) WHERE geom IS NOT NULL' \
                   WHEN 9 THEN format('DO $$ BEGIN UPDATE movers SET geom = at(2, 2) WHERE id < 30; RAISE EXCEPTION %L; EXCEPTION WHEN raise_exception THEN NULL; END $$', 'undone') \
                   ELSE format('INSERT INTO movers (id, geom) SELECT i, at(random() * 30, random() * 30) FROM generate_series(%s, %1$s + 15) i \
                        ON CONFLICT (id) DO UPDATE SET geom = excluded.geom', (random() * 60)::int) END",
                fences = FENCES.replace('\'', "''")
            ))
            .unwrap();
            run(&sql);
            assert_right(&format!("seed {seed}, statement {n}: {sql}"));
        }
        let told = text("SELECT count(*)::text FROM happened").unwrap();
        assert!(told.parse::<i32>().unwrap() > 20, "only {told} events");
        // What triggers don't see is said, and found later.
        run("ALTER TABLE movers DISABLE TRIGGER USER");
        let warned = || {
            text(
                "SELECT string_agg(subject || ': ' || finding, '') FROM lake.health() WHERE finding LIKE '%the watch%'",
            )
        };
        assert_eq!(
            warned().as_deref(),
            Some(
                "public.happened: changes of public.movers go by the watch: of its four triggers lake_watch_… 0 fire"
            )
        );
        run("\
             INSERT INTO movers (id, geom) SELECT 5000 + i, at(i, i) FROM generate_series(0, 30) i; \
             DELETE FROM movers WHERE id < 20; ALTER TABLE movers ENABLE TRIGGER USER");
        run("SELECT lake.geo_refresh_watch('happened')");
        assert_eq!(warned(), None);
        assert_right("a refresh");
        assert_eq!(text("SELECT lake.geo_refresh_watch('happened')::text").as_deref(), Some("0"));
    }

    #[pg_test]
    fn staying_is_noted_by_the_job_or_at_the_exit() {
        if lacks("postgis") {
            return;
        }
        stores();
        run(&format!("INSERT INTO {FENCES} (id, geom) VALUES ('a', box(0, 0, 10))"));
        watch(", dwell => '10 minutes', keep => '1 hour'");
        assert_eq!(
            text("SELECT schedule::text FROM lake.jobs WHERE action = 'watch'").as_deref(),
            Some("00:01:00")
        );
        run("INSERT INTO movers (id, geom) VALUES (1, at(1, 1)), (2, at(2, 2)), (3, at(3, 3))");
        let job = "SELECT lake.run_job(job_id) FROM lake.jobs WHERE action = 'watch'";
        run(job);
        let dwells = || {
            text(
                "SELECT string_agg(place || ' ' || (at = since + interval '10 minutes'), ', ' ORDER BY event_id) \
                  FROM happened WHERE kind = 'dwell'",
            )
        };
        assert_eq!(dwells(), None);
        run("UPDATE happened_inside SET since = since - interval '11 minutes' WHERE place < 3");
        run("DELETE FROM movers WHERE id = 1");
        assert_eq!(dwells().as_deref(), Some("1 true"));
        run(job);
        run(job);
        assert_eq!(dwells().as_deref(), Some("1 true, 2 true"), "each once");
        run("DELETE FROM movers WHERE id = 2");
        assert_eq!(dwells().as_deref(), Some("1 true, 2 true"));
        run("UPDATE happened SET at = at - interval '2 hours' WHERE place = 1");
        run(job);
        assert_eq!(
            text("SELECT string_agg(kind || place, ' ' ORDER BY event_id) FROM happened")
                .as_deref(),
            Some("enter2 enter3 dwell2 exit2")
        );
    }

    #[pg_test]
    fn what_cannot_be_watched_is_refused() {
        if lacks("postgis") {
            return;
        }
        stores();
        let fences = FENCES.replace('\'', "''");
        run("CREATE TABLE plain (id int); \
             CREATE TABLE parted (id text PRIMARY KEY, geom \"Gis Engine\".geometry(Point, 4326)) PARTITION BY LIST (id); \
             SELECT lake.geo_adopt('parted', properties_column => NULL)");
        for (call, expected) in [
            (format!("lake.geo_watch(NULL, '{fences}')"), "22004"),
            ("lake.geo_watch('movers', NULL)".into(), "22004"),
            ("lake.geo_watch('movers', 'movers')".into(), "22023"),
            ("lake.geo_watch('movers', 'plain')".into(), "42809"),
            ("lake.geo_watch('movers', 'parted')".into(), "0A000"),
            (format!("lake.geo_watch('parted', '{fences}')"), "0A000"),
            (format!("lake.geo_watch('movers', '{fences}', dwell => '0')"), "22023"),
            (format!("lake.geo_watch('movers', '{fences}', keep => '-1 day')"), "22023"),
            (format!("lake.geo_watch('movers', '{fences}', notify => '')"), "22023"),
            (format!("lake.geo_watch('movers', '{fences}', notify => repeat('n', 64))"), "22023"),
            (format!("lake.geo_watch('movers', '{fences}', 'no.such.name')"), "42602"),
            (format!("lake.geo_watch('movers', '{fences}', 'movers')"), "42P07"),
            ("lake.geo_refresh_watch('movers')".into(), "42809"),
            ("lake.geo_unwatch('movers')".into(), "42809"),
            ("lake.geo_unwatch(NULL)".into(), "22004"),
            ("_lake.geo_watch_changed()".into(), "39P01"),
        ] {
            assert_eq!(state(&format!("SELECT {call}")), expected, "{call}");
        }
        watch("");
        let bow = "\"Gis Engine\".ST_GeomFromText('POLYGON((0 0, 2 2, 2 0, 0 2, 0 0))', 4326)";
        assert_eq!(
            state(&format!("INSERT INTO {FENCES} (id, geom) VALUES ('bow', {bow})")),
            "22023"
        );
        run("ALTER TABLE movers RENAME COLUMN id TO number");
        assert_eq!(state("INSERT INTO movers (number) VALUES (1)"), "42703");
        run("ALTER TABLE movers RENAME COLUMN number TO id; INSERT INTO movers (id) VALUES (1)");
    }

    #[pg_test]
    fn a_watch_goes_with_its_stores_and_leaves_nothing() {
        if lacks("postgis") {
            return;
        }
        stores();
        let triggers = || {
            text("SELECT count(*)::text FROM pg_trigger WHERE tgname LIKE 'lake_watch%'").unwrap()
        };
        let watches = || text("SELECT count(*)::text FROM lake.geo_watches").unwrap();
        watch(", dwell => '1 minute'");
        run(&format!("SELECT lake.geo_watch('movers', '{}')", FENCES.replace('\'', "''")));
        assert_eq!((triggers().as_str(), watches().as_str()), ("8", "2"));
        assert_eq!(
            text("SELECT count(*)::text FROM pg_class WHERE relname IN ('movers_Fen;ces_events', 'movers_Fen;ces_events_inside')").as_deref(),
            Some("2")
        );
        run("SELECT lake.geo_unwatch('happened', keep_events => true)");
        assert_eq!((triggers().as_str(), watches().as_str()), ("8", "1"));
        run("INSERT INTO movers (id, geom) VALUES (1, at(1, 1)); TABLE happened");
        run("SELECT lake.drop_store('movers')");
        assert_eq!((triggers().as_str(), watches().as_str()), ("0", "0"));
        assert_eq!(
            text("SELECT count(*)::text FROM lake.jobs WHERE action = 'watch'").as_deref(),
            Some("0")
        );
        // By plain DROP TABLE: what is left of the other store works.
        run("SELECT lake.geo_create('movers', 'Point'); DROP TABLE happened");
        watch(", dwell => '1 minute'");
        run(&format!("DROP TABLE {FENCES}"));
        assert_eq!(watches(), "0");
        run("INSERT INTO movers (id, geom) VALUES (1, at(1, 1)); TRUNCATE movers");
    }
}
