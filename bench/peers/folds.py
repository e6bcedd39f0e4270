#!/usr/bin/env python3
"""Accuracy on few photographs, beside PyTorch: stratified folds over all of them, each once the validation split. In
each fold Snug and PyTorch train configs/catsdogs.toml's network with crop and flip alone, and Snug with the config's own
augmentation. One thread each, so many at a time as there are cores. The results file is gone on with.

  PYTHON=venv/bin/python bench/peers/folds.py PHOTOGRAPHS --seeds 2 --out bench/results/folds-NAME.json

PHOTOGRAPHS: a folder of splits of class folders (train/cat, val/cat, …); what split a picture is in does not matter here.
"""

import argparse
import concurrent.futures
import csv
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))
from common import Results, conditions  # noqa: E402

CONFIG = "configs/catsdogs.toml"
CROP_AND_FLIP = "data.augment=[{ random_crop = 96 }, { hflip = 0.5 }]"
CASES = ("torch", "snug", "snug-rich")


def write_folds(folder, photographs, count):
    """train-K.csv and val-K.csv of each fold K; shuffled once, the same for all who ask."""
    by_class = {}
    for path in sorted(photographs.glob("*/*/*")):
        by_class.setdefault(path.parent.name, []).append(path)
    folds = [[] for _ in range(count)]
    for label, paths in sorted(by_class.items()):
        random.Random(f"{label} of folds").shuffle(paths)
        for i, path in enumerate(paths):
            folds[i % count].append((path, label))
    for k in range(count):
        rest = [row for j, fold in enumerate(folds) if j != k for row in fold]
        for name, rows in ((f"train-{k}.csv", rest), (f"val-{k}.csv", folds[k])):
            with open(folder / name, "w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(("path", "label"))
                writer.writerows((os.path.relpath(path, folder), label) for path, label in rows)


def output_of(command):
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout


def train(options, folder, case, fold, seed):
    """(right, of) on the fold's validation split after the last epoch."""
    files = [folder / f"{split}-{fold}.csv" for split in ("train", "val")]
    if case == "torch":
        report = json.loads(output_of([options.python, ROOT / "bench/peers/torch_photos.py", *files, str(seed),
                                       str(options.epochs), "1"]).splitlines()[-1])
        return report["right"], report["of"]
    command = [options.snug, "train", CONFIG, "--json", "--threads", "1", "--set", f"train.epochs={options.epochs}",
               "--set", f"train.seed={seed}", "--out", folder / f"{case}-{fold}-{seed}",
               "--set", f'data.train={{ csv = "{files[0]}" }}', "--set", f'data.val={{ csv = "{files[1]}" }}']
    if case == "snug":
        command += ["--set", CROP_AND_FLIP]
    events = [json.loads(line) for line in output_of(command).splitlines()]
    accuracy = [event["val_accuracy"] for event in events if event.get("event") == "epoch"][-1]
    with open(files[1], newline="") as file:
        samples = sum(1 for _ in csv.DictReader(file))
    return round(accuracy * samples), samples


def main():
    parser = argparse.ArgumentParser(prog="bench/peers/folds.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=pathlib.Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each fold")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--snug", default=os.environ.get("SNUG", "build/release/bin/snug"))
    parser.add_argument("--python", default=os.environ.get("PYTHON", sys.executable), help="one that has PyTorch")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    cases = options.cases.split(",")
    results = Results(options.out, conditions("bench/peers/folds.py"))
    wanted = [{"case": case, "fold": fold, "seed": seed, "folds": options.folds, "epochs": options.epochs}
              for seed in range(1, options.seeds + 1) for fold in range(options.folds) for case in cases]
    missing = [run for run in wanted if not results.of(run)]
    with tempfile.TemporaryDirectory() as name, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        folder = pathlib.Path(name)
        write_folds(folder, options.photographs.resolve(), options.folds)
        trainings = {pool.submit(train, options, folder, run["case"], run["fold"], run["seed"]): run for run in missing}
        for training in concurrent.futures.as_completed(trainings):
            run, (right, of) = trainings[training], training.result()
            results.add(run | {"right": right, "of": of})
            print(run["case"], run["fold"], run["seed"], f"{right} of {of}", flush=True)
    for case in cases:
        by_seed = []
        for seed in range(1, options.seeds + 1):
            rows = [row for run in wanted if (run["case"], run["seed"]) == (case, seed) for row in results.of(run)]
            by_seed.append(100 * sum(row["right"] for row in rows) / sum(row["of"] for row in rows))
        results.report[case] = {"percent": statistics.mean(by_seed), "by_seed": by_seed}
        print(f"{case:10} {results.report[case]['percent']:.1f} %  ({', '.join(f'{p:.1f}' for p in by_seed)})")
    results.write()


main()
