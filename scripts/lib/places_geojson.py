"""Writes the demo's GeoJSON: the airports of the package `airportsdata`, and outlines of countries with ids.

usage: places_geojson.py COUNTRIES_INPUT OUTPUT_DIRECTORY
"""

import json
import sys
from pathlib import Path

import airportsdata


def airport(code: str, row: dict) -> dict:
    properties = {
        "name": row["name"],
        "city": row["city"],
        "country": row["country"],
        "iata": row["iata"],
        "elevation_ft": row["elevation"],
    }
    return {
        "type": "Feature",
        "id": code,
        "geometry": {"type": "Point", "coordinates": [row["lon"], row["lat"]]},
        "properties": {key: value for key, value in properties.items() if value != ""},
    }


def write(path: Path, features: list[dict]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"type": "FeatureCollection", "features": features}, file, ensure_ascii=False)
    print(f"{path.name}: {len(features)} features")


def main(countries: str, output: str) -> None:
    rows = airportsdata.load("ICAO")
    write(Path(output, "airports.geojson"), [airport(code, row) for code, row in sorted(rows.items())])

    with open(countries, encoding="utf-8") as file:
        features = json.load(file)["features"]
    write(Path(output, "countries.geojson"), [{**f, "id": f["properties"]["A3"]} for f in features])


if __name__ == "__main__":
    main(*sys.argv[1:])
