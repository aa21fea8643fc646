//! A store with compressed chunks, and an ordinary table with the same rows.

use super::helpers::{all, run};

/// A store and its twin: a chunk in batches, with rows that came later, columns that came later, and nulls.
pub fn stores() {
    let columns = "ts timestamptz NOT NULL, host int4, small int2, big int8, day date, clock time, local timestamp, \
                   value float8, note text, gone int4, label varchar(9), exact float8, single float4, flag bool, tag uuid";
    run(&format!(
        "CREATE TABLE stored ({columns}) PARTITION BY RANGE (ts); CREATE TABLE twin ({columns})"
    ));
    run(
        "CREATE TABLE c_1 PARTITION OF stored FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z'); \
         CREATE TABLE c_2 PARTITION OF stored FOR VALUES FROM ('2026-02-01Z') TO ('2026-03-01Z')",
    );
    run("INSERT INTO twin SELECT '2026-01-01Z'::timestamptz + i * interval '1 minute', i % 7, \
            CASE WHEN i % 11 = 0 THEN NULL ELSE i % 300 - 150 END, i::int8 * 100000000000 - 5, \
            CASE WHEN i % 5000 = 0 THEN 'infinity' ELSE date '2026-01-01' + i / 1000 END, \
            time '00:00' + i % 1440 * interval '1 minute', \
            CASE WHEN i < 6000 THEN NULL ELSE timestamp '2026-01-01' + i * interval '1 minute' END, \
            CASE i % 9 WHEN 0 THEN 'NaN' ELSE i / 3.0 END, 'n' || i % 50, i, CASE WHEN i % 13 > 0 THEN 'h' || i % 7 END, \
            CASE WHEN i % 17 > 0 THEN i % 1000 * 0.25 - 9 END, i % 777 * 0.5, CASE i % 3 WHEN 0 THEN i % 2 = 0 WHEN 1 THEN true END, \
            md5((i / 9000)::text)::uuid \
         FROM generate_series(0, 59999) i");
    run(
        "INSERT INTO stored SELECT * FROM twin; SELECT lake.series_adopt('stored', 'ts', ARRAY['host'])",
    );
    run("SELECT lake.series_compress_chunk('c_1')");
    for table in ["stored", "twin"] {
        run(&format!(
            "ALTER TABLE {table} ADD COLUMN late int4 DEFAULT 7, ADD COLUMN words text; ALTER TABLE {table} DROP COLUMN gone; \
             INSERT INTO {table} (ts, host, late) SELECT '2026-01-20 00:00:30Z'::timestamptz + i * interval '1 minute', i, i FROM generate_series(1, 50) i"
        ));
    }
    run("ANALYZE stored; ANALYZE twin");
}

/// Both answer the same.
pub fn same(query: &str) {
    let [stored, twin] = ["stored", "twin"].map(|table| all(&query.replace("TABLE_", table)));
    assert_eq!(stored, twin, "{query}");
}
