"""Checkpoints and exports opened by the safetensors library.

Called as: safetensors_files.py PROGRAM FOLDER. Every tensor must have PyTorch's name and shape and finite values, the
export must hold what the checkpoint holds, and the state of the run must be a sound file of the same format.
"""

import pathlib
import subprocess
import sys

import numpy
from safetensors import safe_open

CONFIG = """name = "files"
[data]
train = { synthetic = "shapes", count = 64 }
[model]
input = [16, 16, 3]
layers = [
  { conv = 8, kernel = 3, norm = "batch", activation = "relu" },
  { conv = 16, kernel = 3, groups = 4, name = "second" },
  { flatten = true },
  { dense = 10, name = "head" },
]
[train]
epochs = 1
batch = 32
optimizer = { name = "adam", lr = 0.01 }
"""
SHAPES = {"0.weight": (8, 3, 3, 3), "0.norm.weight": (8,), "0.norm.bias": (8,), "0.norm.running_mean": (8,),
          "0.norm.running_var": (8,), "second.weight": (16, 2, 3, 3), "second.bias": (16,),
          "head.weight": (10, 16 * 12 * 12), "head.bias": (10,)}


def expect(condition, what):
    print(("ok   " if condition else "FAIL ") + what, flush=True)
    if not condition:
        sys.exit(1)


def tensors(path):
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def main():
    program, work = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    folder = work / "files"
    folder.mkdir()
    (folder / "config.toml").write_text(CONFIG)
    for words in (["train", "config.toml", "--out", "run"],
                  ["export", "run/last.safetensors", "--to", "safetensors", "--out", "export.safetensors"]):
        subprocess.run([program, *words, "--quiet"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    last, export, state = (tensors(folder / name) for name in ("run/last.safetensors", "export.safetensors",
                                                               "run/last.state"))
    shapes = {name: tensor.shape for name, tensor in last.items()}
    expect(shapes == SHAPES, f"checkpoint: {shapes}")
    expect(all(numpy.isfinite(tensor).all() and tensor.dtype == numpy.float32 for tensor in last.values()), "finite")
    expect(export.keys() == last.keys() and all((export[name] == last[name]).all() for name in last), "export: equal")
    with safe_open(folder / "export.safetensors", framework="numpy") as file:
        expect((file.metadata() or {}).get("format") == "pt", "PyTorch's loaders take the export")
    expect(set(SHAPES) < set(state), f"state: {len(state)} tensors")


if __name__ == "__main__":
    main()
