-- Views over catalogue and system catalogs that serve all stores, and what \d and \df say of them.
--
-- Views run with the rights of the extension's owner. Those that show what only owners may see filter
-- by membership in the owner's role, and are security barriers so that nobody's function sees a row
-- before the filter did.

CREATE VIEW lake.engines AS
SELECT engine, installed_version, available_version, engine_schema, edition, needed_by, known_faults
FROM _lake.engines();

CREATE VIEW lake.stores AS
SELECT s.relid AS store,
       s.kind,
       s.engine,
       pg_catalog.pg_get_userbyid(c.relowner) AS owner,
       size.rows AS estimated_rows,
       size.bytes,
       s.companion,
       s.options,
       s.created_at
FROM _lake.store s
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) s.relid::pg_catalog.oid
CROSS JOIN LATERAL (
    -- The table with its partitions or chunks; the companion's bytes count, its rows don't.
    WITH RECURSIVE tree (oid, counts) AS (
        SELECT s.relid::pg_catalog.oid, true
        UNION ALL
        SELECT s.companion::pg_catalog.oid, false WHERE s.companion IS NOT NULL
        UNION ALL
        SELECT i.inhrelid, t.counts
        FROM pg_catalog.pg_inherits i JOIN tree t ON i.inhparent OPERATOR(pg_catalog.=) t.oid
    )
    -- Null where nothing was ever analysed.
    SELECT pg_catalog.sum(p.reltuples) FILTER (
               WHERE t.counts AND p.relkind OPERATOR(pg_catalog.<>) 'p'
                 AND p.reltuples OPERATOR(pg_catalog.>=) 0::pg_catalog.float4)::pg_catalog.int8 AS rows,
           pg_catalog.sum(pg_catalog.pg_total_relation_size(p.oid::pg_catalog.regclass))::pg_catalog.int8 AS bytes
    FROM tree t JOIN pg_catalog.pg_class p ON p.oid OPERATOR(pg_catalog.=) t.oid
) size;

CREATE VIEW lake.rejects WITH (security_barrier = true) AS
SELECT r.reject_id, r.relid AS store, r.kind, r.batch, r.ordinal, r.row_id AS id, r.code, r.message,
       r.pointer, r.payload, r.rejected_at, r.rejected_by
FROM _lake.reject r
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.relid::pg_catalog.oid
WHERE pg_catalog.pg_has_role(c.relowner, 'USAGE');

CREATE VIEW lake.jobs AS
SELECT j.job_id,
       j.relid AS store,
       j.kind,
       j.action,
       j.schedule,
       CASE
           WHEN last.outcome OPERATOR(pg_catalog.=) 'running' THEN 'running'
           WHEN j.paused THEN 'paused'
           WHEN j.failures OPERATOR(pg_catalog.>) 0 THEN 'failing'
           WHEN j.next_run OPERATOR(pg_catalog.<=) pg_catalog.now() THEN 'due'
           ELSE 'waiting'
       END AS state,
       CASE WHEN NOT j.paused THEN j.next_run END AS next_run,
       j.failures,
       last.started_at AS last_run,
       last.outcome AS last_outcome,
       pg_catalog.pg_get_userbyid(c.relowner) AS owner,
       j.config
FROM _lake.job j
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) j.relid::pg_catalog.oid
LEFT JOIN LATERAL (
    SELECT r.started_at, r.outcome FROM _lake.job_run r
    WHERE r.job_id OPERATOR(pg_catalog.=) j.job_id
    ORDER BY r.run_id DESC LIMIT 1
) last ON true;

CREATE VIEW lake.job_runs WITH (security_barrier = true) AS
SELECT r.run_id, r.job_id, r.relid AS store, r.action, r.pid, r.started_at, r.finished_at,
       r.finished_at OPERATOR(pg_catalog.-) r.started_at AS duration,
       r.outcome, r.sqlstate, r.message, r.steps, r.rows, r.bytes_before, r.bytes_after, r.lock_wait,
       r.detail
FROM _lake.job_run r
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.relid::pg_catalog.oid
WHERE pg_catalog.pg_has_role(c.relowner, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE');

CREATE VIEW lake.worker_status AS
SELECT w.preloaded, w.state, w.launcher_pid, w.visit_pid, w.builder_pid, w.last_visit, w.naptime, w.jobs_enabled,
       (SELECT pg_catalog.count(*) FROM _lake.job j
        WHERE NOT j.paused AND j.next_run OPERATOR(pg_catalog.<=) pg_catalog.now()) AS jobs_due,
       (SELECT pg_catalog.count(*) FROM _lake.job_run r
        WHERE r.outcome OPERATOR(pg_catalog.=) 'running') AS jobs_running
FROM _lake.worker_status() w;

COMMENT ON VIEW lake.engines IS 'the extensions below the stores: installed and available version, schema, edition, known faults of the installed version';
COMMENT ON VIEW lake.stores IS 'every store: table, kind, engine, owner, estimated rows (null before the first ANALYZE), bytes with partitions, chunks, indexes and companion table, options';
COMMENT ON VIEW lake.rejects IS 'rows that were refused, each with reason, pointer into the row and payload; shows those of stores that you own';
COMMENT ON VIEW lake.jobs IS 'what is done in the background, how often, when next, and its state: running, paused, failing, due or waiting';
COMMENT ON VIEW lake.job_runs IS 'what was done in the background: start, end, outcome (running, success, failure, crash), SQLSTATE, steps, rows, bytes, time spent waiting for locks; shows stores that you own, all to pg_monitor';
COMMENT ON VIEW lake.worker_status IS 'the background worker of this database: preloaded, state (working, waiting, not running), processes, last visit';

COMMENT ON FUNCTION lake.version() IS 'version of lake_stores, its build, and the Postgres it was built for';
COMMENT ON FUNCTION lake.drop_store(pg_catalog.regclass, pg_catalog.bool) IS 'drops a store with all that belongs to it; keep_table => true only forgets that the table is one';
COMMENT ON FUNCTION lake.replay_rejects(pg_catalog.regclass, pg_catalog.int8) IS 'takes rejected rows once more, all or one batch; what is refused again becomes a new batch';
COMMENT ON FUNCTION lake.purge_rejects(pg_catalog.regclass, pg_catalog.interval) IS 'forgets rejected rows of a store, all or those older than an interval; returns how many';
COMMENT ON FUNCTION lake.run_job(pg_catalog.int8) IS 'does a job now, in this transaction, as the owner of its store';
COMMENT ON FUNCTION lake.alter_job(pg_catalog.int8, pg_catalog.interval, pg_catalog.timestamptz, pg_catalog.bool, pg_catalog.jsonb) IS 'reschedules, pauses (paused => true), resumes (false) or reconfigures a job; what is null stays';
COMMENT ON FUNCTION lake.health() IS 'what needs attention, the gravest first: severity, subject, finding, remedy; no rows where all is well';
COMMENT ON FUNCTION lake.start_worker() IS 'starts the background worker of this database where none runs, and returns its process id';

COMMENT ON FUNCTION _lake.engines() IS 'rows of lake.engines';
COMMENT ON FUNCTION _lake.worker_status() IS 'row of lake.worker_status';
COMMENT ON FUNCTION _lake.on_drop() IS 'forgets stores whose tables are dropped; called by the event trigger lake_stores_drop';
