//! Tests against PostGIS.
