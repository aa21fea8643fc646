// One layer of areas, lines and points for each store; a click shows what a place is.
import * as maplibregl from '/maplibre/maplibre-gl.mjs';

const COLOURS = ['#2b6cb0', '#c05621', '#2f855a', '#6b46c1', '#b83280'];

const map = new maplibregl.Map({
  container: 'map',
  center: [10, 25],
  zoom: 1.4,
  hash: true,
  style: { version: 8, sources: {}, layers: [{ id: 'sea', type: 'background', paint: { 'background-color': '#eef3f7' } }] },
});
map.addControl(new maplibregl.NavigationControl());

function layersOf(store, colour) {
  const common = { source: store, 'source-layer': 'places' };
  return [
    { ...common, id: `${store} areas`, type: 'fill', filter: ['==', '$type', 'Polygon'],
      paint: { 'fill-color': colour, 'fill-opacity': 0.25 } },
    { ...common, id: `${store} lines`, type: 'line', filter: ['!=', '$type', 'Point'],
      paint: { 'line-color': colour, 'line-width': 1 } },
    { ...common, id: `${store} points`, type: 'circle', filter: ['==', '$type', 'Point'],
      paint: { 'circle-color': colour, 'circle-opacity': 0.7, 'circle-radius': ['interpolate', ['linear'], ['zoom'], 1, 1, 8, 5] } },
  ];
}

function legend(store, colour, layers) {
  const label = document.createElement('label');
  const box = Object.assign(document.createElement('input'), { type: 'checkbox', checked: true });
  const dot = document.createElement('i');
  dot.style.background = colour;
  label.append(box, dot, store);
  box.addEventListener('change', () => {
    for (const { id } of layers) map.setLayoutProperty(id, 'visibility', box.checked ? 'visible' : 'none');
  });
  document.getElementById('stores').append(label);
}

// As text, never as HTML: properties are what somebody wrote into the database.
function describe(properties) {
  const table = document.createElement('table');
  for (const [key, value] of Object.entries(properties)) {
    const row = table.insertRow();
    row.insertCell().textContent = key;
    row.insertCell().textContent = value;
  }
  return table;
}

map.on('load', async () => {
  const stores = await (await fetch('/stores')).json();
  const areasFirst = [];
  stores.forEach((store, n) => {
    const colour = COLOURS[n % COLOURS.length];
    map.addSource(store, {
      type: 'vector',
      tiles: [`${location.origin}/tiles/${encodeURIComponent(store)}/{z}/{x}/{y}`],
      maxzoom: 14,
    });
    const layers = layersOf(store, colour);
    areasFirst.push(...layers);
    legend(store, colour, layers);
  });
  areasFirst.sort((a, b) => ['fill', 'line', 'circle'].indexOf(a.type) - ['fill', 'line', 'circle'].indexOf(b.type));
  areasFirst.forEach((layer) => map.addLayer(layer));
  map.on('click', (event) => {
    const [place] = map.queryRenderedFeatures(event.point);
    if (place) new maplibregl.Popup().setLngLat(event.lngLat).setDOMContent(describe(place.properties)).addTo(map);
  });
  map.once('idle', () => {
    const drawn = map.queryRenderedFeatures();
    const count = (store) => new Set(drawn.filter((f) => f.source === store).map((f) => f.properties.id)).size;
    document.body.dataset.drawn = JSON.stringify(Object.fromEntries(stores.map((store) => [store, count(store)])));
  });
});
