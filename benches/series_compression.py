"""Compressed chunks: what they take, and how long queries and writes take beside the same rows in plain partitions.

Two days of 100 hosts, a row every ten seconds, in chunks of a day, from a seed: three gauges that walk between 0 and 100 in whole steps,
one of two digits that walks by up to 0.05, one counter that grows by up to 31. Two tables with the same rows and the same indexes, one of them compressed; one process, everything in memory.
"""

import asyncio
from datetime import UTC

import numpy as np

from common import connect, in_turns, table, timed

HOSTS, STEPS, ROUNDS = 100, 2 * 24 * 360, 5
START = np.datetime64("2026-01-01T00:00:00")
COLUMNS = ["ts", "host", "usage_user", "usage_system", "usage_idle", "load", "sent"]
CREATE = """
CREATE TABLE {0} (ts timestamptz NOT NULL, host text NOT NULL, usage_user float8, usage_system float8, usage_idle float8, load float8, sent int8)
    PARTITION BY RANGE (ts);
CREATE TABLE {0}_1 PARTITION OF {0} FOR VALUES FROM ('2026-01-01Z') TO ('2026-01-02Z');
CREATE TABLE {0}_2 PARTITION OF {0} FOR VALUES FROM ('2026-01-02Z') TO ('2026-01-03Z');
CREATE INDEX ON {0} (host, ts DESC); ALTER TABLE {0} ADD PRIMARY KEY (host, ts)
"""
QUERIES = {
    "count and avg of everything": "SELECT count(*), avg(usage_user) FROM {}",
    "five aggregates of five columns": "SELECT min(usage_user), max(usage_system), avg(usage_idle), avg(load), max(sent) FROM {}",
    "by host and hour": "SELECT host, date_trunc('hour', ts), avg(usage_user), max(usage_system) FROM {} GROUP BY 1, 2",
    "count where usage_user > 90": "SELECT count(*) FROM {} WHERE usage_user > 90",
    "11 hosts, 12 hours": "SELECT count(*), avg(usage_user) FROM {} WHERE host = ANY ('{{host_3,host_8,host_12,host_19,host_25,host_33,host_41,host_56,host_70,host_88,host_99}}') "
    "AND ts >= '2026-01-01 06:00Z' AND ts < '2026-01-01 18:00Z'",
    "one host, one hour, by the minute": "SELECT date_trunc('minute', ts), max(usage_user) FROM {} WHERE host = 'host_42' AND ts >= '2026-01-02 05:00Z' "
    "AND ts < '2026-01-02 06:00Z' GROUP BY 1",
    "last point of each host": "SELECT DISTINCT ON (host) * FROM {} ORDER BY host, ts DESC",
    "the same by lake.last": "SELECT host, lake.last(usage_user, ts), max(ts) FROM {} GROUP BY host",
    "every column of every row": "COPY (SELECT * FROM {}) TO '/dev/null' (FORMAT binary)",
}
WRITES = {
    "one row, of a primary key": "INSERT INTO {} VALUES ('2026-01-01 12:00:05Z', 'host_7', 1, 2, 3, 4, 5)",
    "1,000 late rows": "INSERT INTO {} SELECT '2026-01-01 00:00:05Z'::timestamptz + i * interval '10 seconds', 'host_17', 1, 1, 1, 1, 1 FROM generate_series(1, 1000) i",
    "one row changed": "UPDATE {} SET load = 0 WHERE host = 'host_3' AND ts = '2026-01-02 12:00Z'",
    "a host of a day deleted": "DELETE FROM {} WHERE host = 'host_4' AND ts >= '2026-01-02Z'",
}


def rows() -> list[tuple]:
    """By time, as they would come."""
    random = np.random.default_rng(20260101)
    walk = lambda: np.clip(50 + np.cumsum(random.integers(-1, 2, (STEPS, HOSTS)), axis=0), 0, 100).astype(float)
    columns = [walk(), walk(), walk(), np.round(2 + 0.01 * np.cumsum(random.integers(-5, 6, (STEPS, HOSTS)), axis=0), 2), np.cumsum(random.integers(0, 32, (STEPS, HOSTS)), axis=0)]
    times = [t.item().replace(tzinfo=UTC) for t in START + np.arange(STEPS) * np.timedelta64(10, "s")]
    names = [f"host_{n}" for n in range(HOSTS)]
    return [(times[s], names[h], *(c[s, h].item() for c in columns)) for s in range(STEPS) for h in range(HOSTS)]


async def main() -> None:
    connection = await connect()
    await connection.execute("SET max_parallel_workers_per_gather = 0; SET jit = off")
    for name in ("plain", "packed"):
        await connection.execute(CREATE.format(name))
    await connection.copy_records_to_table("plain", records=rows(), columns=COLUMNS, schema_name="bench")
    await connection.execute("INSERT INTO packed SELECT * FROM plain; SELECT lake.series_adopt('packed', 'ts', ARRAY['host'])")
    await connection.execute("VACUUM ANALYZE plain")
    await connection.execute("ANALYZE packed")
    count = await connection.fetchval("SELECT count(*) FROM plain")
    size = "SELECT sum(bytes)::int8 FROM lake.chunks WHERE store = 'packed'::regclass"
    before = await connection.fetchval("SELECT sum(pg_total_relation_size(inhrelid))::int8 FROM pg_inherits WHERE inhparent = 'plain'::regclass")
    seconds = 0.0
    for chunk in ("packed_1", "packed_2"):
        elapsed, _ = await timed(lambda: connection.fetch(f"SELECT lake.series_compress_chunk('{chunk}')"))
        seconds += elapsed / 1000
    after = await connection.fetchval(size)
    table(
        "Two days of 100 hosts, compressed",
        ["rows", "plain", "compressed", "ratio", "bytes a row", "compressing, rows/s"],
        [[f"{count:,}", f"{before / 2**20:.0f} MB", f"{after / 2**20:.1f} MB", f"{before / after:.0f} ×",
          f"{before / count:.0f} → {after / count:.2f}", f"{count / seconds:,.0f}"]],
    )
    found = []
    for name, sql in QUERIES.items():
        if not sql.startswith("COPY"):
            # Floats are added up in another order.
            text = lambda value: f"{value:.9g}" if isinstance(value, float) else str(value)
            same = [sorted(str([text(v) for v in r]) for r in await connection.fetch(sql.format(t))) for t in ("plain", "packed")]
            assert same[0] == same[1], name
        times = await in_turns({t: lambda t=t: connection.fetch(sql.format(t)) for t in ("plain", "packed")}, ROUNDS)
        found.append([name, f"{times['plain']:.2f}", f"{times['packed']:.2f}", f"{times['plain'] / times['packed']:.1f} ×"])
    table("Reading it", ["asked for", "plain, ms", "compressed, ms", "plain / compressed"], found)
    found = []
    for name, sql in WRITES.items():
        times = []
        for t in ("plain", "packed"):
            elapsed, _ = await timed(lambda: connection.execute(sql.format(t)))
            times.append(elapsed)
        found.append([name, f"{times[0]:.2f}", f"{times[1]:.2f}"])
    table("Writing to it, once each", ["statement", "plain, ms", "compressed, ms"], found)
    await connection.close()


asyncio.run(main())
