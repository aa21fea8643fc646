//! Tests of vector stores inside the server.
