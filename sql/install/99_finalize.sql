-- Privileges: everybody may call the functions, which run with the caller's rights; nobody but the
-- owner of the extension may write to the catalogue or create in its schemas.
REVOKE ALL ON SCHEMA lake, _lake FROM PUBLIC;
GRANT USAGE ON SCHEMA lake, _lake TO PUBLIC;
GRANT SELECT ON _lake.store, _lake.metric, _lake.job, _lake.series_compressed TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA _lake TO pg_database_owner;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA _lake TO pg_database_owner;
GRANT SELECT ON ALL TABLES IN SCHEMA lake TO PUBLIC;

COMMENT ON SCHEMA lake IS 'lake_stores: functions and views for vector, time-series and spatial stores';
COMMENT ON SCHEMA _lake IS 'lake_stores: catalogue and helpers, not for direct use';
