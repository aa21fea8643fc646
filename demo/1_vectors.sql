\set ECHO none
SET client_min_messages = warning;
\echo
\echo '=== 1. Vectors: 5,000 WordNet glosses with sentence embeddings (384 dimensions) ==='
\echo

CREATE TEMP TABLE gloss (n int, id text, category text, pos text, gloss text, embedding bytea);
\copy gloss FROM PROGRAM 'python3 scripts/lib/wordnet_rows.py'

\set ECHO queries
SELECT lake.vector_create('glosses', dimensions => 384);

\echo '-- Batches of 1,000: ids, packed float32 embeddings, metadata, texts.'
SELECT batch, result.*
FROM (
    SELECT n / 1000 AS batch,
           array_agg(id ORDER BY n) AS ids,
           string_agg(embedding, '' ORDER BY n) AS embeddings,
           array_agg(jsonb_build_object('category', category, 'pos', pos) ORDER BY n) AS metadatas,
           array_agg(gloss ORDER BY n) AS contents
    FROM gloss GROUP BY 1
) AS b, lake.vector_upsert_many('glosses', b.ids, b.embeddings, b.metadatas, b.contents) AS result
ORDER BY batch;

\echo '-- What is like lasagna?'
SELECT id, round(distance::numeric, 3) AS distance, metadata ->> 'category' AS category, left(content, 70) AS content
FROM lake.vector_search('glosses', (SELECT embedding::real[] FROM glosses WHERE id = 'lasagna'), k => 6);

\echo '-- And among animals and plants only? A filter never costs answers: k rows that exist are k rows returned.'
SELECT id, round(distance::numeric, 3) AS distance, metadata ->> 'category' AS category, left(content, 70) AS content
FROM lake.vector_search('glosses', (SELECT embedding::real[] FROM glosses WHERE id = 'lasagna'), k => 6,
                        filter => '{"category": {"$in": ["noun.animal", "noun.plant"]}}');

\echo '-- How many verbs of motion are there?'
SELECT lake.vector_count('glosses', '{"category": "verb.motion"}');

\echo '-- What isn''t right is refused, with the row and the reason. Here a second store takes the good row of three.'
SELECT lake.vector_create('notes', dimensions => 3);
SELECT * FROM lake.vector_upsert_many('notes',
    '[{"id": "a", "embedding": [1, 0, 0]}, {"id": "b", "embedding": [0, 0, 0]}, {"id": "c", "embedding": [1, 2]}]'::jsonb,
    on_error => 'reject');
SELECT ordinal, id, code, message FROM lake.rejects WHERE store = 'notes'::regclass ORDER BY ordinal;
