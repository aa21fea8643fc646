-- Searches: what the planner is told of their size, and the comments.
ALTER FUNCTION lake.vector_search(
    pg_catalog.regclass, pg_catalog.float4[], pg_catalog.int4, pg_catalog.jsonb, pg_catalog.float8,
    pg_catalog.text, pg_catalog.int4, pg_catalog.bool, pg_catalog.float8, pg_catalog.text, pg_catalog.int4) ROWS 10;
ALTER FUNCTION lake.vector_recommend(
    pg_catalog.regclass, pg_catalog.text[], pg_catalog.text[], pg_catalog.int4, pg_catalog.jsonb) ROWS 10;
ALTER FUNCTION lake.vector_hybrid_search(
    pg_catalog.regclass, pg_catalog.float4[], pg_catalog.text, pg_catalog.int4, pg_catalog.float8,
    pg_catalog.float8, pg_catalog.int4, pg_catalog.jsonb) ROWS 10;

COMMENT ON FUNCTION lake.vector_search(regclass, real[], integer, jsonb, double precision, text, integer, boolean, double precision, text, integer) IS
    'The k rows nearest to the query that satisfy the filter, nearest first. mode auto chooses exact or approximate search and never returns fewer rows than there are; score: larger is nearer; diversity 0 to 1: prefer rows unlike each other; group_by, group_size: at most so many rows with the same value of that metadata field';
COMMENT ON FUNCTION lake.vector_explain(regclass, real[], integer, jsonb, text, integer) IS
    'How lake.vector_search would answer: the path, why, the rows that match as far as was looked, and the SQL';
COMMENT ON FUNCTION lake.vector_calibrate(regclass) IS
    'Measures what exact and approximate search of a store cost on this machine, in microseconds a row and a visit, and keeps it for the choice between them';
COMMENT ON FUNCTION lake.vector_search_many(regclass, real[], integer, jsonb, double precision, text, integer) IS
    'lake.vector_search for many queries in one call: real[] of n×d numbers, flat or in two dimensions; ordinal says which query a row answers, from 1';
COMMENT ON FUNCTION lake.vector_search_many(regclass, bytea, integer, jsonb, double precision, text, integer) IS
    'lake.vector_search for many queries in one call: packed little-endian 4-byte floats, query after query';
COMMENT ON FUNCTION lake.vector_recommend(regclass, text[], text[], integer, jsonb) IS
    'Rows like those with the positive ids and unlike those with the negative ids, which are left out themselves';
COMMENT ON FUNCTION lake.vector_hybrid_search(regclass, real[], text, integer, double precision, double precision, integer, jsonb) IS
    'Nearest vectors and full text in one ranking (reciprocal rank fusion): score is the sum of weight / (rrf_k + place) over both';
