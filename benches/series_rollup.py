"""Rollups: what one costs while points come in, and what it saves when they are read.

Ingest: the same batches into a store without a rollup and into one with a rollup by hour, in turns; both have one
chunk, which is new in each round. Reading: a week of points by hour, from the view of a rollup and aggregated from
the points, over everything and over one series.
"""

import asyncio
import datetime

from common import connect, in_turns, table
from series_common import START, best_of, engines, store

ROUNDS = 5
HOSTS = 200
# Points in a batch, and how many batches make a round.
BATCHES = {20_000: 10, 1_000: 50, 100: 200, 1: 1_000}
WEEK = "generate_series('2026-01-01Z'::timestamptz, '2026-01-07 23:59Z', interval '1 minute') t, generate_series(1, 50) n"


def batches(size: int, count: int) -> list[list[tuple]]:
    rows = [
        (START + datetime.timedelta(milliseconds=i * 100), i % HOSTS + 1, float(i % 100))
        for i in range(size * count)
    ]
    return [rows[i : i + size] for i in range(0, len(rows), size)]


async def fresh(connection, name: str, engine: str, rollup: bool) -> None:
    await store(connection, name, engine)
    # The chunk and the series are there already.
    await connection.execute(
        f"SELECT lake.series_ingest('{name}', array_fill($1::timestamptz, ARRAY[{HOSTS}]), array_fill('cpu'::text, ARRAY[{HOSTS}]), "
        f"(SELECT array_agg(jsonb_build_object('host', 'h' || n) ORDER BY n) FROM generate_series(0, {HOSTS - 1}) n), "
        f"array_fill(0::float8, ARRAY[{HOSTS}]))",
        START + datetime.timedelta(hours=23),
    )
    if rollup:
        await connection.execute(f"SELECT lake.series_add_rollup('{name}', '{name}_hourly', '1 hour', '{{avg,min,max,count}}')")
        await connection.execute(f"SELECT lake.series_refresh_rollup('{name}_hourly')")


async def ingest(connection, engine: str) -> None:
    found = []
    for size, count in BATCHES.items():
        raw = batches(size, count)
        columns = [list(map(list, zip(*batch))) for batch in raw]
        named = [
            (ts, ["cpu"] * len(ts), [f'{{"host": "h{host - 1}"}}' for host in hosts], values)
            for ts, hosts, values in columns
        ]

        def by_copy(name):
            async def run():
                for batch in raw:
                    await connection.copy_records_to_table(name, records=batch, columns=["ts", "series_id", "value"])
            return run

        def by_insert(name):
            async def run():
                sql = f"INSERT INTO {name} (ts, series_id, value) SELECT * FROM unnest($1::timestamptz[], $2::int8[], $3::float8[])"
                statement = await connection.prepare(sql)
                for batch in columns:
                    await statement.fetch(*batch)
            return run

        def by_arrays(name):
            async def run():
                statement = await connection.prepare(
                    f"SELECT lake.series_ingest('{name}', $1::timestamptz[], $2::text[], $3::jsonb[], $4::float8[])"
                )
                for batch in named:
                    await statement.fetch(*batch)
            return run

        for path, run in {"binary COPY": by_copy, "INSERT … unnest": by_insert, "lake.series_ingest": by_arrays}.items():
            def prepare(name, rollup):
                return lambda: fresh(connection, name, engine, rollup)

            best = await best_of(
                connection,
                {"without": (prepare("plain", False), run("plain")), "with": (prepare("rolled", True), run("rolled"))},
                ROUNDS,
            )
            (plain, plain_cpu), (rolled, rolled_cpu) = best["without"], best["with"]
            found.append([
                f"{size:,}", path, f"{plain / count:.2f} ms", f"{rolled / count:.2f} ms",
                f"{rolled / plain:.2f} ×", f"{rolled_cpu / plain_cpu:.2f} ×",
            ])
    table(
        f"Ingest with one rollup, {engine}",
        ["points a statement", "path", "without", "with", "ratio", "ratio of server CPU"],
        found,
    )


async def reading(connection, engine: str) -> None:
    await store(connection, "weekly", engine)
    await connection.execute(
        "SELECT lake.series_ingest('weekly', array_agg(t), array_agg('m' || n), NULL, array_agg((n * extract(epoch FROM t)::int8 % 977)::float8)) "
        f"FROM {WEEK} GROUP BY t::date"
    )
    await connection.execute("VACUUM ANALYZE weekly")
    await connection.execute(
        "SELECT lake.series_add_rollup('weekly', 'weekly_hourly', '1 hour', '{avg,max,p95}')"
    )
    points = "SELECT lake.bucket('1 hour', ts, 'UTC') AS bucket, series_id, sum(value) / count(*) AS avg, max(value) AS max FROM weekly"
    view = "SELECT bucket, series_id, avg, max FROM weekly_hourly"

    async def measured(what: str) -> list[list]:
        rows = []
        for of, where in {"everything": "", "one series": "WHERE series_id = 7",
                          "one series, one day": "WHERE series_id = 7 AND {0} >= '2026-01-05Z' AND {0} < '2026-01-06Z'"}.items():
            asked = {
                "points": lambda where=where: connection.fetch(f"{points} {where.format('ts')} GROUP BY 1, 2"),
                "view": lambda where=where: connection.fetch(f"{view} {where.format('bucket')}"),
            }
            times = await in_turns(asked, ROUNDS)
            rows.append([what, of, f"{times['points']:.1f} ms", f"{times['view']:.1f} ms", f"{times['view'] / times['points']:.2f} ×"])
        return rows

    found = await measured("nothing is refreshed")
    await connection.execute("SELECT lake.series_refresh_rollup('weekly_hourly'); ANALYZE weekly_hourly_parts")
    found += await measured("all is refreshed")
    await connection.execute("UPDATE weekly SET value = value + 1 WHERE ts >= '2026-01-07 23:00Z'")
    found += await measured("the last hour waits")
    table(f"Reading a week by hour, 504,000 points of 50 series, {engine}", ["refreshed", "asked for", "points", "view", "ratio"], found)


async def main() -> None:
    connection = await connect()
    for engine in await engines(connection):
        await ingest(connection, engine)
        await reading(connection, engine)
    await connection.close()


asyncio.run(main())
