-- Vector indexes: what is known of those built here, the view of all of them, the comments.

-- By name, since a dump loads the catalogue before there are indexes. Not dumped: a restored index was built anew.
CREATE TABLE _lake.vector_index (
    relid     pg_catalog.regclass    NOT NULL,
    index     pg_catalog.text        NOT NULL,
    kind      pg_catalog.text        NOT NULL,
    begun_at  pg_catalog.timestamptz NOT NULL,
    -- Null until the index was built and found good.
    built_at  pg_catalog.timestamptz,
    seconds   pg_catalog.float8,
    memory_kb pg_catalog.int4,
    -- Rows and pages of the table when it was built (rows: already while it is), and its counter of changes
    -- when that began.
    rows      pg_catalog.float8,
    pages     pg_catalog.int8,
    changes   pg_catalog.int8        NOT NULL,
    -- The share of the nearest rows among the candidates that the new index named.
    recall    pg_catalog.float8,
    PRIMARY KEY (relid, index)
);

-- Rows inserted, updated and deleted, as the statistics count them; they begin anew after a crash.
CREATE FUNCTION _lake.changes(relid pg_catalog.regclass) RETURNS pg_catalog.int8
    LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN pg_catalog.pg_stat_get_tuples_inserted(relid) OPERATOR(pg_catalog.+)
       pg_catalog.pg_stat_get_tuples_updated(relid) OPERATOR(pg_catalog.+)
       pg_catalog.pg_stat_get_tuples_deleted(relid);

CREATE VIEW lake.vector_indexes AS
SELECT s.relid AS store,
       i.indexrelid::pg_catalog.regclass AS index,
       am.amname::pg_catalog.text AS method,
       oc.opcname::pg_catalog.text AS opclass,
       i.indisvalid AND i.indisready AS valid,
       CASE
           WHEN p.phase IS NOT NULL THEN 'building'
           -- Part by part.
           WHEN t.relkind OPERATOR(pg_catalog.=) 'p' AND NOT i.indisvalid AND r.begun_at IS NOT NULL
                AND EXISTS (SELECT FROM _lake.job j WHERE j.relid::pg_catalog.oid OPERATOR(pg_catalog.=) s.relid::pg_catalog.oid
                                AND j.action OPERATOR(pg_catalog.=) 'build_index') THEN 'building'
           WHEN NOT (i.indisvalid AND i.indisready) THEN 'invalid'
           WHEN i.indpred IS NOT NULL AND r.built_at IS NULL THEN 'partial'
           ELSE 'ready'
       END AS state,
       p.phase,
       progress.percent_done,
       CASE WHEN progress.percent_done OPERATOR(pg_catalog.>) 0
            THEN run.started_at OPERATOR(pg_catalog.+)
                 ((pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) run.started_at)
                  OPERATOR(pg_catalog.*) (100.0 OPERATOR(pg_catalog./) progress.percent_done)::pg_catalog.float8)
       END AS estimated_end,
       CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'I'
            THEN (SELECT pg_catalog.sum(pg_catalog.pg_relation_size(part.relid))::pg_catalog.int8
                  FROM pg_catalog.pg_partition_tree(i.indexrelid::pg_catalog.regclass) part WHERE part.isleaf)
            ELSE pg_catalog.pg_relation_size(i.indexrelid)
       END AS bytes,
       r.built_at,
       CASE WHEN r.built_at IS NOT NULL THEN r.rows::pg_catalog.int8 END AS rows_at_build,
       CASE WHEN r.built_at IS NOT NULL
            THEN GREATEST(_lake.changes(s.relid) OPERATOR(pg_catalog.-) r.changes, 0::pg_catalog.int8)
       END AS rows_since_built,
       d.definition
FROM _lake.store s
JOIN pg_catalog.pg_index i ON i.indrelid OPERATOR(pg_catalog.=) s.relid::pg_catalog.oid
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
JOIN pg_catalog.pg_class t ON t.oid OPERATOR(pg_catalog.=) i.indrelid
JOIN pg_catalog.pg_am am ON am.oid OPERATOR(pg_catalog.=) c.relam
JOIN pg_catalog.pg_opclass oc ON oc.oid OPERATOR(pg_catalog.=) i.indclass[0]
LEFT JOIN pg_catalog.pg_stat_progress_create_index p
       ON p.index_relid OPERATOR(pg_catalog.=) i.indexrelid
      AND p.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
LEFT JOIN _lake.vector_index r
       ON r.relid::pg_catalog.oid OPERATOR(pg_catalog.=) s.relid::pg_catalog.oid
      AND r.index OPERATOR(pg_catalog.=) c.relname::pg_catalog.text
LEFT JOIN LATERAL (
    -- pgvector doesn't say how many there are; the table's estimate does.
    SELECT LEAST(pg_catalog.round(
               (100.0 OPERATOR(pg_catalog.*) p.tuples_done) OPERATOR(pg_catalog./)
               GREATEST(p.tuples_total, r.rows::pg_catalog.int8, t.reltuples::pg_catalog.int8, 1::pg_catalog.int8),
               1), 100.0) AS percent_done
) progress ON true
LEFT JOIN LATERAL (
    SELECT j.started_at FROM _lake.job_run j
    WHERE j.outcome OPERATOR(pg_catalog.=) 'running' AND j.pid OPERATOR(pg_catalog.=) p.pid
    ORDER BY j.run_id DESC LIMIT 1
) run ON true
-- None for an index that was dropped since the snapshot.
CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_indexdef(i.indexrelid) AS definition OFFSET 0) d
WHERE s.kind OPERATOR(pg_catalog.=) 'vector'
  AND d.definition IS NOT NULL
  AND am.amname OPERATOR(pg_catalog.=) ANY ('{hnsw,ivfflat,diskann,vchordrq,vchordg}'::pg_catalog.name[])
  AND pg_catalog.pg_has_role(t.relowner, 'USAGE');

COMMENT ON VIEW lake.vector_indexes IS 'Vector indexes of the vector stores whose owner you are: method, whether a search can use it, progress and estimated end of a build, size, rows when it was built and changed since. State "invalid" is what a failed CREATE INDEX CONCURRENTLY leaves behind';

COMMENT ON FUNCTION lake.vector_plan_index(regclass, text, text, integer, integer, integer) IS
    'The index that lake.vector_build_index would build, why, and what that takes: size, memory, time';
COMMENT ON FUNCTION lake.vector_build_index(regclass, text, text, integer, integer, integer, boolean, boolean) IS
    'Leaves the build of an index to the background worker, which blocks no writer, and returns the job. replace: the old one goes once the new one was checked; concurrently => false builds now, blocking writers';
COMMENT ON FUNCTION lake.vector_cancel_build(regclass) IS
    'Ends the build of an index of the store and removes what there is of it; false where there is none';
COMMENT ON FUNCTION lake.vector_set_index_policy(regclass, boolean, bigint, double precision, text, text) IS
    'When the store gets an index by itself: from min_rows rows on, or where an exact search takes longer than max_exact_ms; auto => false: never';
COMMENT ON FUNCTION _lake.changes(regclass) IS 'rows of a table inserted, updated and deleted, as the statistics count them';
