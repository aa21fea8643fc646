"""What all benchmarks share: a connection, timing, and a table printed as Markdown.

Each benchmark runs the raw engine and lake_stores in the same session on the same data, one after the
other in turns, and prints medians with their ratio. Ratios are what counts; times are the machine's.
"""

import os
import statistics
import time

import asyncpg


async def connect() -> asyncpg.Connection:
    """A session on the server that LAKE_BENCH_DSN names, in a schema of its own."""
    connection = await asyncpg.connect(os.environ["LAKE_BENCH_DSN"], timeout=30)
    await connection.execute(
        "DROP SCHEMA IF EXISTS bench CASCADE; CREATE SCHEMA bench; "
        "SET search_path = bench, public; SET client_min_messages = warning"
    )
    return connection


async def timed(call) -> tuple[float, object]:
    """Milliseconds that the awaitable made by `call()` took, and its result."""
    start = time.perf_counter()
    result = await call()
    return (time.perf_counter() - start) * 1000, result


async def in_turns(contenders: dict, rounds: int) -> dict[str, float]:
    """Median milliseconds of each contender; one warm-up round, then `rounds` rounds in turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, call in contenders.items():
            elapsed, _ = await timed(call)
            if turn > 0:
                times[name].append(elapsed)
    return {name: statistics.median(values) for name, values in times.items()}


def table(title: str, header: list[str], rows: list[list[object]]) -> None:
    print(f"\n### {title}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
