\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA vector_rows;
SET search_path = vector_rows, public;
RESET client_min_messages;
SELECT lake.vector_create('docs', 3);

-- one row
SELECT lake.vector_upsert('docs', 'a', '{1,0,0}', '{"lang": "en", "year": 2021}', 'first');
SELECT lake.vector_upsert('docs', 'a', '{1,0,0}', '{"lang": "en", "year": 2021}', 'first');
SELECT lake.vector_upsert('docs', 'a', '{1,0,0}', '{"lang": "en", "year": 2022}', 'first');
SELECT lake.vector_upsert('docs', 'b', '{0,1,0}', mode => 'update_only');
SELECT lake.vector_upsert('docs', 'b', '{0,1,0}', mode => 'insert_only');
SELECT lake.vector_upsert('docs', 'b', '{0,0,1}', mode => 'insert_only');
SELECT lake.vector_upsert('docs', 7, '[1,1,1]'::vector);

SELECT lake.vector_upsert(NULL, 'c', '{1,0,0}');
SELECT lake.vector_upsert('docs', NULL, '{1,0,0}');
SELECT lake.vector_upsert('docs', 'c', NULL);
SELECT lake.vector_upsert('docs', 'c', '{1,0}');
SELECT lake.vector_upsert('docs', 'c', '{{1,0,0}}');
SELECT lake.vector_upsert('docs', 'c', '{1,NULL,0}');
SELECT lake.vector_upsert('docs', 'c', '{1,NaN,0}');
SELECT lake.vector_upsert('docs', 'c', '{1,Infinity,0}');
SELECT lake.vector_upsert('docs', 'c', '{0,0,0}');
SELECT lake.vector_upsert('docs', 'c', '{1e30,0,0}');
SELECT lake.vector_upsert('docs', 'c', '{1,0,0}', '["not", "an", "object"]');
SELECT lake.vector_upsert('docs', 'c', '{1,0,0}', mode => 'merge');
SELECT lake.vector_upsert('docs', repeat('x', 2000), '{1,0,0}') \gset
\echo :SQLSTATE

-- batches
SELECT * FROM lake.vector_upsert_many('docs', ARRAY['a', 'c'], '{1,0,0, 0,1,1}'::real[]);
SELECT * FROM lake.vector_upsert_many('docs', ARRAY['a', 'c'], '{{1,0,0},{0,1,1}}'::real[], ARRAY['{"n": 1}', '{"n": 2}']::jsonb[], ARRAY['x', NULL]);
SELECT * FROM lake.vector_upsert_many('docs', ARRAY['d'], '\x0000803f0000004000004040'::bytea);
SELECT * FROM lake.vector_upsert_many('docs', '[{"id": "e", "embedding": [1,2,3], "metadata": {"lang": "de"}, "content": "fünf"}]');
SELECT * FROM lake.vector_get('docs', '{e,d,zzz,a}');
-- the last row of an id wins
SELECT * FROM lake.vector_upsert_many('docs', ARRAY['x', 'y', 'x'], '{1,1,1, 2,2,2, 3,3,3}'::real[]);
SELECT embedding FROM lake.vector_get('docs', '{x}');
-- one bad row stops the batch …
SELECT * FROM lake.vector_upsert_many('docs', ARRAY['f', 'g'], '{{1,1,1},{0,0,0}}'::real[]);
SELECT lake.vector_count('docs', ids => '{f,g}');
-- … or goes to the rejects
SELECT * FROM lake.vector_upsert_many('docs', ARRAY['f', 'g', NULL, 'f', 'h', 'i'],
    '{{1,1,1},{0,0,0},{1,1,1},{2,2,2},{1,NaN,1},{NULL,1,1}}'::real[], on_error => 'reject');
SELECT * FROM lake.vector_upsert_many('docs',
    '[{"id": "j", "embedding": [1,2]}, {"id": "k", "embeding": [1,2,3]}, {"id": "l", "embedding": [1,2,"3"]}, 5,
      {"id": "m", "embedding": [1,2,3], "content": 7}, {"id": "n", "embedding": [1,2,3], "content": "\u0000"},
      {"id": {}, "embedding": [1,2,3]}, {"id": "o", "embedding": [1e39,2,3]}, {"id": "p", "embedding": [1,2,3], "metadata": 1}]',
    'reject');
SELECT ordinal, id, code, message, pointer, payload FROM lake.rejects WHERE store = 'docs'::regclass ORDER BY batch, ordinal;
SELECT lake.vector_count('docs', ids => '{f,g,h,i,j,k,l,m,n,o,p}');
-- the form of the batch
SELECT * FROM lake.vector_upsert_many('docs', ARRAY['a', 'b'], '{1,2,3,4}'::real[]);
SELECT * FROM lake.vector_upsert_many('docs', ARRAY['a', 'b'], '{1,2,3,4,5}'::real[]);
SELECT * FROM lake.vector_upsert_many('docs', ARRAY['a', 'b'], '{{1,2,3}}'::real[]);
SELECT * FROM lake.vector_upsert_many('docs', ARRAY['a'], '{1,2,3}'::real[], metadatas => '{}');
SELECT * FROM lake.vector_upsert_many('docs', ARRAY['a'], '\x00'::bytea);
SELECT * FROM lake.vector_upsert_many('docs', '{a}', '{1,2,3}');
SELECT * FROM lake.vector_upsert_many('docs', '{"id": "a"}'::jsonb);
SELECT * FROM lake.vector_upsert_many('docs', 'not json');
SELECT * FROM lake.vector_upsert_many('docs', '[]', on_error => 'ignore');

-- get, delete, count
SELECT id FROM lake.vector_get('docs', filter => '{"lang": {"$exists": true}}', with_embedding => false);
SELECT id FROM lake.vector_get('docs', filter => '{}', max_rows => 3);
SELECT lake.vector_count('docs'), lake.vector_count('docs', '{"lang": "de"}'), lake.vector_count('docs', ids => '{a,b,zzz}');
SELECT lake.vector_delete('docs', '{a,zzz}'), lake.vector_delete('docs', filter => '{"lang": "de"}');
SELECT lake.vector_get('docs');
SELECT lake.vector_delete('docs');
SELECT lake.vector_get('docs', ARRAY['a', NULL]);
SELECT lake.vector_create('numbers', 1, 'l2', id_type => 'bigint');
SELECT lake.vector_upsert('numbers', 'seven', '{1}');
SELECT lake.vector_upsert('numbers', '9223372036854775808', '{1}');
SELECT lake.vector_get('numbers', '{1,seven}');
-- 07 and 7 are one id
SELECT * FROM lake.vector_upsert_many('numbers', '{7,07}'::text[], '{1,2}'::real[]);

SET client_min_messages = warning;
SELECT lake.purge_rejects('docs') > 0 AS purged;
SELECT count(lake.drop_store(s, keep_table => true)) FROM unnest('{docs,numbers}'::regclass[]) s;
DROP SCHEMA vector_rows CASCADE;
