//! Tables as other libraries make them, adopted with nothing but their name.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use crate::vector::tests::{fault, run, value};
    use pgrx::prelude::*;

    fn columns(store: &str) -> String {
        value(&format!(
            "SELECT concat_ws(' ', options->>'id_column', options->>'embedding_column', \
                    coalesce(options->>'metadata_column', '-'), coalesce(options->>'content_column', '-'), \
                    options->>'metric') \
             FROM lake.stores WHERE store = '{store}'::regclass"
        ))
    }

    fn found(store: &str, filter: &str) -> String {
        value(&format!(
            "SELECT string_agg(id || ' ' || content || ' ' || metadata, ', ' ORDER BY distance) \
             FROM lake.vector_search('{store}', '{{1,0}}', filter => '{filter}')"
        ))
    }

    #[pg_test]
    fn vector_adopt_knows_langchains_table_of_all_collections() {
        run("CREATE EXTENSION vector;
             CREATE TABLE langchain_pg_collection (uuid uuid PRIMARY KEY, name varchar NOT NULL UNIQUE, cmetadata json);
             CREATE TABLE langchain_pg_embedding (
                 id varchar NOT NULL PRIMARY KEY,
                 collection_id uuid REFERENCES langchain_pg_collection (uuid) ON DELETE CASCADE,
                 embedding vector, document varchar, cmetadata jsonb);
             CREATE UNIQUE INDEX ix_langchain_pg_embedding_id ON langchain_pg_embedding (id);
             CREATE INDEX ix_cmetadata_gin ON langchain_pg_embedding USING gin (cmetadata jsonb_path_ops);
             INSERT INTO langchain_pg_collection VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'one');
             INSERT INTO langchain_pg_embedding VALUES
                 ('x', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '[1,0]', 'first', '{\"page\": 1}'),
                 ('y', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '[0,1]', 'second', '{\"page\": 2}');
             SELECT lake.vector_adopt('langchain_pg_embedding')");
        assert_eq!(columns("langchain_pg_embedding"), "id embedding cmetadata document cosine");
        assert_eq!(
            found("langchain_pg_embedding", r#"{"page": {"$gte": 2}}"#),
            "y second {\"page\": 2}"
        );
        let upsert = "SELECT lake.vector_upsert('langchain_pg_embedding', 'y', '{0,1}', '{\"page\": 3}', 'second')";
        assert_eq!(value::<String>(upsert), "updated");
        assert_eq!(
            value::<i64>("SELECT count(collection_id) FROM langchain_pg_embedding"),
            2,
            "what the store has no column for stays"
        );
    }

    #[pg_test]
    fn vector_adopt_knows_langchains_older_table() {
        run("CREATE EXTENSION vector;
             CREATE TABLE langchain_pg_embedding (
                 collection_id uuid, embedding vector(2), document varchar, cmetadata json,
                 custom_id varchar, uuid uuid NOT NULL PRIMARY KEY);
             SELECT lake.vector_adopt('langchain_pg_embedding')");
        assert_eq!(columns("langchain_pg_embedding"), "uuid embedding cmetadata document cosine");
    }

    #[pg_test]
    fn vector_adopt_knows_langchains_table_of_its_own() {
        run("CREATE EXTENSION vector; CREATE SCHEMA app;
             CREATE TABLE app.\"My Docs\" (
                 langchain_id uuid PRIMARY KEY, content text NOT NULL, embedding vector(2) NOT NULL,
                 author text, langchain_metadata json);
             INSERT INTO app.\"My Docs\" VALUES
                 ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'text', '[1,0]', 'Ada', '{\"b\": 1,   \"a\": [1, 2]}');
             SELECT lake.vector_adopt('app.\"My Docs\"')");
        let store = "app.\"My Docs\"";
        assert_eq!(columns(store), "langchain_id embedding langchain_metadata content cosine");
        let row = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 text {\"a\": [1, 2], \"b\": 1}";
        assert_eq!(found(store, r#"{"a": {"$contains": 2}, "b": {"$lt": 2}}"#), row);
        // Equal as jsonb, so nothing is written, and the text stays as it was.
        let upsert = |metadata: &str| {
            value::<String>(&format!(
                "SELECT lake.vector_upsert('{store}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{{1,0}}', '{metadata}', 'text')"
            ))
        };
        assert_eq!(upsert(r#"{"a": [1, 2], "b": 1.0}"#), "unchanged");
        assert_eq!(upsert(r#"{"a": [2, 1], "b": 1}"#), "updated");
        assert_eq!(
            value::<i64>(&format!(
                "SELECT lake.vector_delete('{store}', filter => '{{\"b\": 1}}')"
            )),
            1
        );
    }

    #[pg_test]
    fn vector_adopt_knows_llamaindexs_table() {
        run("CREATE EXTENSION vector;
             CREATE TABLE data_docs (
                 id bigserial PRIMARY KEY, text varchar NOT NULL, metadata_ json, node_id varchar,
                 embedding vector(2),
                 text_search_tsv tsvector GENERATED ALWAYS AS (to_tsvector('english', text)) STORED);
             CREATE INDEX data_docs_idx_1 ON data_docs ((metadata_ ->> 'ref_doc_id'));
             INSERT INTO data_docs (text, metadata_, node_id, embedding)
                 VALUES ('one', '{\"year\": 2024}', 'n1', '[1,0]'), ('two', NULL, 'n2', '[0,1]');
             SELECT lake.vector_adopt('data_docs')");
        assert_eq!(columns("data_docs"), "id embedding metadata_ text cosine");
        assert_eq!(found("data_docs", r#"{"year": 2024}"#), "1 one {\"year\": 2024}");
        assert_eq!(
            value::<i64>(
                "SELECT lake.vector_count('data_docs', '{\"year\": {\"$exists\": false}}')"
            ),
            1
        );
        let counts: String = value(
            "SELECT lake.vector_upsert_many('data_docs', '{2,7}'::text[], '{0,1,1,1}'::real[], contents => '{two,seven}')::text",
        );
        assert_eq!(counts, "(1,1,0,0)");
    }

    #[pg_test]
    fn vector_adopt_knows_vecs_tables() {
        run("CREATE EXTENSION vector; CREATE SCHEMA vecs;
             CREATE TABLE vecs.docs (id varchar NOT NULL PRIMARY KEY, vec vector(2) NOT NULL,
                                     metadata jsonb NOT NULL DEFAULT '{}');
             CREATE INDEX ix_vector_cosine_ops_hnsw_m16_efc64_abcd ON vecs.docs
                 USING hnsw (vec vector_ip_ops) WITH (m = 16, ef_construction = 64);
             SELECT lake.vector_adopt('vecs.docs');
             SELECT lake.vector_upsert('vecs.docs', 'a', '{1,0}', '{\"k\": 1}')");
        assert_eq!(columns("vecs.docs"), "id vec metadata - inner_product");
    }

    #[pg_test]
    fn vector_adopt_takes_hand_made_tables_or_says_why_not() {
        run("CREATE EXTENSION vector;
             CREATE TABLE slugs (slug text NOT NULL, v halfvec(2), metadata json, made timestamptz NOT NULL DEFAULT now(),
                                 owner int NOT NULL);
             CREATE UNIQUE INDEX ON slugs (slug);
             CREATE TABLE pair (a int, b text, embedding vector(2), PRIMARY KEY (a, b));
             CREATE TABLE keyless (embedding vector(2));
             CREATE TABLE two (a int UNIQUE, b int UNIQUE, embedding vector(2));
             CREATE TABLE part (a int, embedding vector(2)); CREATE UNIQUE INDEX ON part (a) WHERE a > 0;
             CREATE TABLE later (id int PRIMARY KEY DEFERRABLE, embedding vector(2));
             CREATE TABLE always (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, embedding vector(2));
             SELECT lake.vector_adopt('slugs'); SELECT lake.vector_adopt('always')");
        assert_eq!(columns("slugs"), "slug v metadata - cosine");
        // The notice at adoption said so.
        assert_eq!(fault("SELECT lake.vector_upsert('slugs', 'a', '{1,0}')").0, "23502");
        run("INSERT INTO slugs (slug, owner) VALUES ('a', 1)");
        assert_eq!(
            value::<String>(
                "SELECT lake.vector_upsert('slugs', 'a', '{1,0}', mode => 'update_only')"
            ),
            "updated"
        );
        assert_eq!(fault("SELECT lake.vector_upsert('always', 1, '{1,0}')").0, "428C9");
        let neither = |table| {
            format!("public.{table} has neither a column \"id\" nor a primary key of one column")
        };
        for (table, code, message) in [
            ("pair", "42703", neither("pair")),
            ("keyless", "42703", neither("keyless")),
            ("two", "42703", neither("two")),
            ("part", "42703", neither("part")),
            ("later", "42P10", "ids in public.later.id are not known to be unique".into()),
        ] {
            assert_eq!(
                fault(&format!("SELECT lake.vector_adopt('{table}')")),
                (code.into(), message)
            );
        }
        run("SELECT lake.vector_adopt('two', 'b')");
        assert_eq!(columns("two"), "b embedding - - cosine");
    }
}
