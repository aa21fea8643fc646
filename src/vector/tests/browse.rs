//! Scroll and facet.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use crate::vector::tests::{fault, run, value};
    use pgrx::prelude::*;

    #[pg_test]
    fn vector_scroll_meets_every_row_once_in_the_order_of_the_ids() {
        run("CREATE EXTENSION vector");
        for (id_type, id) in
            [("bigint", "n::text"), ("text", "'k' || n"), ("uuid", "md5(n::text)::uuid::text")]
        {
            let store = format!("s_{id_type}");
            run(&format!(
                "SELECT lake.vector_create('{store}', 1, id_type => '{id_type}');
                 SELECT lake.vector_upsert('{store}', {id}, ARRAY[n], jsonb_build_object('odd', n % 2 = 1)) \
                 FROM generate_series(1, 25) n"
            ));
            for (filter, rows) in [("{}", 25), (r#"{"odd": true}"#, 13)] {
                let (mut after, mut seen) = ("NULL".to_string(), vec![]);
                loop {
                    let page: Vec<String> = value(&format!(
                        "SELECT coalesce(array_agg(id), '{{}}') FROM lake.vector_scroll('{store}', {after}, 4, '{filter}')"
                    ));
                    let Some(last) = page.last() else { break };
                    after = format!("'{last}'");
                    seen.extend(page);
                }
                let all: Vec<String> = value(&format!(
                    "SELECT array_agg(id::text ORDER BY id) FROM {store} WHERE metadata @> '{filter}'"
                ));
                assert_eq!(seen, all);
                assert_eq!(seen.len(), rows);
            }
        }
        run("SET enable_seqscan = off");
        assert_eq!(value::<i64>("SELECT count(embedding) FROM lake.vector_scroll('s_bigint')"), 0);
        assert_eq!(
            value::<i64>(
                "SELECT count(embedding) FROM lake.vector_scroll('s_bigint', '20', with_embedding => true)"
            ),
            5
        );
        for (call, code) in [
            ("'s_bigint', 'x'", "22P02"),
            ("'s_bigint', max_rows => 0", "22023"),
            ("'s_bigint', max_rows => NULL", "22004"),
            ("NULL", "22004"),
            ("'s_bigint', filter => '[]'", "22023"),
        ] {
            assert_eq!(
                fault(&format!("SELECT * FROM lake.vector_scroll({call})")).0,
                code,
                "{call}"
            );
        }
    }

    #[pg_test]
    fn vector_facet_counts_rows_by_value() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 1);
             INSERT INTO docs (id, embedding, metadata) VALUES
                 ('a', '[1]', '{\"tag\": [\"x\", \"y\", \"x\"], \"n\": {\"v\": 1}, \"a.b\": 1}'),
                 ('b', '[1]', '{\"tag\": \"x\", \"n\": {\"v\": 1.0}}'), ('c', '[1]', '{\"tag\": null}'),
                 ('d', '[1]', '{\"tag\": [], \"n\": [{\"v\": 1}]}'), ('e', '[1]', '{\"tag\": [[\"x\"], {\"o\": 1}]}'), ('f', '[1]', '{}')");
        let facet = |args: &str| {
            value::<String>(&format!(
                "SELECT coalesce(string_agg(value::text || ' ' || rows, ', '), '') FROM lake.vector_facet('docs', {args})"
            ))
        };
        assert_eq!(facet("'tag'"), "\"x\" 2, null 1, \"y\" 1, [\"x\"] 1, {\"o\": 1} 1");
        assert_eq!(facet("'tag', max_values => 1"), "\"x\" 2");
        assert_eq!(facet("'tag', '{\"n\": {\"$exists\": true}}'"), "\"x\" 2, \"y\" 1");
        assert_eq!(facet("'n.v'"), "1 2");
        assert_eq!(facet("'a\\.b'"), "1 1");
        assert_eq!(facet("'it''s \"odd\"; --'"), "");
        for (args, code) in [
            ("NULL", "22004"),
            ("''", "22023"),
            ("'$in'", "22023"),
            ("'a..b'", "22023"),
            ("'tag', max_values => -1", "22023"),
        ] {
            assert_eq!(
                fault(&format!("SELECT * FROM lake.vector_facet('docs', {args})")).0,
                code,
                "{args}"
            );
        }
        run(
            "CREATE TABLE bare (id int PRIMARY KEY, embedding vector(1)); SELECT lake.vector_adopt('bare')",
        );
        assert_eq!(fault("SELECT * FROM lake.vector_facet('bare', 'k')").0, "42703");
    }
}
