//! What `lake.health()` looks for in vector stores.

use crate::common::health::{Check, INFO, WARNING};

pub static CHECKS: [Check; 10] = [
    Check {
        severity: WARNING,
        sql: "SELECT s.relid::text, format('the index %s is for another metric than %s, so searches can''t use it', \
                  x.indexrelid::regclass, s.options->>'metric'), quote_literal(s.relid::text) \
              FROM _lake.store s JOIN pg_index x ON x.indrelid = s.relid JOIN pg_class i ON i.oid = x.indexrelid \
              JOIN pg_am a ON a.oid = i.relam JOIN pg_opclass oc ON oc.oid = x.indclass[0] \
              WHERE s.kind = 'vector' AND a.amname IN ('hnsw', 'ivfflat', 'diskann', 'vchordrq') AND x.indisvalid \
              AND NOT EXISTS (SELECT FROM pg_amop ao JOIN pg_operator op ON op.oid = ao.amopopr \
                  WHERE ao.amopfamily = oc.opcfamily AND ao.amoppurpose = 'o' AND (op.oprname = '<~>' OR op.oprname = \
                      CASE s.options->>'metric' WHEN 'cosine' THEN '<=>' WHEN 'l2' THEN '<->' \
                          WHEN 'inner_product' THEN '<#>' ELSE '<+>' END))",
        remedy: "Drop it, or SELECT lake.vector_build_index({}); and drop it then.",
    },
    Check {
        severity: WARNING,
        sql: "SELECT s.relid::text, format('the store has about %s rows and no index, so every search reads all of them', \
                  c.reltuples::bigint), quote_literal(s.relid::text) \
              FROM _lake.store s JOIN pg_class c ON c.oid = s.relid \
              WHERE s.kind = 'vector' AND c.relkind = 'r' AND c.reltuples >= 50000 \
              AND NOT EXISTS (SELECT FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid \
                  JOIN pg_am a ON a.oid = i.relam WHERE x.indrelid = s.relid AND x.indisvalid \
                  AND a.amname IN ('hnsw', 'ivfflat', 'diskann', 'vchordrq')) \
              AND NOT EXISTS (SELECT FROM _lake.job j WHERE j.relid = s.relid AND NOT j.paused \
                  AND j.action IN ('auto_index', 'build_index'))",
        remedy: "SELECT lake.vector_build_index({}); or lake.vector_set_index_policy({});",
    },
    Check {
        severity: WARNING,
        sql: "SELECT j.relid::text, format('the build of an index failed %s times and was given up: %s', j.failures, \
                  CASE WHEN pg_has_role($1, c.relowner, 'USAGE') OR pg_has_role($1, 'pg_monitor', 'USAGE') \
                  THEN coalesce(last.message, 'not recorded') ELSE 'its owner sees why' END), quote_literal(j.relid::text) \
              FROM _lake.job j JOIN pg_class c ON c.oid = j.relid \
              LEFT JOIN LATERAL (SELECT r.message FROM _lake.job_run r WHERE r.job_id = j.job_id \
                  AND r.outcome IN ('failure', 'crash') ORDER BY r.run_id DESC LIMIT 1) last ON true \
              WHERE j.action = 'build_index' AND j.paused AND j.failures > 0",
        remedy: "Mend the cause, then SELECT lake.vector_build_index({}); or lake.vector_cancel_build({});",
    },
    Check {
        severity: WARNING,
        sql: "SELECT r.relid::text, format('the index %s finds %s %% of the nearest rows (measured %s)', r.index, \
                  round((100 * r.recall_mean)::numeric, 1), r.measured_at::date), quote_literal(r.relid::text) \
              FROM (SELECT DISTINCT ON (relid) * FROM _lake.vector_recall WHERE filter IS NULL \
                    ORDER BY relid, measurement_id DESC) r \
              JOIN pg_class c ON c.oid = r.relid \
              WHERE r.recall_mean < 0.9 AND to_regclass(r.index) IS NOT NULL",
        remedy: "SELECT * FROM lake.vector_tune({}); or build a denser graph: lake.vector_build_index({}, m => 32, ef_construction => 200, replace => true).",
    },
    Check {
        severity: INFO,
        sql: "SELECT v.relid::text, format('%s changes since the index %s was built over %s rows', \
                  _lake.changes(v.relid) - v.changes, v.index, v.rows::bigint), quote_literal(v.relid::text) \
              FROM _lake.vector_index v JOIN pg_class c ON c.oid = v.relid \
              JOIN pg_index x ON x.indrelid = c.oid \
              JOIN pg_class i ON i.oid = x.indexrelid AND i.relname = v.index \
              WHERE v.built_at IS NOT NULL AND _lake.changes(v.relid) - v.changes > greatest(v.rows, 10000)",
        remedy: "SELECT * FROM lake.vector_measure_recall({}); and where it is low, lake.vector_build_index({}, replace => true).",
    },
    Check {
        severity: WARNING,
        sql: "SELECT s.relid::text, format('%s of %s rows are dead, and searches by the index pass them all the same', \
                  t.n_dead_tup, t.n_dead_tup + t.n_live_tup), s.relid::text \
              FROM _lake.store s JOIN pg_stat_all_tables t ON t.relid = s.relid \
              WHERE s.kind = 'vector' AND t.n_dead_tup > 10000 AND t.n_dead_tup > 0.3 * (t.n_dead_tup + t.n_live_tup) \
              AND EXISTS (SELECT FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid \
                  JOIN pg_am a ON a.oid = i.relam WHERE x.indrelid = s.relid AND a.amname IN ('hnsw', 'ivfflat'))",
        remedy: "VACUUM {};",
    },
    Check {
        severity: WARNING,
        sql: "SELECT v.relid::text, format('new rows lie %s standard deviations farther from the middle of the rows that the index %s was built over', \
                  round(v.drift::numeric, 1), v.index), quote_literal(v.relid::text) \
              FROM _lake.vector_index v JOIN pg_class c ON c.oid = v.relid \
              JOIN pg_index x ON x.indrelid = c.oid \
              JOIN pg_class i ON i.oid = x.indexrelid AND i.relname = v.index \
              WHERE v.drift > 1",
        remedy: "See that they are of the same model; then lake.vector_measure_recall({}), and lake.vector_build_index({}, replace => true) where it is low.",
    },
    Check {
        severity: WARNING,
        sql: "SELECT f.relid::text, f.finding, '' FROM _lake.vector_finding f JOIN pg_class c ON c.oid = f.relid \
              WHERE pg_has_role($1, c.relowner, 'USAGE')",
        remedy: "Embed all rows with one model, or keep one store for each.",
    },
    Check {
        severity: INFO,
        sql: "SELECT u.store::text, format('filters have compared metadata \"%s\" %s times since %s, and no index serves that', \
                  u.key, u.uses, u.since::date), format('lake.vector_index_metadata(%L, %L, %L)', u.store::text, u.key, u.usage) \
              FROM _lake.vector_filter_use() u JOIN pg_class c ON c.oid = u.store \
              WHERE u.usage IN ('number', 'text') AND NOT u.served AND u.uses >= 100 AND c.reltuples >= 20000 \
              AND pg_has_role($1, c.relowner, 'USAGE') ORDER BY u.uses DESC, u.key",
        remedy: "SELECT {};",
    },
    Check {
        severity: INFO,
        sql: "SELECT u.store::text, format('filters have asked for equality of metadata %s times since %s, and no GIN index serves that', \
                  max(u.uses), min(u.since)::date), format('%s USING gin (%I jsonb_path_ops)', u.store, s.options->>'metadata_column') \
              FROM _lake.vector_filter_use() u JOIN pg_class c ON c.oid = u.store JOIN _lake.store s ON s.relid = u.store \
              JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = s.options->>'metadata_column' \
              WHERE u.usage = 'equal' AND NOT u.served AND c.reltuples >= 20000 AND a.atttypid = 'jsonb'::regtype \
              AND s.kind = 'vector' AND pg_has_role($1, c.relowner, 'USAGE') \
              GROUP BY u.store, s.options HAVING max(u.uses) >= 100",
        remedy: "CREATE INDEX CONCURRENTLY ON {};",
    },
];
