-- Vector stores: ids that aren't text, and the comments.

-- Calls with untyped parameters still mean the function with a text id, which Postgres prefers.
CREATE FUNCTION lake.vector_upsert(
    store     pg_catalog.regclass,
    id        pg_catalog.int8,
    embedding pg_catalog.float4[],
    metadata  pg_catalog.jsonb DEFAULT NULL,
    content   pg_catalog.text  DEFAULT NULL,
    mode      pg_catalog.text  DEFAULT 'upsert'
) RETURNS pg_catalog.text LANGUAGE sql VOLATILE
RETURN lake.vector_upsert(store, id::pg_catalog.text, embedding, metadata, content, mode);

CREATE FUNCTION lake.vector_upsert(
    store     pg_catalog.regclass,
    id        pg_catalog.uuid,
    embedding pg_catalog.float4[],
    metadata  pg_catalog.jsonb DEFAULT NULL,
    content   pg_catalog.text  DEFAULT NULL,
    mode      pg_catalog.text  DEFAULT 'upsert'
) RETURNS pg_catalog.text LANGUAGE sql VOLATILE
RETURN lake.vector_upsert(store, id::pg_catalog.text, embedding, metadata, content, mode);


COMMENT ON FUNCTION lake.vector_create(text, integer, text, text, text, text, jsonb) IS
    'Makes a table (id, embedding, metadata jsonb, content text) and registers it as a vector store. metric: cosine, l2, inner_product, l1; storage: vector, halfvec; id_type: text, bigint, uuid';
COMMENT ON FUNCTION lake.vector_adopt(regclass, text, text, text, text, text, integer) IS
    'Makes a vector store of an existing table. Column names that are not the defaults must exist; metadata_column, content_column null: none; metric null: that of its index, else cosine';
COMMENT ON FUNCTION lake.vector_upsert(regclass, text, real[], jsonb, text, text) IS
    'Writes one row as a whole and says what became of it: inserted, updated, unchanged. mode: upsert, insert_only, update_only';
COMMENT ON FUNCTION lake.vector_upsert(regclass, bigint, real[], jsonb, text, text) IS
    'lake.vector_upsert for stores with whole-number ids';
COMMENT ON FUNCTION lake.vector_upsert(regclass, uuid, real[], jsonb, text, text) IS
    'lake.vector_upsert for stores with uuid ids';
COMMENT ON FUNCTION lake.vector_upsert_many(regclass, text[], real[], jsonb[], text[], text, text) IS
    'Writes a batch; embeddings as real[] of n×d numbers, flat or in two dimensions. on_error: raise (nothing is written), reject (bad rows go to lake.rejects). The last row of an id wins; the others count as rejected';
COMMENT ON FUNCTION lake.vector_upsert_many(regclass, text[], bytea, jsonb[], text[], text, text) IS
    'Writes a batch; embeddings as packed little-endian 4-byte floats, row after row';
COMMENT ON FUNCTION lake.vector_upsert_many(regclass, jsonb, text, text) IS
    'Writes a batch of objects {"id", "embedding", "metadata", "content"}';
COMMENT ON FUNCTION lake.vector_upsert_many(regclass, text, text, text) IS
    'Writes a batch of objects, as JSON text: what calls with untyped parameters mean';
COMMENT ON FUNCTION lake.vector_get(regclass, text[], jsonb, boolean, bigint) IS
    'Rows by ids (in their order), by filter (by id), or by both';
COMMENT ON FUNCTION lake.vector_delete(regclass, text[], jsonb) IS
    'Deletes rows by ids, by filter, or by both, and returns how many';
COMMENT ON FUNCTION lake.vector_count(regclass, jsonb, text[]) IS
    'Counts rows, all or by filter and ids';
