"""Nearest neighbours with and without a filter: recall@10 and latency of lake.vector_search beside
hand-written pgvector, on word vectors (100,000 × 50) and sentence embeddings (40,000 × 384).

Every contender has a connection of its own with its settings, the same HNSW index (default
parameters) and the same GIN index on the metadata, returns the same columns, and is asked the same
100 held-out queries in turns, as prepared statements. Truth: exhaustive search with numpy.
"""

import asyncio
import collections
import json
import os
import pathlib
import statistics

import asyncpg
import numpy as np
from common import connect, table, timed
from data import glosses, glove
from plot import recall_plot

QUERIES, K = 100, 10
COLUMNS = "id, embedding <=> $1::real[]::vector AS distance, metadata, content"
ORDERED = "ORDER BY embedding <=> $1::real[]::vector LIMIT 10"
RAW = f"SELECT {COLUMNS} FROM {{table}} WHERE metadata @> $2::jsonb {ORDERED}"
EXACT = (
    f"SELECT {COLUMNS} FROM {{table}} WHERE metadata @> $2::jsonb "
    "ORDER BY (embedding <=> $1::real[]::vector) + 0 LIMIT 10"
)
OURS = "SELECT id, distance, metadata, content FROM lake.vector_search('{table}', $1::real[], 10, $2::jsonb)"
INDEX_ONLY = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off;"
CONTENDERS = {
    "pgvector, default": ("", RAW),
    "pgvector, relaxed_order": ("SET hnsw.iterative_scan = relaxed_order", RAW),
    "pgvector, relaxed_order, vector index forced": (
        f"{INDEX_ONLY} SET hnsw.iterative_scan = relaxed_order", RAW),
    "pgvector, exact": ("", EXACT),
    "lake.vector_search": ("", OURS),
}
SWEEP = [10, 20, 40, 80, 120, 200, 400]


class Set:
    """A data set in its table, with its filters: label to (filter, rows that satisfy it)."""

    def __init__(self, name, title, vectors, metadata, texts):
        self.name, self.title = name, title
        self.rows, self.queries = vectors[:-QUERIES], vectors[-QUERIES:]
        self.metadata, self.texts = metadata[: len(self.rows)], texts[: len(self.rows)]
        self.normed = self.rows / np.linalg.norm(self.rows, axis=1, keepdims=True)

    def matching(self, wanted: dict) -> np.ndarray:
        return np.array([i for i, m in enumerate(self.metadata) if all(m[k] == v for k, v in wanted.items())])

    def truth(self, candidates: np.ndarray) -> list[set[str]]:
        scores = self.queries @ self.normed[candidates].T
        best = np.argsort(-scores, axis=1)[:, :K]
        return [{str(candidates[i]) for i in row} for row in best]

    async def load(self, connection) -> None:
        await connection.execute(f"SELECT lake.vector_create('{self.name}', {self.rows.shape[1]})")
        for start in range(0, len(self.rows), 10_000):
            part = self.rows[start : start + 10_000]
            await connection.execute(
                f"SELECT lake.vector_upsert_many('{self.name}', $1::text[], $2::bytea, $3::jsonb[], $4::text[])",
                [str(start + i) for i in range(len(part))], part.astype("<f4").tobytes(),
                [json.dumps(m) for m in self.metadata[start : start + 10_000]],
                self.texts[start : start + 10_000])
        await connection.execute(
            "SET maintenance_work_mem = '1GB'; "
            f"CREATE INDEX ON {self.name} USING hnsw (embedding vector_cosine_ops)")
        await connection.execute(f"VACUUM ANALYZE {self.name}")
        costs = await connection.fetchrow(f"SELECT * FROM lake.vector_calibrate('{self.name}')")
        print(f"\n{self.title}: {costs['exact_row_us']:.2f} µs a row, {costs['visit_us']:.1f} µs a visit")


def words() -> tuple[Set, dict]:
    count = 100_000
    shares = {"0.1 %": 1000, "1 %": 100, "3 %": 33, "10 %": 10, "50 %": 2, "100 %": 1}
    metadata = [{f"g{n}": i % n for n in shares.values()} for i in range(count)]
    title = "GloVe, 100,000 × 50"
    made = Set("words", title, glove(count + QUERIES), metadata, [None] * count)
    return made, {label: {f"g{n}": 0} for label, n in shares.items()}


def sentences() -> tuple[Set, dict]:
    vectors, rows = glosses()
    metadata = [{"category": category, "part": part, "all": True} for category, part, _ in rows]
    counts = collections.Counter(category for category, _, _ in rows)
    filters = {}
    for wanted in (0.001, 0.003, 0.01, 0.03, 0.1):
        nearest = min(counts, key=lambda c: abs(np.log(counts[c] / len(rows) / wanted)))
        filters[f"{counts[nearest] / len(rows):.1%}"] = {"category": nearest}
    filters[f"{sum(m['part'] == 'noun' for m in metadata) / len(rows):.0%}"] = {"part": "noun"}
    filters["100%"] = {"all": True}
    title = "WordNet glosses, 39,900 × 384"
    return Set("glosses", title, vectors, metadata, [text for _, _, text in rows]), filters


