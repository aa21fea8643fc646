//! Plain tables that are cut into chunks: nothing is lost, what belongs to them stays.

use super::helpers::{all, failure, run, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;

    /// A wide table with all that a table can have, 500 rows over 20 days.
    fn wide(name: &str) {
        run(&format!(
            r#"CREATE ROLE reader; CREATE ROLE clerk;
            CREATE TABLE devices (device int PRIMARY KEY); INSERT INTO devices SELECT generate_series(0, 9);
            CREATE TABLE {name} (
                id bigint GENERATED ALWAYS AS IDENTITY,
                n serial,
                dropped text,
                at timestamptz NOT NULL DEFAULT now(),
                device int NOT NULL REFERENCES devices,
                a float8, b float8, c float8 DEFAULT 7, note text COLLATE "C" CHECK (note <> 'bad'),
                twice float8 GENERATED ALWAYS AS (a * 2) STORED,
                CONSTRAINT "the key" PRIMARY KEY (device, at));
            ALTER TABLE {name} DROP COLUMN dropped;
            INSERT INTO {name} (at, device, a, b, note)
                SELECT '2026-01-01 00:00+00'::timestamptz + i * interval '1 hour', i % 10, i, NULL, 'n' || i
                FROM generate_series(0, 499) i;
            CREATE INDEX "by no""te" ON {name} (lower(note) text_pattern_ops) WHERE a > 10;
            CREATE UNIQUE INDEX un ON {name} (at, id);
            CREATE STATISTICS st ON device, a FROM {name};
            COMMENT ON TABLE {name} IS 'it''s wide'; COMMENT ON COLUMN {name}.a IS 'a {{}}';
            COMMENT ON INDEX un IS 'unique';
            GRANT SELECT ON {name} TO reader; GRANT UPDATE (note) ON {name} TO clerk WITH GRANT OPTION;
            ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;
            CREATE POLICY "own {{}}" ON {name} FOR SELECT TO reader USING (device < 5);
            CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.b := 42; RETURN NEW; END $$;
            CREATE TRIGGER stamped BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION stamp('{{}}');
            CREATE TRIGGER off BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION stamp();
            ALTER TABLE {name} DISABLE TRIGGER off;
            ALTER TABLE {name} REPLICA IDENTITY USING INDEX un"#
        ));
    }

    fn adopt(name: &str) {
        run(&format!(
            "SELECT lake.series_adopt('{name}', 'at', options => '{{\"chunk_interval\": \"7 days\"}}')"
        ));
    }

    /// All that the catalogs say of a table, apart from its rows.
    fn described(name: &str) -> Vec<String> {
        let of = format!("$t${name}$t$::regclass");
        [
            format!(
                "SELECT attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, \
                        attcollation, col_description(attrelid, attnum), pg_get_expr(adbin, adrelid) \
                 FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum \
                 WHERE attrelid = {of} AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
            ),
            format!(
                "SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint \
                 WHERE conrelid = {of} ORDER BY conname"
            ),
            format!(
                "SELECT replace(pg_get_indexdef(indexrelid), ' ONLY', ''), obj_description(indexrelid) \
                 FROM pg_index WHERE indrelid = {of} ORDER BY indexrelid::regclass::text"
            ),
            format!(
                "SELECT relreplident, (SELECT indexrelid::regclass FROM pg_index WHERE indrelid = c.oid AND indisreplident) \
                 FROM pg_class c WHERE oid = {of}"
            ),
            format!(
                "SELECT tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger \
                 WHERE tgrelid = {of} AND NOT tgisinternal ORDER BY tgname"
            ),
            format!(
                "SELECT polname, polcmd, polroles, pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = {of}"
            ),
            format!(
                "SELECT relrowsecurity, obj_description(oid), pg_get_userbyid(relowner), \
                        has_table_privilege('reader', oid, 'SELECT'), has_table_privilege('reader', oid, 'INSERT'), \
                        has_column_privilege('clerk', oid, 'note', 'UPDATE WITH GRANT OPTION'), \
                        has_column_privilege('clerk', oid, 'a', 'UPDATE') FROM pg_class WHERE oid = {of}"
            ),
            format!(
                "SELECT pg_get_serial_sequence($t${name}$t$, 'id'), pg_get_serial_sequence($t${name}$t$, 'n')"
            ),
            // Columns are counted anew where one was dropped.
            format!(
                "SELECT (SELECT array_agg(attname ORDER BY attname) FROM pg_attribute \
                         WHERE attrelid = stxrelid AND attnum = ANY (stxkeys)), stxkind \
                 FROM pg_statistic_ext WHERE stxrelid = {of}"
            ),
        ]
        .map(|sql| all(&sql))
        .into()
    }

    #[pg_test]
    fn a_wide_table_with_all_that_belongs_to_it() {
        let name = "\"Wi\"\"de' {}\"";
        wide(name);
        let rows =
            || all(&format!("SELECT count(*), sum(hashtextextended(w::text, 0)) FROM {name} w"));
        let (rows_before, before) = (rows(), described(name));
        run("ALTER DEFAULT PRIVILEGES GRANT INSERT ON TABLES TO reader");
        adopt(&name.replace('\'', "''"));
        assert_eq!(rows(), rows_before);
        for (now, then) in described(name).iter().zip(&before) {
            assert_eq!(now, then);
        }
        assert_eq!(
            all(
                "SELECT count(*), min(range_start) = '2025-12-29 00:00+00', max(range_end) = '2026-01-26 00:00+00' \
                 FROM lake.chunks WHERE state = 'closed'"
            ),
            "(4,t,t)"
        );
        // What replication goes by is that of each chunk, those for the time to come included.
        assert_eq!(
            all(&format!(
                "SELECT relreplident, count(*) > 5 AS many, count(*) = count(x.indexrelid) AS by_index, min(a.attname) AS first, max(a.attname) AS last
                 FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
                 LEFT JOIN pg_index x ON x.indrelid = c.oid AND x.indisreplident
                 LEFT JOIN LATERAL (SELECT string_agg(attname, ',' ORDER BY attnum) AS attname FROM pg_attribute WHERE attrelid = x.indexrelid) a ON true
                 WHERE inhparent = $t${name}$t$::regclass GROUP BY 1"
            )),
            "(i,t,t,\"at,id\",\"at,id\")"
        );
        // It goes on as it did: identity, serial, trigger, keys.
        run(&format!("INSERT INTO {name} (device) VALUES (3)"));
        assert_eq!(
            all(&format!("SELECT id, n, b, c FROM {name} WHERE id > 500")),
            "(501,501,42,7)"
        );
        assert_eq!(
            failure(&format!("INSERT INTO {name} (device, at) VALUES (0, '2026-01-01 00:00+00')"))
                .0,
            "23505"
        );
        assert_eq!(failure(&format!("INSERT INTO {name} (device) VALUES (11)")).0, "23503");
        assert_eq!(
            text("SELECT count(*) FROM pg_class WHERE relname LIKE 'lake\\_adopt%'").as_deref(),
            Some("0")
        );
    }

    #[pg_test]
    fn new_chunks_have_the_replica_identity_of_their_table() {
        run(
            "SELECT lake.series_create('s', '1 day', engine => 'native', options => '{\"max_past\": null}')",
        );
        for (n, (identity, letter)) in
            [("FULL", "f"), ("NOTHING", "n"), ("DEFAULT", "d"), ("USING INDEX s_pkey", "i")]
                .into_iter()
                .enumerate()
        {
            run(&format!(
                "ALTER TABLE s REPLICA IDENTITY {identity};
                 SELECT lake.series_ingest('s', ARRAY['2020-01-0{}Z'::timestamptz], ARRAY['m'], NULL, ARRAY[1.0])",
                n + 1
            ));
            assert_eq!(
                text("SELECT relreplident FROM pg_class JOIN pg_inherits ON inhrelid = oid WHERE inhparent = 's'::regclass ORDER BY oid DESC LIMIT 1")
                    .as_deref(),
                Some(letter),
                "{identity}"
            );
        }
        // Those that are there keep their own, as Postgres has it.
        run("ALTER TABLE s REPLICA IDENTITY FULL");
        assert_eq!(
            text("SELECT count(*) FILTER (WHERE relreplident = 'f') FROM pg_class JOIN pg_inherits ON inhrelid = oid WHERE inhparent = 's'::regclass")
                .as_deref(),
            Some("1")
        );
    }

    #[pg_test]
    fn an_empty_table_and_retention_after() {
        run("CREATE TABLE t (at timestamptz NOT NULL, v int)");
        adopt("t");
        run("INSERT INTO t VALUES (now(), 1)");
        run("CREATE TABLE u (at timestamptz NOT NULL, v int);
             INSERT INTO u SELECT now() - d * interval '1 day', d FROM generate_series(0, 30) d");
        adopt("u");
        run("SELECT lake.series_set_retention('u', '10 days')");
        run(
            "SELECT lake.run_job(job_id) FROM lake.jobs WHERE store = 'u'::regclass AND action = 'retention'",
        );
        assert_eq!(
            text("SELECT count(*) BETWEEN 11 AND 18 AND min(v) = 0 FROM u").as_deref(),
            Some("true")
        );
    }

    #[pg_test]
    fn what_cannot_be_carried_is_refused_before_anything_is_done() {
        run("CREATE TABLE keyed (id int PRIMARY KEY, at timestamptz NOT NULL);
             CREATE TABLE uniq (id int, at timestamptz NOT NULL); CREATE UNIQUE INDEX ON uniq (id);
             CREATE TABLE referred (id int, at timestamptz NOT NULL, PRIMARY KEY (id, at));
             CREATE TABLE refers (id int, at timestamptz, FOREIGN KEY (id, at) REFERENCES referred);
             CREATE TABLE viewed (at timestamptz NOT NULL); CREATE VIEW v AS SELECT * FROM viewed;
             CREATE TABLE parent (at timestamptz NOT NULL); CREATE TABLE child () INHERITS (parent);
             CREATE TEMP TABLE temporary (at timestamptz NOT NULL);
             CREATE UNLOGGED TABLE unlogged (at timestamptz NOT NULL);
             CREATE TABLE forced (at timestamptz NOT NULL); ALTER TABLE forced FORCE ROW LEVEL SECURITY;
             CREATE TABLE published (at timestamptz NOT NULL); CREATE PUBLICATION p FOR TABLE published;
             CREATE TABLE nulls (at timestamptz); INSERT INTO nulls VALUES (NULL);
             CREATE TABLE infinite (at timestamptz); INSERT INTO infinite VALUES ('infinity');
             CREATE TABLE many (at timestamptz);
             INSERT INTO many SELECT now() - i * interval '7 days' FROM generate_series(0, 1001) i;
             CREATE TABLE dated (at date NOT NULL)");
        for (table, state, part) in [
            ("keyed", "0A000", "keyed does not include at, as every key"),
            ("uniq", "0A000", "unique index uniq_id_idx"),
            ("referred", "0A000", "foreign key refers_id_at_fkey"),
            ("viewed", "0A000", "view v reads"),
            ("parent", "0A000", "inheritance"),
            ("child", "0A000", "inheritance"),
            ("temporary", "0A000", "temporary"),
            ("unlogged", "0A000", "unlogged"),
            ("forced", "0A000", "forces row level security"),
            ("published", "0A000", "publication p"),
            ("nulls", "23502", "1 rows of public.nulls have no at"),
            ("infinite", "22008", "1 rows of public.infinite have an infinite at"),
            ("many", "54000", "1002 chunks"),
            ("dated", "0A000", "of type date"),
        ] {
            let (found, message) = failure(&format!(
                "SELECT lake.series_adopt('{table}', 'at', options => '{{\"chunk_interval\": \"7 days\"}}')"
            ));
            assert_eq!(found, state, "{table}: {message}");
            assert!(message.contains(part), "{table}: {message}");
            assert_eq!(
                text(&format!("SELECT relkind FROM pg_class WHERE oid = '{table}'::regclass"))
                    .as_deref(),
                Some("r")
            );
        }
        assert_eq!(text("SELECT count(*) FROM lake.stores").as_deref(), Some("0"));
        run("CREATE ROLE mallory; GRANT ALL ON nulls TO mallory; SET ROLE mallory");
        let call = "SELECT lake.series_adopt('nulls', 'at', options => '{\"chunk_interval\": \"7 days\"}')";
        assert_eq!(failure(call).0, "42501");
        run("RESET ROLE");
    }
}
