-- Compressed chunks of series stores: which companion holds the batches of which chunk, and the access
-- method that reads them.

-- Of this server's files, so not dumped: a dump has the rows, which compress again. A row counts as long
-- as the chunk has the file that it names; without batches it says that the chunk was made plain.
CREATE TABLE _lake.series_compressed (
    chunk        pg_catalog.oid  PRIMARY KEY,
    storage      pg_catalog.oid  NOT NULL,
    batches      pg_catalog.oid,
    rows         pg_catalog.int8 NOT NULL,
    -- What the compressed rows took before, with indexes and TOAST.
    bytes_before pg_catalog.int8 NOT NULL
);
CREATE SEQUENCE _lake.series_batches_seq;

CREATE ACCESS METHOD lake_chunk TYPE TABLE HANDLER _lake.chunk_handler;

COMMENT ON ACCESS METHOD lake_chunk IS 'heap, and rows compressed by lake.series_compress_chunk beside it';
COMMENT ON FUNCTION lake.series_compress_chunk(pg_catalog.regclass) IS 'compress the rows of a chunk, those that came since it was compressed as well; how many, and the bytes they took and take';
COMMENT ON FUNCTION lake.series_decompress_chunk(pg_catalog.regclass) IS 'make the compressed rows of a chunk plain ones again; how many there were';
COMMENT ON FUNCTION lake.series_set_compression(pg_catalog.regclass, pg_catalog.interval, pg_catalog.text[], pg_catalog.text[]) IS 'compress chunks in the background so long after their end, with rows in the order of these columns; null ends it';
COMMENT ON FUNCTION lake.series_estimate_compression(pg_catalog.regclass) IS 'what compression would come to: one chunk compressed on trial, and what that says of all chunks that are plain';
