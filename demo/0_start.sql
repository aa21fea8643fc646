\set ECHO queries
\echo
\echo '=== lake_stores: vectors, time series and places in one Postgres ==='
\echo
\set ECHO none
\set VERBOSITY terse
SET client_min_messages = warning;
\set ECHO queries
CREATE EXTENSION vector;
CREATE EXTENSION timescaledb;
CREATE EXTENSION postgis;
CREATE EXTENSION lake_stores;
SELECT engine, installed_version, edition, needed_by FROM lake.engines;
