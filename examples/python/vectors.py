"""Vectors from Python: a numpy matrix goes in as packed bytes, one call for all rows; search by a numpy vector.

Connects where PGHOST, PGUSER, PGDATABASE … point to. Needs: CREATE EXTENSION vector; CREATE EXTENSION lake_stores;
"""

import asyncio
import json

import asyncpg
import numpy as np

COLOURS = {
    "red": (1.0, 0.0, 0.0),
    "orange": (1.0, 0.55, 0.0),
    "yellow": (1.0, 1.0, 0.0),
    "green": (0.0, 0.8, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "navy": (0.0, 0.0, 0.5),
    "white": (1.0, 1.0, 1.0),
}


async def main() -> None:
    db = await asyncpg.connect()
    await db.execute("SELECT lake.vector_create('colours', dimensions => 3, metric => 'l2')")

    # A matrix of n rows is n × dimensions little-endian float32, one after the other.
    matrix = np.array(list(COLOURS.values()), dtype="<f4")
    metadata = [json.dumps({"light": float(sum(rgb)) >= 1.5}) for rgb in COLOURS.values()]
    written = await db.fetchrow(
        """
        SELECT inserted, updated, unchanged, rejected
        FROM lake.vector_upsert_many('colours', $1::text[], $2::bytea, $3::jsonb[])
        """,
        list(COLOURS),
        matrix.tobytes(),
        metadata,
    )
    print("written:", dict(written))

    query = np.array([0.9, 0.1, 0.1], dtype="<f4")
    print("nearest to a brick:")
    for row in await db.fetch("SELECT id, distance FROM lake.vector_search('colours', $1::real[], k => 3)", query.tolist()):
        print(f"  {row['id']}  {row['distance']:.3f}")

    print("nearest light one:")
    rows = await db.fetch(
        "SELECT id FROM lake.vector_search('colours', $1::real[], k => 1, filter => $2::jsonb)",
        query.tolist(),
        json.dumps({"light": True}),
    )
    print(" ", rows[0]["id"])

    try:
        await db.execute("SELECT lake.vector_upsert('colours', 'nothing', ARRAY[1, 'NaN', 0]::real[])")
    except asyncpg.PostgresError as error:
        print("refused:", error.sqlstate)

    await db.close()


asyncio.run(main())
