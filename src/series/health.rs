//! What `lake.health()` says of series stores.

use crate::common::health::{Check, INFO, WARNING};
use crate::engines::{self, TimescaleEdition};
use crate::error::Result;
use crate::series::hypertable;

pub const CHECKS: [Check; 4] = [
    Check {
        severity: WARNING,
        sql: "SELECT c.oid::regclass::text, \
                  format('retention of %s has detached this chunk, and its process ended before it was dropped', d.relid), \
                  c.oid::regclass::text \
              FROM _lake.series_dropping d JOIN pg_class c ON c.oid = d.chunk \
              WHERE NOT d.detached AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = d.chunk)",
        remedy: "DROP TABLE {}; or keep it, as a table of its own.",
    },
    Check {
        severity: INFO,
        sql: "SELECT s.relid::text, \
                  format('%s chunks are due to go and can''t: %s', count(*), min(p.blocked_by)), \
                  quote_literal(s.relid::text) \
              FROM _lake.store s, LATERAL lake.series_plan_retention(s.relid) p \
              WHERE s.kind = 'series' AND p.blocked_by IS NOT NULL \
                AND (s.engine = 'native' OR EXISTS (SELECT FROM pg_extension WHERE extname = s.engine)) \
                AND EXISTS (SELECT FROM _lake.job j WHERE j.relid = s.relid AND j.action = 'retention') \
              GROUP BY s.relid",
        remedy: "SELECT chunk, reason, blocked_by FROM lake.series_plan_retention({}) WHERE blocked_by IS NOT NULL;",
    },
    Check {
        severity: WARNING,
        sql: "SELECT r.view::text, \
                  format('%s entries of its log wait for a refresh, each of which readers of the view go through', l.waiting), \
                  quote_literal(r.view::text) \
              FROM _lake.rollup r JOIN pg_class c ON c.oid = r.view \
              CROSS JOIN LATERAL (SELECT count(*) AS waiting FROM ( \
                  SELECT FROM _lake.rollup_log w WHERE w.rollup_id = r.rollup_id LIMIT 100000) w) l \
              WHERE l.waiting >= 100000",
        remedy: "SELECT lake.series_refresh_rollup({}); and see in lake.job_runs why its job doesn't keep up.",
    },
    Check {
        severity: INFO,
        sql: "SELECT j.relid::text, 'its rollups aren''t refreshed, because the job is paused: readers compute what waits', j.job_id::text \
              FROM _lake.job j JOIN pg_class c ON c.oid = j.relid \
              WHERE j.action = 'refresh_rollup' AND j.paused \
                AND EXISTS (SELECT FROM _lake.rollup r JOIN _lake.rollup_waiting w ON w.rollup_id = r.rollup_id \
                            WHERE r.relid = j.relid AND w.hi < now() - r.refresh_lag - interval '15 minutes')",
        remedy: "SELECT lake.alter_job({}, paused => false);",
    },
];

/// Of hypertables, where TimescaleDB has policies of its own.
const POLICIES: [Check; 1] = [Check {
    severity: WARNING,
    sql: "SELECT s.relid::text, \
              'a retention policy of TimescaleDB drops chunks too, by their age alone: no plan shows it, and what rollups still need doesn''t stop it', \
              format('SELECT %I.remove_retention_policy(%L);', e.extnamespace::regnamespace, s.relid) \
          FROM timescaledb_information.jobs t \
          JOIN pg_class c ON c.relname = t.hypertable_name \
           AND c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = t.hypertable_schema) \
          JOIN _lake.store s ON s.relid = c.oid::regclass \
          JOIN pg_extension e ON e.extname = 'timescaledb' \
          WHERE t.proc_name = 'policy_retention' \
            AND (EXISTS (SELECT FROM _lake.job j WHERE j.relid = s.relid AND j.action = 'retention') \
                 OR EXISTS (SELECT FROM _lake.rollup r WHERE r.relid = s.relid))",
    remedy: "{}",
}];

/// Those that look into TimescaleDB's views, as far as it is there.
pub fn of_timescaledb() -> Result<&'static [Check]> {
    let community = engines::timescale_edition()? == Some(TimescaleEdition::Community);
    Ok(if community && hypertable::find()?.is_some() { &POLICIES } else { &[] })
}
