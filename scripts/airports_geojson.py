"""Writes the airports of the package `airportsdata` as a GeoJSON FeatureCollection.

usage: airports_geojson.py OUTPUT
"""

import json
import sys

import airportsdata


def feature(code: str, airport: dict) -> dict:
    return {
        "type": "Feature",
        "id": code,
        "geometry": {"type": "Point", "coordinates": [airport["lon"], airport["lat"]]},
        "properties": {
            "name": airport["name"],
            "city": airport["city"],
            "country": airport["country"],
            "iata": airport["iata"] or None,
            "elevation_ft": airport["elevation"],
        },
    }


def main(output: str) -> None:
    airports = airportsdata.load("ICAO")
    features = [feature(code, airport) for code, airport in sorted(airports.items())]
    with open(output, "w", encoding="utf-8") as file:
        json.dump({"type": "FeatureCollection", "features": features}, file, ensure_ascii=False)
    print(f"{len(features)} airports")


if __name__ == "__main__":
    main(*sys.argv[1:])
