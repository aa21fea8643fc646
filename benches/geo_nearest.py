"""The ten nearest places: geography's own <-> against lake.geo_nearest, and how often each is right.

Data: 300,000 points clustered round 3,000 centres, in random order, from a fixed seed; 200 queries. Truth:
exhaustive spheroidal distance.
"""

import asyncio
import random
import statistics

from common import connect, table, timed

LOAD = """
SELECT setseed(0.25);
SELECT lake.geo_create('places', geometry_type => 'Point');
INSERT INTO places (id, geom, properties)
SELECT i::text, ST_SetSRID(ST_MakePoint(x + random() * 0.4 - 0.2, y + random() * 0.4 - 0.2), 4326), '{}'
FROM (SELECT i, c.x, c.y FROM generate_series(1, 300000) i
      JOIN (SELECT n, random() * 350 - 175 AS x, random() * 140 - 70 AS y FROM generate_series(0, 2999) n) c
        ON c.n = (i::bigint * 7919) % 3000) s
ORDER BY random();
VACUUM ANALYZE places;
"""
RAW = """
SELECT id FROM places ORDER BY geom::geography <-> ST_SetSRID(ST_MakePoint($1, $2), 4326)::geography LIMIT 10
"""
OURS = "SELECT id FROM lake.geo_nearest('places', $1, $2, 10)"
TRUTH = """
SELECT id FROM places
WHERE geom && ST_MakeEnvelope($1::float8 - 8, $2::float8 - 8, $1::float8 + 8, $2::float8 + 8, 4326)
ORDER BY ST_Distance(geom::geography, ST_SetSRID(ST_MakePoint($1, $2), 4326)::geography), id COLLATE "C" LIMIT 10
"""


async def main() -> None:
    connection = await connect()
    for statement in LOAD.split(";\n"):
        if statement.strip():
            await connection.execute(statement)
    chooser = random.Random(3)
    points = await connection.fetch("SELECT ST_X(geom) x, ST_Y(geom) y FROM places TABLESAMPLE SYSTEM (5) REPEATABLE (1)")
    queries = [(p["x"], p["y"]) for p in chooser.sample(points, 200) if abs(p["x"]) < 165]
    rows = []
    for name, sql in {"geography `<->`": RAW, "`lake.geo_nearest`": OURS}.items():
        times, ordered = [], 0
        await connection.fetch(sql, *queries[0])
        for query in queries:
            elapsed, found = await timed(lambda: connection.fetch(sql, *query))
            times.append(elapsed)
            best = [r["id"] for r in await connection.fetch(TRUTH, *query)]
            ordered += [r["id"] for r in found] == best
        rows.append([name, f"{statistics.median(times):.2f}", f"{ordered / len(queries):.1%}"])
    table("Ten nearest of 300,000 places", ["path", "p50 ms", "in true spheroidal order"], rows)
    await connection.close()


asyncio.run(main())
