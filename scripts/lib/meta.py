"""META.json, by which PGXN knows the extension: has it what the specification asks for, and does it say the same as Cargo.toml?"""

import json
import pathlib
import sys
import tomllib

meta = json.loads(pathlib.Path("META.json").read_text())
cargo = tomllib.loads(pathlib.Path("Cargo.toml").read_text())
version = cargo["workspace"]["package"]["version"]
provided = meta.get("provides", {}).get("lake_stores", {})
faults = [f"{key} is missing" for key in ("name", "version", "abstract", "maintainer", "license", "provides", "meta-spec") if not meta.get(key)]
for what, says, should in [
    ("name", meta.get("name"), cargo["package"]["name"]),
    ("version", meta.get("version"), version),
    ("version of what is provided", provided.get("version"), version),
    ("license", meta.get("license"), cargo["workspace"]["package"]["license"].lower()),
    ("abstract", meta.get("abstract"), cargo["package"]["description"]),
    ("meta-spec", meta.get("meta-spec", {}).get("version"), "1.0.0"),
]:
    if says != should:
        faults.append(f"{what} is {says!r}, not {should!r}")
faults += [f"there is no {provided[key]}" for key in ("file", "docfile") if not pathlib.Path(provided.get(key, "?")).exists()]
print("\n".join(faults))
sys.exit(bool(faults))
