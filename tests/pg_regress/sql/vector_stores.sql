\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA vector_stores;
SET search_path = vector_stores, public;
RESET client_min_messages;

-- right
SELECT lake.vector_create('docs', 3);
\d docs
SELECT lake.vector_create('halves', 4, 'l2', 'halfvec', 'bigint', options => '{"index": "hnsw"}');
\d halves
SELECT lake.vector_create('texts', dimensions => 2, metric => 'inner_product', id_type => 'uuid', text_config => 'english');
SELECT store, kind, engine, options FROM lake.stores WHERE store::text IN ('docs', 'halves', 'texts') ORDER BY store::text;
SELECT lake.vector_create('wide', 3000);

-- wrong
SELECT lake.vector_create('docs', 3);
SELECT lake.vector_create('bad', 0);
SELECT lake.vector_create('bad', 16001);
SELECT lake.vector_create('bad', NULL);
SELECT lake.vector_create(NULL, 3);
SELECT lake.vector_create('bad', 3, metric => 'euclid');
SELECT lake.vector_create('bad', 3, storage => 'bit');
SELECT lake.vector_create('bad', 3, id_type => 'serial');
SELECT lake.vector_create('bad', 3, text_config => 'klingon');
SELECT lake.vector_create('bad', 3, options => '{"indx": "hnsw"}');
SELECT lake.vector_create('bad', 5000, storage => 'halfvec', options => '{"index": "hnsw"}');
SELECT lake.vector_create('no_such_schema.bad', 3);
SELECT lake.vector_create('a.b.c', 3);

-- hostile names
CREATE SCHEMA "we""ird.Schema";
SELECT lake.vector_create('"we""ird.Schema"."ta ble;--"', 2);
SELECT lake.vector_upsert('"we""ird.Schema"."ta ble;--"', 'x'';--', '{1,0}', '{"k''": "v"}', 'c');
SELECT id, distance FROM lake.vector_search('"we""ird.Schema"."ta ble;--"', '{1,0}', filter => '{"k''": "v"}');
SELECT lake.vector_upsert('"we""ird.Schema"."ta ble;--"', 'y', '{1}');

-- adopt
CREATE TABLE plain (key bigint PRIMARY KEY, vec vector(2), tags jsonb, body text);
INSERT INTO plain VALUES (1, '[1,0]', '{"a": 1}', 'one'), (2, NULL, NULL, NULL);
CREATE INDEX ON plain USING hnsw (vec vector_l2_ops);
SELECT lake.vector_adopt('plain', metadata_column => 'tags', content_column => 'body');
SELECT options FROM lake.stores WHERE store = 'plain'::regclass;
SELECT id, distance, score, metadata, content FROM lake.vector_search('plain', '{0,0}');
SELECT lake.vector_adopt('plain');

CREATE TABLE nokey (id text, embedding vector(2));
SELECT lake.vector_adopt('nokey');
ALTER TABLE nokey ADD PRIMARY KEY (id);
SELECT lake.vector_adopt('nokey', metadata_column => 'meta');
SELECT lake.vector_adopt('nokey', embedding_column => 'vec');
SELECT lake.vector_adopt('nokey', metric => 'dot');
SELECT lake.vector_adopt('nokey');
SELECT lake.vector_upsert('nokey', 'a', '{1,0}');
SELECT lake.vector_upsert('nokey', 'a', '{1,0}', '{"x": 1}');
SELECT lake.vector_upsert('nokey', 'a', '{1,0}', content => 'text');
SELECT * FROM lake.vector_search('nokey', '{1,0}');
SELECT * FROM lake.vector_search('nokey', '{1,0}', filter => '{"x": 1}');

CREATE TABLE untyped (id text PRIMARY KEY, embedding vector);
SELECT lake.vector_adopt('untyped');
INSERT INTO untyped VALUES ('two', '[1,0]'), ('three', '[1,0,0]');
SELECT lake.vector_adopt('untyped');
SELECT lake.vector_adopt('untyped', dimensions => 2);
SELECT id FROM lake.vector_search('untyped', '{1,0}');
SELECT lake.vector_adopt('pg_stat_activity');

-- not a store, not there
CREATE TABLE nostore ();
SELECT lake.vector_upsert('nostore', 'a', '{1}');
SELECT lake.vector_count('no_such_table');
SELECT lake.vector_count(NULL);

-- indexes
SELECT store, index, method, opclass, valid, state FROM lake.vector_indexes WHERE store::text IN ('docs', 'halves', 'plain') ORDER BY 1, 2;

SET client_min_messages = warning;
SELECT count(lake.drop_store(store, keep_table => true)) FROM lake.stores
WHERE store::text ~ '^(docs|halves|texts|wide|plain|nokey|untyped|"we)';
DROP SCHEMA vector_stores, "we""ird.Schema" CASCADE;
