"""GeoJSON to geometry, validation included: PostGIS' parser against lake_stores' scanner.

Data: points, and polygons of 101 positions round them, made from a fixed seed; as text in a table, so
that both sides read the same rows.
"""

import asyncio

from common import connect, in_turns, table

POINTS = """
CREATE TABLE points AS
SELECT i, format('{"type":"Point","coordinates":[%s,%s]}',
                 round((random() * 360 - 180)::numeric, 6), round((random() * 170 - 85)::numeric, 6)) AS doc
FROM generate_series(1, 100000) i
"""
POLYGONS = """
CREATE TABLE polygons AS
SELECT c.i, format('{"type":"Polygon","coordinates":[[%s]]}',
       string_agg(format('[%s,%s]', round((x + cos(a * pi() / 50))::numeric, 6),
                         round((y + sin(a * pi() / 50))::numeric, 6)), ',' ORDER BY a)) AS doc
FROM (SELECT i, random() * 300 - 150 AS x, random() * 140 - 70 AS y FROM generate_series(1, 5000) i) c,
     generate_series(0, 100) a
GROUP BY c.i
"""


async def main() -> None:
    connection = await connect()
    await connection.execute("SELECT setseed(0.5); SET max_parallel_workers_per_gather = 0")
    rows = []
    for name, sql in {"point": POINTS, "polygon, 101 positions": POLYGONS}.items():
        await connection.execute(sql)
        source = "points" if name == "point" else "polygons"
        count = await connection.fetchval(f"SELECT count(*) FROM {source}")
        medians = await in_turns(
            {
                call: lambda call=call: connection.fetchval(
                    f"SELECT count({call}) FROM {source}"
                )
                for call in (
                    "ST_GeomFromGeoJSON(doc)",
                    "lake.geojson_to_geometry(doc)",
                    "lake.geojson_to_ewkb(doc)",
                    "lake.geojson_is_valid(doc)",
                )
            },
            rounds=5,
        )
        base = medians["ST_GeomFromGeoJSON(doc)"]
        for call, median in medians.items():
            rows.append([name, f"`{call}`", f"{median * 1000 / count:.2f}", f"{base / median:.1f} ×"])
    table("GeoJSON to geometry", ["document", "call", "µs each", "against PostGIS"], rows)
    await connection.close()


asyncio.run(main())
