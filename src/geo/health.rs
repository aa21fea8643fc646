//! What `lake.health()` looks for in stores of places.

use crate::common::health::{Check, WARNING};

pub const CHECKS: [Check; 2] = [
    Check {
        severity: WARNING,
        sql: "SELECT s.relid::text, 'the geo store has no GiST index, so every search reads all rows', s.relid::text \
              FROM _lake.store s JOIN pg_class c ON c.oid = s.relid \
              WHERE s.kind = 'geo' AND NOT EXISTS ( \
                  SELECT FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid \
                  JOIN pg_am a ON a.oid = i.relam \
                  WHERE x.indrelid = s.relid AND a.amname IN ('gist', 'spgist', 'brin'))",
        remedy: "CREATE INDEX ON {} USING gist (geom); with the store's geometry column.",
    },
    Check {
        severity: WARNING,
        sql: "SELECT w.events::text, \
                  format('changes of %s go by the watch: of its four triggers lake_watch_… %s fire', t.relid, g.fire), \
                  quote_literal(w.events::text) \
              FROM _lake.geo_watch w \
              CROSS JOIN LATERAL (VALUES (w.relid), (w.fences)) t (relid) \
              JOIN pg_class c ON c.oid = t.relid \
              CROSS JOIN LATERAL (SELECT count(*) AS fire FROM pg_trigger g \
                  WHERE g.tgrelid = t.relid AND g.tgenabled IN ('O', 'A') \
                    AND g.tgfoid = '_lake.geo_watch_changed()'::regprocedure) g \
              WHERE g.fire < 4",
        remedy: "ALTER TABLE … ENABLE TRIGGER lake_watch_…; then SELECT lake.geo_refresh_watch({}); or end it and watch again, where triggers were dropped.",
    },
];