async def session(settings: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(os.environ["LAKE_BENCH_DSN"], timeout=30)
    await connection.execute("SET search_path = bench, public; SELECT '[1]'::vector")
    if settings:
        await connection.execute(settings)
    return connection


def cpu_ms(connection: asyncpg.Connection) -> float:
    """Milliseconds that the session's process has run on a processor: what others do counts for less."""
    return int(pathlib.Path(f"/proc/{connection.get_server_pid()}/schedstat").read_text().split()[0]) / 1e6


async def race(runs: dict, queries: np.ndarray, truth: list[set[str]]) -> dict[str, tuple[float, ...]]:
    """Of each contender (connection, statement, further arguments): mean and worst recall, p50, p95, CPU p50."""
    times, cpu, recalls = (collections.defaultdict(list) for _ in range(3))
    for turn, (query, best) in enumerate([(queries[0], truth[0])] * 6 + list(zip(queries, truth))):
        # Turn about, as who comes second finds the cache warm.
        for name, (connection, sql, *more) in list(runs.items())[:: 1 if turn % 2 else -1]:
            before = cpu_ms(connection)
            elapsed, found = await timed(lambda: connection.fetch(sql, query.tolist(), *more))
            if turn >= 6:  # the first ones plan, and warm caches
                times[name].append(elapsed)
                cpu[name].append(cpu_ms(connection) - before)
                recalls[name].append(len({r["id"] for r in found} & best) / len(best))
    return {
        name: (statistics.mean(recalls[name]), min(recalls[name]),
               statistics.median(times[name]), float(np.percentile(times[name], 95)),
               statistics.median(cpu[name]))
        for name in runs
    }


async def filtered(data: Set, filters: dict) -> None:
    connections = {name: await session(settings) for name, (settings, _) in CONTENDERS.items()}
    out = []
    for label, wanted in filters.items():
        text = json.dumps(wanted)
        runs = {n: (connections[n], sql.format(table=data.name), text) for n, (_, sql) in CONTENDERS.items()}
        path = await connections["lake.vector_search"].fetchrow(
            f"SELECT path, reason FROM lake.vector_explain('{data.name}', $1::real[], 10, $2::jsonb)",
            data.queries[0].tolist(), text)
        results = await race(runs, data.queries, data.truth(data.matching(wanted)))
        for name, (recall, worst, p50, p95, cpu) in results.items():
            shown = f"{name} ({path['path']})" if name.startswith("lake") else name
            out.append([label, shown, f"{recall:.3f}", f"{worst:.1f}", f"{p50:.2f}", f"{p95:.2f}", f"{cpu:.2f}"])
    table(f"{data.title}: filtered", ["rows that match", "path", "recall@10", "worst", "p50 ms", "p95 ms", "CPU ms"], out)
    for connection in connections.values():
        await connection.close()


async def unfiltered(data: Set) -> None:
    raw, ours = await session(""), await session("")
    sql = f"SELECT {COLUMNS} FROM {data.name} {ORDERED}"
    lake = (f"SELECT id, distance, metadata, content FROM lake.vector_search('{data.name}', $1::real[], 10, "
            "mode => 'approximate', ef_search => $2)")
    auto = f"SELECT id, distance, metadata, content FROM lake.vector_search('{data.name}', $1::real[])"
    truth = data.truth(np.arange(len(data.rows)))
    lines, out = {"pgvector, by hand": [], "lake.vector_search": []}, []
    for ef in SWEEP:
        await raw.execute(f"SET hnsw.ef_search = {ef}")
        runs = {"pgvector, by hand": (raw, sql), "lake.vector_search": (ours, lake, ef)}
        if ef == 200:
            runs["lake.vector_search (auto)"] = (ours, auto)
        results = await race(runs, data.queries, truth)
        by_hand = results["pgvector, by hand"]
        for name, (recall, worst, p50, p95, cpu) in results.items():
            out.append([ef, name, f"{recall:.3f}", f"{worst:.1f}", f"{p50:.2f}", f"{p95:.2f}", f"{p50 / by_hand[2]:.2f}",
                        f"{cpu:.2f}", f"{cpu / by_hand[4]:.2f}"])
            if name in lines:
                lines[name].append((cpu, recall, f"ef_search {ef}"))
    table(f"{data.title}: no filter", ["ef_search", "path", "recall@10", "worst", "p50 ms", "p95 ms", "×", "CPU ms", "×"], out)
    picture = pathlib.Path(__file__).parent.parent / "docs" / f"recall-{data.name}.svg"
    picture.write_text(recall_plot(f"{data.title}: recall against latency, ef_search {SWEEP[0]} to {SWEEP[-1]}", lines))
    await raw.close()
    await ours.close()


async def main() -> None:
    connection = await connect()
    for make in (words, sentences):
        data, filters = make()
        await data.load(connection)
        await unfiltered(data)
        await filtered(data, filters)
    await connection.close()


asyncio.run(main())
