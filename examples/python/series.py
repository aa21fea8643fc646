"""Time series from Python: ingest arrays of points, aggregate them in buckets, see what was refused.

Connects where PGHOST, PGUSER, PGDATABASE … point to. Needs: CREATE EXTENSION lake_stores;
"""

import asyncio
import json
from datetime import datetime, timedelta, timezone

import asyncpg

START = datetime(2024, 2, 29, tzinfo=timezone.utc)


async def main() -> None:
    db = await asyncpg.connect()
    await db.execute("SET timezone = 'UTC'")
    await db.execute("SELECT lake.series_create('weather', chunk_interval => '1 day')")
    await db.execute("SELECT lake.series_define_metric('weather', 'celsius', unit => '°C', min_value => -90, max_value => 60)")

    # A reading every ten minutes for two days, one degree warmer in each hour of the day.
    times = [START + timedelta(minutes=10 * i) for i in range(288)]
    values = [float(ts.hour) for ts in times]
    ingest = """
        SELECT accepted, duplicate, rejected
        FROM lake.series_ingest('weather', $1::timestamptz[], $2::text[], $3::jsonb[], $4::float8[], on_error => 'reject')
    """
    tags = json.dumps({"station": "Zürich"})
    arrays = (times, ["celsius"] * len(times), [tags] * len(times), values)
    print("first time: ", dict(await db.fetchrow(ingest, *arrays)))
    print("once more:  ", dict(await db.fetchrow(ingest, *arrays)))
    print("too hot:    ", dict(await db.fetchrow(ingest, [START], ["celsius"], [tags], [451.0])))

    print("means of six hours:")
    rows = await db.fetch(
        """
        SELECT ts, value
        FROM lake.series_query('weather', 'celsius', from_ts => $1::timestamptz, to_ts => $2::timestamptz, bucket => '6 hours')
        ORDER BY ts
        """,
        START,
        START + timedelta(days=2),
    )
    for row in rows:
        print(f"  {row['ts']:%Y-%m-%d %H:%M}  {row['value']:.1f}")

    latest = await db.fetchrow("SELECT ts, value FROM lake.series_latest('weather', 'celsius')")
    print(f"latest: {latest['ts']:%Y-%m-%d %H:%M}  {latest['value']:.1f}")

    await db.close()


asyncio.run(main())
