"""Prints the glosses of data/wordnet with their embeddings as rows for COPY (text format):
ordinal, id, category, part of speech, gloss, embedding (bytea: 384 little-endian float32).

usage: wordnet_rows.py [ROWS]
"""

import struct
import sys
from collections import Counter
from pathlib import Path

DIMENSIONS = 384
DATA = Path(__file__).resolve().parents[2] / "data" / "wordnet"


def main(rows: int) -> None:
    seen: Counter[str] = Counter()
    with open(DATA / "glosses.tsv", encoding="utf-8") as texts, open(DATA / "embeddings.f16", "rb") as halves:
        for ordinal, line in zip(range(rows), texts):
            category, part, gloss = line.rstrip("\n").split("\t")
            lemma = gloss.split(":", 1)[0]
            seen[lemma] += 1
            identifier = lemma if seen[lemma] == 1 else f"{lemma} ({seen[lemma]})"
            vector = struct.unpack(f"<{DIMENSIONS}e", halves.read(2 * DIMENSIONS))
            packed = struct.pack(f"<{DIMENSIONS}f", *vector).hex()
            print(ordinal, identifier, category, part, gloss, f"\\\\x{packed}", sep="\t")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
