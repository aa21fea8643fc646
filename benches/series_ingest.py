"""Ingest of a fleet's metrics: binary COPY into the same kind of table against lake.series_ingest.

Data: 200 hosts × 1,000 points a second apart, in batches of 20,000, into a fresh native store; COPY has
the series ids already and writes to a table with the same columns, key and partitions.
"""

import asyncio
import datetime

from common import connect, table, timed

HOSTS, POINTS, BATCH, ROUNDS = 200, 1000, 20_000, 3
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


def batches() -> list[list[tuple]]:
    rows = [
        (START + datetime.timedelta(seconds=second), host, float((host * 31 + second) % 100))
        for second in range(POINTS)
        for host in range(HOSTS)
    ]
    return [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]


async def copy(connection, name: str, data) -> None:
    for batch in data:
        await connection.copy_records_to_table(
            name, records=batch, columns=["ts", "series_id", "value"]
        )


async def ingest(connection, name: str, data) -> None:
    for ts, metric, tags, value in data:
        await connection.execute(
            "SELECT lake.series_ingest($1::text::regclass, $2::timestamptz[], $3::text[], "
            "$4::jsonb[], $5::float8[])", name, ts, metric, tags, value,
        )


async def main() -> None:
    connection = await connect()
    raw = batches()
    named = [
        ([r[0] for r in b], ["cpu"] * len(b), [f'{{"host": "h{r[1]}"}}' for r in b], [r[2] for r in b])
        for b in raw
    ]
    rows = HOSTS * POINTS
    best = {"binary COPY": float("inf"), "lake.series_ingest": float("inf")}
    for turn in range(ROUNDS):
        await connection.execute(
            f"CREATE TABLE raw{turn} (ts timestamptz NOT NULL, series_id bigint NOT NULL, "
            f"value float8 NOT NULL, PRIMARY KEY (series_id, ts)) PARTITION BY RANGE (ts); "
            f"CREATE TABLE raw{turn}_p PARTITION OF raw{turn} FOR VALUES FROM ('2026-01-01') TO ('2026-01-02'); "
            f"SELECT lake.series_create('store{turn}', engine => 'native')"
        )
        elapsed, _ = await timed(lambda: copy(connection, f"raw{turn}", raw))
        best["binary COPY"] = min(best["binary COPY"], elapsed)
        elapsed, _ = await timed(lambda: ingest(connection, f"store{turn}", named))
        best["lake.series_ingest"] = min(best["lake.series_ingest"], elapsed)
    base = best["binary COPY"]
    table(
        f"Ingest of {rows:,} points, native partitions",
        ["path", "rows/s", "against COPY"],
        [[name, f"{rows / ms * 1000:,.0f}", f"{base / ms:.2f} ×"] for name, ms in best.items()],
    )
    await connection.close()


asyncio.run(main())
