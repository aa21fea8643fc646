"""Rows a second into a vector store, beside the raw ways, and what bad rows cost.

Data: 10,000 random vectors of 384 dimensions, text ids, small metadata, short content; the table is that of
lake.vector_create, without a vector index. Each way writes the same rows into the emptied table, from one client over
a socket; what it sends is prepared beforehand. Ways take turns; the best of several rounds counts.
"""

import asyncio
import json
import time

import numpy as np
from common import connect, table

ROWS, DIMENSIONS, ROUNDS, VALUES = 10_000, 384, 5, 500
COLUMNS = ["id", "embedding", "metadata", "content"]
MERGE = (
    "INSERT INTO docs (id, embedding, metadata, content) {} ON CONFLICT (id) DO UPDATE "
    "SET embedding = excluded.embedding, metadata = excluded.metadata, content = excluded.content"
)


class Data:
    def __init__(self) -> None:
        random = np.random.default_rng(5)
        self.vectors = random.standard_normal((ROWS, DIMENSIONS)).astype("<f4")
        self.ids = [f"doc-{i:06}" for i in random.permutation(ROWS)]
        self.metadatas = [f'{{"lang": "en", "year": {2000 + i % 25}}}' for i in range(ROWS)]
        self.contents = [f"the text of document {i}" for i in range(ROWS)]
        self.texts = ["[" + ",".join(map(str, v)) + "]" for v in self.vectors.tolist()]
        head = DIMENSIONS.to_bytes(2, "big") + b"\0\0"
        packed = [head + v.astype(">f4").tobytes() for v in self.vectors]
        self.binary = list(zip(self.ids, packed, self.metadatas, self.contents, strict=True))
        self.bytes = self.vectors.tobytes()
        self.reals = self.vectors.ravel().tolist()
        self.items = json.dumps([
            {"id": i, "embedding": v, "metadata": json.loads(m), "content": c}
            for i, v, m, c in zip(self.ids, self.vectors.tolist(), self.metadatas, self.contents, strict=True)
        ])
        self.parameters = []
        for start in range(0, ROWS, VALUES):
            part = []
            for i in range(start, start + VALUES):
                part += [self.ids[i], self.texts[i], self.metadatas[i], self.contents[i]]
            self.parameters.append(part)
        cells = ", ".join(
            f"(${n + 1}, ${n + 2}::text::vector, ${n + 3}::jsonb, ${n + 4})"
            for n in range(0, 4 * VALUES, 4)
        )
        self.values = MERGE.format(f"VALUES {cells}")


async def multi_values(connection, data: Data) -> None:
    async with connection.transaction():
        for part in data.parameters:
            await connection.execute(data.values, *part)


async def staged(connection, data: Data) -> None:
    async with connection.transaction():
        await connection.execute(
            "CREATE TEMP TABLE stage (id text, embedding vector, metadata jsonb, content text) ON COMMIT DROP"
        )
        await connection.copy_records_to_table("stage", records=data.binary, columns=COLUMNS)
        await connection.execute(
            MERGE.format("SELECT DISTINCT ON (id) id, embedding, metadata, content FROM stage ORDER BY id")
        )


async def copy(connection, data: Data) -> None:
    await connection.copy_records_to_table("docs", records=data.binary, columns=COLUMNS)


def many(embeddings: str, cast: str, on_error: str = "raise"):
    async def way(connection, data: Data) -> None:
        await connection.execute(
            f"SELECT lake.vector_upsert_many('docs', $1::text[], $2::{cast}, $3::jsonb[], $4::text[], '{on_error}')",
            data.ids, getattr(data, embeddings), data.metadatas, data.contents,
        )
    return way


async def items(connection, data: Data) -> None:
    await connection.execute("SELECT lake.vector_upsert_many('docs', $1::text)", data.items)


async def best(connection, ways: dict) -> dict:
    """Seconds of each way; a way is (function, data, statement that prepares)."""
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, (way, data, before) in ways.items():
            await connection.execute(before)
            start = time.perf_counter()
            await way(connection, data)
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds


async def main() -> None:
    connection = await connect()
    await connection.execute("SET client_min_messages = error; SET synchronous_commit = off")
    await connection.execute(f"SELECT lake.vector_create('docs', {DIMENSIONS})")
    await connection.execute("ALTER TABLE docs ADD CHECK (content <> 'no')")
    await connection.set_type_codec("vector", schema="public", encoder=lambda b: b, decoder=bytes, format="binary")
    good, zero, refused = Data(), Data(), Data()
    zero.bytes = bytes(4 * DIMENSIONS) + zero.bytes[4 * DIMENSIONS:]
    refused.contents[4_321] = "no"
    empty = "TRUNCATE docs"
    seconds = await best(connection, {
        f"{VALUES}-row multi-VALUES, text": (multi_values, good, empty),
        "binary COPY, staging table, upsert": (staged, good, empty),
        "binary COPY, no upsert": (copy, good, empty),
        "`vector_upsert_many`, bytea": (many("bytes", "bytea"), good, empty),
        "`vector_upsert_many`, real[]": (many("reals", "real[]"), good, empty),
        "`vector_upsert_many`, JSON text": (items, good, empty),
    })
    values, stage = (list(seconds.values())[i] for i in (0, 1))
    table(
        f"Ingest, {ROWS:,} rows × {DIMENSIONS} dimensions",
        ["path", "rows/s", "against multi-VALUES", "against staging"],
        [[n, f"{ROWS / s:,.0f}", f"{values / s:.2f} ×", f"{stage / s:.2f} ×"] for n, s in seconds.items()],
    )
    raised, rejecting = many("bytes", "bytea"), many("bytes", "bytea", "reject")
    seconds = await best(connection, {
        "no bad row, `raise`": (raised, good, empty),
        "no bad row, `reject`": (rejecting, good, empty),
        "one zero vector, `reject`": (rejecting, zero, empty),
        "one row that a CHECK refuses, `reject`": (rejecting, refused, empty),
        "rows that are there already": (raised, good, "SELECT 1"),
    })
    base = next(iter(seconds.values()))
    table(
        "What bad rows and repetition cost",
        ["batch", "ms", "time against the first"],
        [[n, f"{s * 1000:.0f}", f"{s / base:.2f} ×"] for n, s in seconds.items()],
    )
    await connection.close()


asyncio.run(main())
