"""Ingest of a fleet's metrics: binary COPY and inserts by hand against lake.series_ingest and line protocol.

Two shapes, both in batches of 20,000 points: 200 hosts × 1,000 points a second apart (each series comes a hundred
times in a batch), and 20,000 hosts × 10 points (each comes once). Everything goes into a table with the same
columns, the same key and one chunk, which is new in each round; what isn't lake_stores has the series ids already.
"""

import asyncio
import datetime

from common import connect, table
from series_common import START, best_of, engines, raw_table, store

BATCH, ROUNDS = 20_000, 3
NANOSECONDS = 1_000_000_000
SHAPES = {"200 series × 1,000 points": (200, 1000), "20,000 series × 10 points": (20_000, 10)}
INSERT = "INSERT INTO raw (ts, series_id, value)"
IGNORE = "ON CONFLICT (series_id, ts) DO NOTHING"


def batches(hosts: int, points: int) -> list[list[tuple]]:
    rows = [
        (START + datetime.timedelta(seconds=second), host, float((host * 31 + second) % 100))
        for second in range(points)
        for host in range(hosts)
    ]
    return [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]


def as_lines(batch: list[tuple]) -> str:
    epoch = int(START.timestamp())
    return "\n".join(
        f"cpu,host=h{host} value={value} {(epoch + (ts - START).seconds) * NANOSECONDS}"
        for ts, host, value in batch
    )


def contenders(connection, engine: str, raw: list[list[tuple]]) -> dict:
    columns = [list(map(list, zip(*batch))) for batch in raw]
    named = [
        (ts, ["cpu"] * len(ts), [f'{{"host": "h{host}"}}' for host in hosts], values)
        for ts, hosts, values in columns
    ]
    # Each series once, and its number with each point, as a client that knows its series would hold them.
    numbered = []
    for ts, hosts, values in columns:
        of = {host: number for number, host in enumerate(dict.fromkeys(hosts), 1)}
        tags = [f'{{"host": "h{host}"}}' for host in of]
        numbered.append((ts, ["cpu"] * len(of), tags, values, [of[host] for host in hosts]))
    lines = [as_lines(batch) for batch in raw]
    # As many rows in a statement as a client would send; parameters end at 65,535.
    per = 1000
    places = ", ".join(f"(${3 * i + 1}, ${3 * i + 2}, ${3 * i + 3})" for i in range(per))

    async def fresh_table():
        await raw_table(connection, "raw", engine)

    async def fresh_store():
        await store(connection, "store", engine)
        # One point of each series, a second before the others: what isn't lake_stores has the ids already too.
        hosts = sorted({row[1] for batch in raw for row in batch})
        await connection.execute(
            "SELECT lake.series_ingest('store', array_fill($1::timestamptz, ARRAY[cardinality($2::text[])]), "
            "array_fill('cpu'::text, ARRAY[cardinality($2)]), "
            "(SELECT array_agg(jsonb_build_object('host', host)) FROM unnest($2) host), "
            "array_fill(0::float8, ARRAY[cardinality($2)]))",
            START - datetime.timedelta(seconds=1), [f"h{host}" for host in hosts],
        )

    async def copy():
        for batch in raw:
            await connection.copy_records_to_table("raw", records=batch, columns=["ts", "series_id", "value"])

    async def values():
        statement = await connection.prepare(f"{INSERT} VALUES {places} {IGNORE}")
        for batch in raw:
            for at in range(0, len(batch), per):
                await statement.fetch(*(cell for row in batch[at : at + per] for cell in row))

    async def unnest():
        for batch in columns:
            await connection.execute(
                f"{INSERT} SELECT * FROM unnest($1::timestamptz[], $2::int8[], $3::float8[]) {IGNORE}", *batch
            )

    async def arrays():
        for batch in named:
            await connection.execute(
                "SELECT lake.series_ingest('store', $1::timestamptz[], $2::text[], $3::jsonb[], $4::float8[])",
                *batch,
            )

    async def by_number():
        for batch in numbered:
            await connection.execute(
                "SELECT lake.series_ingest('store', $1::timestamptz[], $2::text[], $3::jsonb[], $4::float8[], "
                "series => $5::int4[])",
                *batch,
            )

    async def line_protocol():
        for text in lines:
            await connection.execute("SELECT lake.series_ingest_line_protocol('store', $1)", text)

    return {
        "binary COPY": (fresh_table, copy),
        "INSERT … VALUES, 1,000 rows": (fresh_table, values),
        "INSERT … unnest": (fresh_table, unnest),
        "lake.series_ingest": (fresh_store, arrays),
        "lake.series_ingest, series": (fresh_store, by_number),
        "lake.series_ingest_line_protocol": (fresh_store, line_protocol),
    }


async def main() -> None:
    connection = await connect()
    for engine in await engines(connection):
        for shape, (hosts, points) in SHAPES.items():
            rows = hosts * points
            best = await best_of(connection, contenders(connection, engine, batches(hosts, points)), ROUNDS)
            clock, cpu = best["binary COPY"]
            table(
                f"Ingest, {shape}, {engine}",
                ["path", "rows/s", "against COPY", "rows/s of server CPU", "against COPY"],
                [
                    [name, f"{rows / ms * 1000:,.0f}", f"{clock / ms:.2f} ×",
                     f"{rows / server * 1000:,.0f}", f"{cpu / server:.2f} ×"]
                    for name, (ms, server) in best.items()
                ],
            )
    await connection.close()


asyncio.run(main())
