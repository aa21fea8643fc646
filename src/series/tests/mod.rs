//! Tests of the series stores inside the database; most run on both engines.
