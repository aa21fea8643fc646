// All three stores from Node with the `pg` client. Connects where PGHOST, PGUSER, PGDATABASE … point to.
// Needs: CREATE EXTENSION vector; CREATE EXTENSION postgis; CREATE EXTENSION lake_stores;
const { Client } = require('pg');

async function vectors(db) {
  await db.query("SELECT lake.vector_create('docs', dimensions => 3)");
  const items = [
    { id: 'cat', embedding: [0.9, 0.1, 0], metadata: { legs: 4 } },
    { id: 'dog', embedding: [0.8, 0.3, 0], metadata: { legs: 4 } },
    { id: 'hen', embedding: [0.7, 0, 0.6], metadata: { legs: 2 } },
  ];
  const written = await db.query("SELECT inserted FROM lake.vector_upsert_many('docs', $1::jsonb)", [JSON.stringify(items)]);
  console.log('vectors written:', Number(written.rows[0].inserted));
  const found = await db.query("SELECT id FROM lake.vector_search('docs', $1::real[], k => 2, filter => $2::jsonb)", [
    [1, 0, 0],
    { legs: 4 },
  ]);
  console.log('most alike with four legs:', found.rows.map((row) => row.id).join(', '));
}

async function series(db) {
  await db.query("SELECT lake.series_create('power')");
  const points = Array.from({ length: 24 }, (_, hour) => ({
    ts: new Date(Date.UTC(2024, 0, 1, hour)).toISOString(),
    metric: 'kw',
    tags: { meter: 'A' },
    value: hour,
  }));
  const written = await db.query("SELECT accepted FROM lake.series_ingest('power', $1::jsonb)", [JSON.stringify(points)]);
  console.log('points accepted:', Number(written.rows[0].accepted));
  const halves = await db.query(
    "SELECT ts, value FROM lake.series_query('power', 'kw', from_ts => $1, to_ts => $2, bucket => '12 hours') ORDER BY ts",
    ['2024-01-01T00:00:00Z', '2024-01-02T00:00:00Z'],
  );
  for (const row of halves.rows) console.log(' ', row.ts.toISOString(), row.value);
}

async function places(db) {
  await db.query("SELECT lake.geo_create('cities')");
  const cities = { Bern: [7.4474, 46.948], Basel: [7.5886, 47.5596], Geneva: [6.1432, 46.2044] };
  for (const [id, coordinates] of Object.entries(cities)) {
    const feature = { type: 'Feature', id, geometry: { type: 'Point', coordinates }, properties: {} };
    await db.query("SELECT lake.geo_upsert('cities', $1::jsonb)", [JSON.stringify(feature)]);
  }
  const near = await db.query("SELECT id FROM lake.geo_near('cities', 7.5, 47, radius_m => 100000)");
  console.log('within 100 km:', near.rows.map((row) => row.id).join(', '));
  try {
    await db.query("SELECT lake.geojson_assert($1::text)", ['{"type": "Point", "coordinates": [1]}']);
  } catch (error) {
    console.log('refused:', error.code);
  }
}

async function main() {
  const db = new Client();
  await db.connect();
  await vectors(db);
  await series(db);
  await places(db);
  await db.end();
}

main();
