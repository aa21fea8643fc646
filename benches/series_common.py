"""What the benchmarks of time series share: fleets of points, fresh tables, and contenders measured in turns.

Two times are taken of everything: by the clock, which counts what the client does too, and of the server's
process alone (its CPU time, from /proc), which doesn't depend on what else the machine is doing.
"""

import datetime
import time

import asyncpg

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
KEYED = "(ts timestamptz NOT NULL, series_id bigint NOT NULL, value float8 NOT NULL, PRIMARY KEY (series_id, ts))"


async def engines(connection: asyncpg.Connection) -> list[str]:
    """Those that stores can be made on here."""
    found = await connection.fetchval("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'")
    return ["native", "timescaledb"] if found else ["native"]


async def raw_table(connection: asyncpg.Connection, name: str, engine: str) -> None:
    """A table with the columns, the key and the one chunk that a store has, made by hand."""
    await connection.execute(f"DROP TABLE IF EXISTS {name}")
    if engine == "native":
        await connection.execute(
            f"CREATE TABLE {name} {KEYED} PARTITION BY RANGE (ts); "
            f"CREATE TABLE {name}_p PARTITION OF {name} FOR VALUES FROM ('2026-01-01') TO ('2026-01-02')"
        )
    else:
        await connection.execute(
            f"CREATE TABLE {name} {KEYED}; SELECT create_hypertable('{name}', by_range('ts', interval '1 day'), "
            "create_default_indexes => false)"
        )


async def store(connection: asyncpg.Connection, name: str, engine: str) -> None:
    if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", name):
        await connection.execute(f"SELECT lake.drop_store('{name}')")
    await connection.execute(f"SELECT lake.series_create('{name}', engine => '{engine}')")


def cpu_ms(pid: int) -> float:
    """CPU time of a process so far, in milliseconds."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as stat:
        return int(stat.read().split()[0]) / 1e6


async def measured(connection: asyncpg.Connection, call) -> tuple[float, float]:
    """Milliseconds by the clock and of the server's CPU that the awaitable made by `call()` took."""
    pid = connection.get_server_pid()
    cpu, start = cpu_ms(pid), time.perf_counter()
    await call()
    return (time.perf_counter() - start) * 1000, cpu_ms(pid) - cpu


async def best_of(connection: asyncpg.Connection, contenders: dict, rounds: int) -> dict[str, tuple[float, float]]:
    """Of each contender, (prepare, run), the least of both times; `rounds` rounds in turns."""
    best = {name: (float("inf"), float("inf")) for name in contenders}
    for _ in range(rounds):
        for name, (prepare, run) in contenders.items():
            await prepare()
            found = await measured(connection, run)
            best[name] = tuple(map(min, best[name], found))
    return best
