"""Places from Python: validate GeoJSON, write a FeatureCollection, ask what is near.

Connects where PGHOST, PGUSER, PGDATABASE … point to. Needs: CREATE EXTENSION postgis; CREATE EXTENSION lake_stores;
"""

import asyncio
import json

import asyncpg

SUMMITS = [
    ("Matterhorn", 7.6586, 45.9764, 4478),
    ("Dent Blanche", 7.6119, 46.0342, 4357),
    ("Weisshorn", 7.7161, 46.1014, 4506),
    ("Mont Blanc", 6.8652, 45.8326, 4806),
    ("Eiger", 8.0053, 46.5775, 3967),
]


def feature(name: str, lon: float, lat: float, metres: int) -> dict:
    return {
        "type": "Feature",
        "id": name,
        "geometry": {"type": "Point", "coordinates": [lon, lat]},
        "properties": {"metres": metres},
    }


async def main() -> None:
    db = await asyncpg.connect()
    await db.execute("SELECT lake.geo_create('summits', geometry_type => 'Point')")

    # One feature has latitude and longitude of a map that was read upside down.
    features = [feature(*summit) for summit in SUMMITS] + [feature("Upside down", 46.5, 97.6, 0)]
    document = json.dumps({"type": "FeatureCollection", "features": features})

    for fault in await db.fetch("SELECT severity, pointer FROM lake.geojson_validate($1::text)", document):
        print("fault:", fault["severity"], fault["pointer"])

    written = await db.fetchrow(
        """
        SELECT inserted, updated, unchanged, rejected
        FROM lake.geo_upsert_many('summits', $1::jsonb, on_error => 'reject')
        """,
        document,
    )
    print("written:", dict(written))
    for row in await db.fetch("SELECT ordinal, id FROM lake.rejects WHERE store = 'summits'::regclass"):
        print(f"rejected: row {row['ordinal']}, {row['id']}")

    print("within 20 km of Zermatt:")
    near = "SELECT id, distance_m FROM lake.geo_near('summits', $1, $2, radius_m => 20000)"
    for row in await db.fetch(near, 7.7491, 46.0207):
        print(f"  {row['id']}  {row['distance_m'] / 1000:.1f} km")

    print("nearest above 4,500 m from Grindelwald:")
    nearest = "SELECT id FROM lake.geo_nearest('summits', $1, $2, k => 1, filter => $3::jsonb)"
    print(" ", await db.fetchval(nearest, 8.0360, 46.6242, json.dumps({"metres": {"$gte": 4500}})))

    await db.close()


asyncio.run(main())
