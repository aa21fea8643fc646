\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA vector_search;
SET search_path = vector_search, public;
RESET client_min_messages;
SELECT lake.vector_create('docs', 2);
SELECT * FROM lake.vector_upsert_many('docs', '[
    {"id": "a", "embedding": [1, 0],   "metadata": {"lang": "en", "year": 2019, "tags": ["x", "y"], "author": {"name": "Ada"}}, "content": "one"},
    {"id": "b", "embedding": [4, 3],   "metadata": {"lang": "en", "year": 2021, "tags": ["y"], "score": null}},
    {"id": "c", "embedding": [3, 4],   "metadata": {"lang": "de", "year": "2022", "tags": "x"}},
    {"id": "d", "embedding": [0, 1],   "metadata": {"lang": "fr", "year": 2023.5, "a.b": 1}},
    {"id": "e", "embedding": [-1, 0],  "metadata": {}}]');

SELECT * FROM lake.vector_search('docs', '{1,0}');
SELECT id, embedding FROM lake.vector_search('docs', '{1,0}', k => 2, with_embedding => true);
SELECT id, distance FROM lake.vector_search('docs', '{1,0}', max_distance => 0.5);
SELECT id FROM lake.vector_search('docs', '[1,0]'::vector, 1);

-- the filter language
CREATE FUNCTION ids(filter jsonb) RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(id, '' ORDER BY id) FROM lake.vector_search('docs', '{1,0}', filter => $1) $$;
SELECT f AS filter, ids(f) FROM unnest(ARRAY[
    '{}',
    '{"lang": "en"}',
    '{"lang": {"$eq": "en"}}',
    '{"lang": {"$ne": "en"}}',
    '{"lang": {"$in": ["de", "fr"]}}',
    '{"lang": {"$nin": ["de", "fr"]}}',
    '{"lang": {"$in": []}}',
    '{"year": {"$gte": 2021}}',
    '{"year": {"$gt": 2019, "$lt": 2022}}',
    '{"year": {"$gte": "2022"}}',
    '{"year": 2023.50}',
    '{"score": null}',
    '{"score": {"$ne": null}}',
    '{"score": {"$exists": true}}',
    '{"score": {"$exists": false}}',
    '{"tags": {"$contains": "x"}}',
    '{"tags": {"$contains": ["x", "y"]}}',
    '{"tags": ["y"]}',
    '{"author.name": "Ada"}',
    '{"author": {"name": "Ada"}}',
    '{"author": {"$contains": {"name": "Ada"}}}',
    '{"a.b": 1}',
    '{"a\\.b": 1}',
    '{"$or": [{"lang": "fr"}, {"year": {"$lt": 2020}}]}',
    '{"$and": [{"lang": "en"}, {"year": {"$gt": 2020}}]}',
    '{"$not": {"lang": "en"}}',
    '{"year": {"$not": {"$gte": 2021}}}',
    '{"lang": "en", "$or": [{"year": 2019}, {"year": 2020}]}'
]::jsonb[]) f;

SELECT ids('[]');
SELECT ids('{"year": {"$between": [1, 2]}}');
SELECT ids('{"$gt": 1}');
SELECT ids('{"year": {"$gt": null}}');
SELECT ids('{"lang": {"$in": "en"}}');
SELECT ids('{"$or": []}');
SELECT ids('{"$or": [{"a": 1}, {"b": {"$exists": "yes"}}]}');
SELECT ids('{"year": {"$gt": 1, "lt": 2}}');
SELECT ids('{"a..b": 1}');

-- paths: no index, small table, large table
SELECT path, reason FROM lake.vector_explain('docs', '{1,0}');
CREATE INDEX ON docs USING hnsw (embedding vector_cosine_ops);
SELECT path, exact_cutoff, index FROM lake.vector_explain('docs', '{1,0}');
SELECT path, reason, index, ef_search FROM lake.vector_explain('docs', '{1,0}', mode => 'approximate');
SELECT sql FROM lake.vector_explain('docs', '{1,0}', 3, '{"lang": "en"}', 'exact');
SET lake_stores.exact_cutoff = 1;
SELECT path, reason FROM lake.vector_explain('docs', '{1,0}', 3, '{"lang": "en"}');
SELECT path, reason FROM lake.vector_explain('docs', '{1,0}', 3, '{"lang": "fr"}');
SELECT id, distance FROM lake.vector_search('docs', '{1,0}', 3, '{"lang": "en"}');
RESET lake_stores.exact_cutoff;
SELECT m AS mode, (SELECT string_agg(id, '') FROM lake.vector_search('docs', '{1,0}', mode => m)) FROM unnest('{auto,exact,approximate}'::text[]) m;

-- wrong
SELECT * FROM lake.vector_search(NULL, '{1,0}');
SELECT * FROM lake.vector_search('docs', NULL);
SELECT * FROM lake.vector_search('docs', '{1,0,0}');
SELECT * FROM lake.vector_search('docs', '{1,NaN}');
SELECT * FROM lake.vector_search('docs', '{1,NULL}');
SELECT * FROM lake.vector_search('docs', '{0,0}');
SELECT * FROM lake.vector_search('docs', '{1,0}', 0);
SELECT * FROM lake.vector_search('docs', '{1,0}', 10001);
SELECT * FROM lake.vector_search('docs', '{1,0}', NULL);
SELECT * FROM lake.vector_search('docs', '{1,0}', mode => 'quick');
SELECT * FROM lake.vector_search('docs', '{1,0}', mode => NULL);
SELECT * FROM lake.vector_search('docs', '{1,0}', ef_search => 0);

SET client_min_messages = warning;
SELECT lake.drop_store('docs', keep_table => true);
DROP SCHEMA vector_search CASCADE;
