\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA vector_ingest;
SET search_path = vector_ingest, public;
RESET client_min_messages;
SELECT lake.vector_create('docs', 2);

-- shapes
SELECT lake.vector_upsert_many('docs', '{a,b}'::text[], '{{{1,2}},{{3,4}}}'::real[]);
SELECT lake.vector_upsert_many('docs', '{a,b}'::text[], '{{1,2,3},{3,4,5}}'::real[]);
SELECT lake.vector_upsert_many('docs', '{a,b}'::text[], '{{1,2}}'::real[]);
SELECT lake.vector_upsert_many('docs', '{a,b}'::text[], '{1,2,3}'::real[]);
SELECT lake.vector_upsert_many('docs', '{{a,b},{c,d}}'::text[], '{1,2,3,4,5,6,7,8}'::real[]);
SELECT lake.vector_upsert_many('docs', '{}'::text[], '{}'::real[]);
SELECT lake.vector_upsert_many('docs', '{}'::text[], ''::bytea);
SELECT lake.vector_upsert_many('docs', '{a}'::text[], '\x0000803f'::bytea);
SELECT lake.vector_upsert_many('docs', '{a}'::text[], '\x0000803f0000'::bytea);
SELECT lake.vector_upsert_many('docs', '{a}'::text[], '\x0000803f0000c07f'::bytea);
SELECT lake.vector_upsert_many('docs', '{a}'::text[], '{1,2}'::real[], ARRAY['{}', '{}']::jsonb[]);

-- values
SELECT lake.vector_upsert_many('docs', '{a,b}'::text[], '{1,2,Infinity,1}'::real[]);
SELECT lake.vector_upsert_many('docs', '{a,b}'::text[], '{1,2,1e39,1}'::real[]);
SELECT lake.vector_upsert_many('docs', '[{"id": "a", "embedding": [1e39, 1]}]');
SELECT lake.vector_upsert_many('docs', '[{"id": "a", "embedding": ["NaN", 1]}]');
SELECT lake.vector_upsert_many('docs', '[{"id": "a", "embedding": []}]');
SELECT lake.vector_upsert_many('docs', '[{"id": {"a": 1}, "embedding": [1, 1]}]');
SELECT lake.vector_upsert_many('docs', '[{"id": "a", "embedding": [1, 1], "metadata": "x"}]');
SELECT lake.vector_upsert_many('docs', '[{"id": "a", "embedding": [1, 1], "content": ["x"]}]');
SELECT lake.vector_upsert_many('docs', '[null]');
SELECT lake.vector_upsert_many('docs', 'null');
SELECT lake.vector_upsert_many('docs', repeat('[', 10000) || repeat(']', 10000));
SELECT lake.vector_upsert_many('docs', '[{"id": "a", "embedding": ' || repeat('[', 10000) || repeat(']', 10000) || '}]');

-- what looks like SQL is data
SELECT lake.vector_upsert_many('docs', ARRAY['x''; DROP TABLE docs; --', '{"a"}', 'a,b', 'NULL', '\'],
    '{1,1, 1,2, 1,3, 1,4, 1,5}'::real[],
    ARRAY['{"k''\"; --": 1}', '{"$in": [1]}', '{"a.b": {"": 2}}', '{"NULL": null}', '{"\\": "\\"}']::jsonb[],
    ARRAY['''', '"', '{}', 'NULL', NULL]);
SELECT id, embedding, metadata, content FROM docs ORDER BY embedding, id COLLATE "C";
SELECT value, rows FROM lake.vector_facet('docs', 'k''"; --');
SELECT value, rows FROM lake.vector_facet('docs', '\$in');
SELECT lake.vector_index_metadata('docs', 'k''"; --');

-- deep metadata is data too
SELECT inserted FROM lake.vector_upsert_many('docs', '{deep}'::text[], '{1,1}'::real[],
    ARRAY[('{"d": ' || repeat('[', 3000) || repeat(']', 3000) || '}')::jsonb]);
SELECT length(metadata::text) FROM lake.vector_get('docs', '{deep}');

-- where nothing can be written
BEGIN READ ONLY;
SELECT lake.vector_upsert_many('docs', '{q}'::text[], '{1,1}'::real[]);
ROLLBACK;
BEGIN READ ONLY;
SELECT lake.vector_upsert_many('docs', '[7]', 'reject');
ROLLBACK;
BEGIN READ ONLY;
SELECT count(*) FROM lake.vector_scroll('docs');
SELECT lake.vector_begin_load('docs');
ROLLBACK;

-- a block that catches an error leaves no other transaction open
CREATE FUNCTION no_rights() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE insufficient_privilege; END $$;
CREATE TRIGGER no_rights BEFORE INSERT ON docs FOR EACH ROW WHEN (NEW.id = 'r7') EXECUTE FUNCTION no_rights();
DO $$
BEGIN
    PERFORM lake.vector_upsert_many('docs', (SELECT array_agg('r' || n) FROM generate_series(1, 300) n),
        (SELECT array_agg(n::real) FROM generate_series(1, 600) n), on_error => 'reject');
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'caught: %', (SELECT count(*) FROM docs WHERE id ~ '^r\d');
END $$;
SELECT count(*) FROM docs WHERE id ~ '^r\d';

SET client_min_messages = warning;
DROP SCHEMA vector_ingest CASCADE;
