"""Searches that are more than one nearest-neighbour query, beside SQL written by hand: many queries in one call, vectors and
full text in one ranking, recommendation, quantised indexes with re-ranking.

Data: WordNet glosses as sentence embeddings (384 dimensions) with their texts, HNSW with default parameters, hnsw.ef_search 200
for the hand-written too, which is what lake.vector_search takes untuned. Contenders take turns on connections of their own.
"""

import asyncio
import json
import os
import statistics

import asyncpg
import numpy as np
from common import connect, table, timed
from data import glosses

QUERIES, K = 50, 10
BY_HAND = "SET hnsw.ef_search = 200; SET hnsw.iterative_scan = relaxed_order"
ONE = "SELECT id, embedding <=> $1::real[]::vector AS distance FROM more ORDER BY embedding <=> $1::real[]::vector LIMIT 10"
FUSED = """
WITH v AS (SELECT id, row_number() OVER (ORDER BY d) AS place FROM (
         SELECT id, embedding <=> $1::real[]::vector AS d FROM more ORDER BY embedding <=> $1::real[]::vector LIMIT 50) s),
     t AS (SELECT id, row_number() OVER (ORDER BY rank DESC, id) AS place FROM (
         SELECT id, ts_rank_cd(to_tsvector('english', coalesce(content, '')), websearch_to_tsquery('english', $2)) AS rank FROM more
         WHERE to_tsvector('english', coalesce(content, '')) @@ websearch_to_tsquery('english', $2) ORDER BY rank DESC, id LIMIT 50) s)
SELECT id, coalesce(1.0 / (60 + v.place), 0) + coalesce(1.0 / (60 + t.place), 0) AS score
FROM v FULL JOIN t USING (id) ORDER BY score DESC, id LIMIT 10"""


