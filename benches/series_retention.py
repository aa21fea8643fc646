"""Dropping chunks under load: how long other statements take meanwhile, by the worker and by hand.

200 chunks of a day with 2,000 points each are dropped while two sessions read (the last hours; everything) and one writes
to the newest chunk, as fast as they can. Each way begins with a store of its own. What counts is the longest statement: `by nobody` says
what the machine does without any drop. `waits > 10 ms` are those for locks, as the server logs them.
"""

import asyncio
import os
import time

import asyncpg

from common import connect, table
from series_common import engines, store

CHUNKS, POINTS, SECONDS = 200, 2_000, 10

READ_LAST = "SELECT count(*), avg(value) FROM bench.fleet WHERE ts > now() - interval '3 hours'"
READ_ALL = "SELECT count(*), max(value) FROM bench.fleet"
WRITE = (
    "INSERT INTO bench.fleet SELECT clock_timestamp() + i * interval '1 microsecond', series_id, random() "
    "FROM bench.fleet_series, generate_series(1, 2) i ON CONFLICT DO NOTHING"
)


async def fresh(connection, engine: str) -> None:
    await store(connection, "fleet", engine)
    await connection.execute(
        "SELECT lake.series_ingest('fleet', array_agg(now() - d * interval '1 day' + s * interval '1 second'), "
        "array_agg('cpu'::text), array_agg(jsonb_build_object('host', 'h' || s % 10)), array_agg(s::float8)) "
        f"FROM generate_series(1, {CHUNKS + 3}) d, generate_series(1, {POINTS}) s"
    )
    await connection.execute("ANALYZE fleet")


def old_chunks(connection):
    return connection.fetch(
        "SELECT chunk::text AS chunk, range_end FROM lake.chunks WHERE store = 'fleet'::regclass "
        "AND range_end < now() - interval '3 days' ORDER BY range_start"
    )


async def by_nobody(connection, engine):
    await asyncio.sleep(SECONDS)


async def by_the_worker(connection, engine):
    await connection.execute("SELECT lake.series_set_retention('fleet', '3 days')")
    while await old_chunks(connection):
        await asyncio.sleep(0.2)


async def one_by_one(connection, engine):
    """As a good script does it: a statement each, with a lock_timeout, again where that runs out."""
    await connection.execute("SET lock_timeout = '1s'")
    for chunk in await old_chunks(connection):
        while True:
            try:
                await connection.execute(f"DROP TABLE {chunk['chunk']}")
                break
            except asyncpg.LockNotAvailableError:
                pass
    await connection.execute("RESET lock_timeout")


async def at_once(connection, engine):
    """As it is usually done."""
    if engine == "native":
        names = ", ".join(chunk["chunk"] for chunk in await old_chunks(connection))
        await connection.execute(f"DROP TABLE {names}")
    else:
        await connection.execute("SELECT drop_chunks('fleet', older_than => now() - interval '3 days')")


async def load(statement: str, over: asyncio.Event, times: list[float]) -> None:
    connection = await asyncpg.connect(os.environ["LAKE_BENCH_DSN"], timeout=30)
    while not over.is_set():
        start = time.perf_counter()
        await connection.execute(statement)
        times.append((time.perf_counter() - start) * 1000)
    await connection.close()


def lock_waits() -> int:
    """How many waits for locks the server has logged so far."""
    with open(os.environ["LAKE_BENCH_LOG"], encoding="utf-8") as log:
        return sum("still waiting for" in line for line in log)


async def measure(connection, engine: str, drop) -> list:
    await fresh(connection, engine)
    over, times = asyncio.Event(), {"last": [], "all": [], "write": []}
    tasks = [
        asyncio.create_task(load(statement, over, times[name]))
        for name, statement in (("last", READ_LAST), ("all", READ_ALL), ("write", WRITE))
    ]
    await asyncio.sleep(1)
    for found in times.values():
        found.clear()
    waits, start = lock_waits(), time.perf_counter()
    await drop(connection, engine)
    seconds = time.perf_counter() - start
    over.set()
    await asyncio.gather(*tasks)
    left = len(await old_chunks(connection))
    cells = [f"{sorted(t)[len(t) // 2]:.1f} / {max(t):.0f}" for t in times.values()]
    return [engine, drop.__name__.replace("_", " "), CHUNKS - left, f"{seconds:.1f}", *cells, lock_waits() - waits]


async def main() -> None:
    connection = await connect()
    await connection.execute("ALTER SYSTEM SET lake_stores.jobs = on")
    await connection.execute("ALTER SYSTEM SET log_lock_waits = on")
    await connection.execute("ALTER SYSTEM SET deadlock_timeout = '10ms'")
    await connection.execute("SELECT pg_reload_conf()")
    rows = [
        await measure(connection, engine, drop)
        for engine in await engines(connection)
        for drop in (by_nobody, by_the_worker, one_by_one, at_once)
    ]
    for name in ("lake_stores.jobs", "log_lock_waits", "deadlock_timeout"):
        await connection.execute(f"ALTER SYSTEM RESET {name}")
    table(
        f"Dropping {CHUNKS} chunks under readers and a writer (median / longest statement, ms)",
        ["engine", "dropped", "chunks", "seconds", "read the last hours", "read everything", "write", "waits > 10 ms"],
        rows,
    )


asyncio.run(main())
