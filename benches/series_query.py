"""Reading: series_latest against DISTINCT ON, and series_query against the SQL that a good engineer writes.

10,000 series × 1,000 points a minute apart, in one chunk, the same on both engines; vacuumed and analyzed. Each
pair returns the same rows. One process each (parallel plans off: what a function asks runs in its own process), the least
of both times in turns.
"""

import asyncio

from common import connect, table
from series_common import best_of, engines, store

HOSTS, POINTS, ROUNDS = 10_000, 1_000, 3

LATEST = {
    "all series": (
        "SELECT series_id, tags, ts, value FROM lake.series_latest('store', 'cpu')",
        "SELECT DISTINCT ON (series_id) series_id, tags, ts, value FROM store JOIN store_series USING (series_id) "
        "WHERE metric = 'cpu' ORDER BY series_id, ts DESC",
    ),
    "100 series": (
        "SELECT series_id, tags, ts, value FROM lake.series_latest('store', 'cpu', '{\"rack\": \"7\"}')",
        "SELECT DISTINCT ON (series_id) series_id, tags, ts, value FROM store JOIN store_series USING (series_id) "
        "WHERE metric = 'cpu' AND tags @> '{\"rack\": \"7\"}' ORDER BY series_id, ts DESC",
    ),
}


def by_hand(tags: str, hours: int, bucket: str, agg: str, expression: str) -> tuple[str, str]:
    """The call, and the statement by hand: buckets by the session's clock (UTC) as `date_bin` makes them."""
    end = f"timestamptz '2026-01-01 00:00+00' + interval '{hours} hours'"
    return (
        f"SELECT * FROM lake.series_query('store', 'cpu', '{tags}', '2026-01-01 00:00+00', {end}, '{bucket}', '{agg}')",
        f"SELECT p.ts, p.series_id, s.tags, p.value FROM ("
        f"SELECT date_bin('{bucket}', ts, '2000-01-03 00:00+00') AS ts, series_id, {expression} AS value FROM store "
        f"WHERE series_id = ANY (ARRAY(SELECT series_id FROM store_series WHERE metric = 'cpu' AND tags @> '{tags}')) "
        f"AND ts >= '2026-01-01 00:00+00' AND ts < {end} "
        f"GROUP BY 1, 2) p JOIN store_series s USING (series_id) ORDER BY 2, 1",
    )


QUERIES = {
    "1 series, 16 h by 5 minutes, avg": by_hand('{"host": "h5"}', 16, "5 minutes", "avg", "avg(value)"),
    "100 series, 16 h by 1 hour, avg": by_hand('{"rack": "7"}', 16, "1 hour", "avg", "avg(value)"),
    "100 series, 16 h by 1 hour, p95": by_hand(
        '{"rack": "7"}', 16, "1 hour", "p95", "percentile_cont(0.95) WITHIN GROUP (ORDER BY value)"
    ),
    "all series, 4 h by 1 hour, max": by_hand("{}", 4, "1 hour", "max", "max(value)"),
}


async def load(connection, engine: str) -> None:
    await store(connection, "store", engine)
    await connection.execute(
        "INSERT INTO store_series (metric, tags) SELECT 'cpu', jsonb_build_object('host', 'h' || h, 'rack', (h % 100)::text) "
        f"FROM generate_series(1, {HOSTS}) h"
    )
    # Makes the chunk.
    await connection.execute(
        "SELECT lake.series_ingest('store', ARRAY['2026-01-01'::timestamptz], ARRAY['cpu'], "
        "ARRAY['{\"host\": \"h1\", \"rack\": \"1\"}'::jsonb], ARRAY[0])"
    )
    await connection.execute(
        "INSERT INTO store SELECT '2026-01-01'::timestamptz + m * interval '1 minute' AS ts, series_id, (series_id * 31 + m) % 100 "
        f"FROM generate_series(1, {POINTS}) m, store_series ORDER BY 2, 1",
        timeout=600,
    )
    await connection.execute("VACUUM ANALYZE store")
    await connection.execute("VACUUM ANALYZE store_series")


async def nothing() -> None:
    """What there is to prepare."""


async def compare(connection, title: str, names: tuple[str, str], pairs: dict[str, tuple[str, str]]) -> None:
    rows = []
    for what, (call, hand) in pairs.items():
        ours, theirs = await connection.fetch(call), await connection.fetch(hand)
        assert len(ours) == len(theirs), f"{what}: {len(ours)} rows, by hand {len(theirs)}"
        best = await best_of(
            connection,
            {"call": (nothing, lambda: connection.fetch(call)), "hand": (nothing, lambda: connection.fetch(hand))},
            ROUNDS,
        )
        (clock, cpu), (clock_by_hand, cpu_by_hand) = best["call"], best["hand"]
        rows.append([
            what, f"{len(ours):,}", f"{clock_by_hand:,.1f}", f"{clock:,.1f}", f"{clock_by_hand / clock:.2f} ×",
            f"{cpu_by_hand:,.1f}", f"{cpu:,.1f}", f"{cpu_by_hand / cpu:.2f} ×",
        ])
    header = ["", "rows", f"{names[0]}, ms", f"{names[1]}, ms", "as fast", f"{names[0]}, CPU ms", f"{names[1]}, CPU ms", "as fast"]
    table(title, header, rows)


async def main() -> None:
    connection = await connect()
    await connection.execute("SET TimeZone = 'UTC'; SET max_parallel_workers_per_gather = 0")
    for engine in await engines(connection):
        await load(connection, engine)
        await compare(connection, f"Last values, {engine}", ("DISTINCT ON", "lake.series_latest"), LATEST)
        await compare(connection, f"Buckets, {engine}", ("by hand", "lake.series_query"), QUERIES)
    await connection.close()


asyncio.run(main())