async def session(settings: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(os.environ["LAKE_BENCH_DSN"], timeout=30)
    await connection.execute("SET search_path = bench, public; SELECT '[1]'::vector; " + settings)
    return connection


async def race(calls: dict, rounds: int) -> dict[str, float]:
    """Median milliseconds of each, `call(n)` for the n-th round; who begins changes each round."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 3):
        for name, call in list(calls.items())[:: 1 if turn % 2 else -1]:
            elapsed, _ = await timed(lambda: call(turn % rounds))
            if turn >= 3:  # the first ones plan, and warm caches
                times[name].append(elapsed)
    return {name: statistics.median(values) for name, values in times.items()}


def show(title: str, medians: dict[str, float]) -> None:
    first = next(iter(medians.values()))
    table(title, ["way", "p50 ms", "time against the first"],
          [[name, f"{ms:.2f}", f"{ms / first:.2f} ×"] for name, ms in medians.items()])


async def load(connection, rows: np.ndarray, texts: list[str]) -> None:
    await connection.execute(
        "SELECT lake.vector_create('more', 384, text_config => 'english', options => '{\"index\": \"none\"}')")
    for start in range(0, len(rows), 10_000):
        part = rows[start : start + 10_000]
        await connection.execute(
            "SELECT lake.vector_upsert_many('more', $1::text[], $2::bytea, $3::jsonb[], $4::text[])",
            [str(start + i) for i in range(len(part))], part.astype("<f4").tobytes(),
            [json.dumps({})] * len(part), texts[start : start + 10_000])
    await connection.execute(
        "SET maintenance_work_mem = '1GB'; CREATE INDEX plain ON more USING hnsw (embedding vector_cosine_ops)")
    await connection.execute("VACUUM ANALYZE more")
    await connection.execute("SELECT lake.vector_calibrate('more')")


async def many(ours, hand, queries) -> None:
    flat = queries.astype("<f4").tobytes()
    lists = [query.tolist() for query in queries]

    async def one_by_one(connection, sql):
        for query in lists:
            await connection.fetch(sql, query)

    lateral = (
        "SELECT q.n, s.* FROM generate_series(1, $2) AS q (n) CROSS JOIN LATERAL ("
        "SELECT id FROM more ORDER BY embedding <=> ($1::real[])[(q.n - 1) * 384 + 1 : q.n * 384]::vector LIMIT 10) s")
    show(f"{QUERIES} queries", await race({
        "pgvector, one by one": lambda n: one_by_one(hand, ONE),
        "pgvector, LATERAL over an array": lambda n: hand.fetch(lateral, queries.ravel().tolist(), len(queries)),
        "`lake.vector_search`, one by one": lambda n: one_by_one(
            ours, "SELECT id, distance FROM lake.vector_search('more', $1::real[], 10)"),
        "`lake.vector_search_many`, bytea": lambda n: ours.fetch(
            "SELECT ordinal, id, distance FROM lake.vector_search_many('more', $1::bytea, 10)", flat),
    }, 10))


async def hybrid(ours, hand, queries, words) -> None:
    show("Vectors and full text", await race({
        "by hand, one statement": lambda n: hand.fetch(FUSED, queries[n].tolist(), words[n]),
        "`lake.vector_hybrid_search`": lambda n: ours.fetch(
            "SELECT id, score FROM lake.vector_hybrid_search('more', $1::real[], $2, 10)", queries[n].tolist(), words[n]),
    }, QUERIES))


async def recommend(ours, hand, count: int) -> None:
    picks = [[str(int(i)) for i in row] for row in np.random.default_rng(3).integers(0, count, (QUERIES, 3))]
    mean = (
        "WITH q AS MATERIALIZED (SELECT avg(embedding) AS v FROM more WHERE id = ANY ($1)) SELECT id FROM more "
        "WHERE id <> ALL ($1) ORDER BY embedding <=> (SELECT v FROM q) LIMIT 10")
    show("Rows like three others", await race({
        "by hand: the mean of them": lambda n: hand.fetch(mean, picks[n]),
        "`lake.vector_recommend`": lambda n: ours.fetch("SELECT id FROM lake.vector_recommend('more', $1::text[])", picks[n]),
    }, QUERIES))


async def quantised(connection, ours, hand, queries, truth) -> None:
    shapes = {
        "as it is": ("embedding vector_cosine_ops", ONE),
        "`halfvec`": ("(embedding::halfvec(384)) halfvec_cosine_ops",
                      "SELECT id FROM more ORDER BY embedding::halfvec(384) <=> $1::real[]::vector::halfvec(384) LIMIT 10"),
        "signs": ("(binary_quantize(embedding)::bit(384)) bit_hamming_ops",
                  "SELECT id FROM (SELECT id, embedding FROM more ORDER BY binary_quantize(embedding)::bit(384) <~> "
                  "binary_quantize($1::real[]::vector)::bit(384) LIMIT 200) s ORDER BY embedding <=> $1::real[]::vector LIMIT 10"),
    }
    search = "SELECT id FROM lake.vector_search('more', $1::real[], 10, mode => 'approximate')"
    out = []
    for name, (key, by_hand) in shapes.items():
        await connection.execute(f"DROP INDEX plain; CREATE INDEX plain ON more USING hnsw ({key})")
        size = await connection.fetchval("SELECT pg_relation_size('plain')")
        await connection.execute("SELECT lake.vector_calibrate('more')")
        medians = await race({
            "hand": lambda n: hand.fetch(by_hand, queries[n].tolist()),
            "ours": lambda n: ours.fetch(search, queries[n].tolist()),
        }, QUERIES)

        async def recall(contender, sql):
            found = [{r["id"] for r in await contender.fetch(sql, query.tolist())} for query in queries]
            return statistics.mean(len(a & b) / K for a, b in zip(found, truth))

        out.append([name, f"{size / 2**20:.0f}", f"{await recall(hand, by_hand):.3f}", f"{await recall(ours, search):.3f}",
                    f"{medians['hand']:.2f}", f"{medians['ours']:.2f}", f"{medians['ours'] / medians['hand']:.2f} ×"])
    table("Quantised indexes", ["index holds", "MB", "recall@10 by hand", "recall@10 `lake.vector_search`", "by hand, p50 ms",
                                "`lake.vector_search`, p50 ms", "time against by hand"], out)


async def main() -> None:
    vectors, lines = glosses()
    rows, queries = vectors[:-QUERIES], vectors[-QUERIES:]
    texts = [text for _, _, text in lines]
    words = [" OR ".join(text.split()[:4]).replace('"', "") for text in texts[-QUERIES:]]
    normed = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    truth = [{str(i) for i in np.argsort(-(normed @ query))[:K]} for query in queries]
    connection = await connect()
    await load(connection, rows, texts[: len(rows)])
    ours, hand = await session(""), await session(BY_HAND)
    await many(ours, hand, queries)
    await hybrid(ours, hand, queries, words)
    await recommend(ours, hand, len(rows))
    await quantised(connection, ours, hand, queries, truth)
    for each in (connection, ours, hand):
        await each.close()


asyncio.run(main())
