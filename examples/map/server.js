// Shows the stores of places of a database as a map. Connects where PGHOST, PGUSER, PGDATABASE … point to, and listens
// on this machine alone: http://localhost:8080, or another PORT.
const http = require('node:http');
const fs = require('node:fs');
const path = require('node:path');
const { Pool } = require('pg');

const pool = new Pool();

// What a browser may have: the page, and the library that draws.
const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/map.js': ['map.js', 'text/javascript; charset=utf-8'],
};
for (const name of ['maplibre-gl.mjs', 'maplibre-gl-shared.mjs', 'maplibre-gl-worker.mjs', 'maplibre-gl.css']) {
  FILES[`/maplibre/${name}`] = [`node_modules/maplibre-gl/dist/${name}`, name.endsWith('css') ? 'text/css' : 'text/javascript'];
}

// Stores and tiles are looked for among the stores that there are, as the role that the pool connects as: a name from
// an address never becomes part of a statement.
async function stores() {
  const { rows } = await pool.query("SELECT store::text FROM lake.stores WHERE kind = 'geo' ORDER BY store::text");
  return rows.map((row) => row.store);
}

async function tile(store, z, x, y) {
  const { rows } = await pool.query(
    "SELECT lake.geo_tile(store, $2, $3, $4, layer => 'places') AS tile FROM lake.stores WHERE kind = 'geo' AND store::text = $1",
    [store, z, x, y],
  );
  return rows[0]?.tile;
}

async function answer(url) {
  if (FILES[url]) {
    const [file, type] = FILES[url];
    return [200, type, fs.readFileSync(path.join(__dirname, file))];
  }
  if (url === '/stores') return [200, 'application/json', JSON.stringify(await stores())];
  const parts = /^\/tiles\/([^/]+)\/(\d{1,2})\/(\d{1,10})\/(\d{1,10})$/.exec(url);
  if (parts) {
    const found = await tile(decodeURIComponent(parts[1]), ...parts.slice(2).map(Number));
    if (found) return [200, 'application/vnd.mapbox-vector-tile', found];
  }
  return [404, 'text/plain', 'not found'];
}

const server = http.createServer(async (request, response) => {
  let reply;
  try {
    reply = await answer(request.url.split('?')[0]);
  } catch (error) {
    // 22023: a tile that isn't in the pyramid.
    reply = [error.code === '22023' || error instanceof URIError ? 400 : 500, 'text/plain', error.message];
  }
  const [status, type, body] = reply;
  response.writeHead(status, { 'Content-Type': type });
  response.end(body);
});

server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`http://localhost:${server.address().port}`);
});
