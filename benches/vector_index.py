"""Index builds: by lake_stores' worker, and by hand with CREATE INDEX, while a writer inserts rows.

Data: 40,000 GloVe word vectors of 50 dimensions, HNSW with default parameters, one process. Then recall@10 of the
index by ef_search as lake.vector_measure_recall tells it, and what lake.vector_tune keeps.
"""

import asyncio
import os
import statistics

import asyncpg
from common import connect, table, timed
from data import glove

ROWS, EXTRA = 40_000, 5_000


async def load(connection, name: str, vectors) -> None:
    await connection.execute(
        f"SELECT lake.vector_create('{name}', 50, options => '{{\"index\": \"none\"}}')"
    )
    for start in range(0, len(vectors), 10_000):
        part = vectors[start : start + 10_000]
        ids = [str(start + i) for i in range(len(part))]
        await connection.execute(
            f"SELECT lake.vector_upsert_many('{name}', $1::text[], $2::bytea)",
            ids, part.astype("<f4").tobytes(),
        )
    await connection.execute(f"VACUUM ANALYZE {name}")


async def write(name: str, vectors, done: asyncio.Event) -> list[float]:
    """Milliseconds of single inserts, one after the other, until `done`."""
    connection = await asyncpg.connect(os.environ["LAKE_BENCH_DSN"], timeout=30)
    times = []
    for number, vector in enumerate(vectors):
        if done.is_set():
            break
        elapsed, _ = await timed(
            lambda: connection.execute(
                f"INSERT INTO bench.{name} (id, embedding) VALUES ($1, $2::real[]::vector)",
                f"w{number}", vector.tolist(),
            )
        )
        times.append(elapsed)
        await asyncio.sleep(0.01)
    await connection.close()
    return times


async def contest(connection, name: str, vectors, build) -> list[object]:
    await load(connection, name, vectors[:ROWS])
    done = asyncio.Event()
    writer = asyncio.create_task(write(name, vectors[ROWS:], done))
    await asyncio.sleep(0.5)
    elapsed, _ = await timed(build)
    done.set()
    times = await writer
    return [
        f"{elapsed / 1000:.1f}", len(times), f"{statistics.median(times):.1f}", f"{max(times):.0f}"
    ]


async def by_worker(connection) -> None:
    job = await connection.fetchval("SELECT lake.vector_build_index('by_worker')")
    while True:
        outcome = await connection.fetchval(
            "SELECT outcome FROM lake.job_runs WHERE job_id = $1 ORDER BY run_id DESC LIMIT 1", job
        )
        if outcome not in (None, "running"):
            assert outcome == "success", outcome
            return
        await asyncio.sleep(0.1)


async def main() -> None:
    vectors = glove(ROWS + EXTRA)
    connection = await connect()
    await connection.execute("ALTER DATABASE bench SET lake_stores.jobs = on")
    plain = (
        "SET maintenance_work_mem = '1GB'; SET max_parallel_maintenance_workers = 0; "
        "CREATE INDEX ON by_hand USING hnsw (embedding vector_cosine_ops)"
    )
    rows = [
        ["`CREATE INDEX`"]
        + await contest(connection, "by_hand", vectors, lambda: connection.execute(plain)),
        ["`lake.vector_build_index`"]
        + await contest(connection, "by_worker", vectors, lambda: by_worker(connection)),
    ]
    table(
        "Builds under a writer",
        ["build", "seconds", "inserts meanwhile", "p50 ms", "longest ms"],
        rows,
    )
    plan = await connection.fetchrow("SELECT * FROM lake.vector_plan_index('by_hand')")
    size = await connection.fetchval(
        "SELECT bytes FROM lake.vector_indexes WHERE store = 'by_worker'::regclass"
    )
    print(f"\nEstimated before: {plan['index_bytes'] / 2**20:.0f} MB; built: {size / 2**20:.0f} MB.")
    rows = []
    for ef_search in (10, 40, 100, 200, 400):
        found = await connection.fetchrow(
            "SELECT * FROM lake.vector_measure_recall('by_worker', samples => 200, ef_search => $1)",
            ef_search,
        )
        rows.append([
            found["ef_search"], f"{found['recall_mean']:.3f}", f"{found['recall_worst']:.1f}",
            f"{found['approximate_ms']:.2f}", f"{found['exact_ms']:.1f}",
        ])
    table("Measured recall", ["ef_search", "mean", "worst", "index ms", "exact ms"], rows)
    for target in (0.9, 0.95, 0.99):
        tuned = await connection.fetchrow(
            "SELECT * FROM lake.vector_tune('by_worker', $1, samples => 200)", target
        )
        print(f"tune to {target}: ef_search {tuned['ef_search']}, mean {tuned['recall_mean']:.3f}")
    await connection.close()


asyncio.run(main())
