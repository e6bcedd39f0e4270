#!/usr/bin/env python3
"""What the example configs reach, over several seeds: the last epoch's accuracy, not the best one's. The results file is
written after each training and gone on with, so that an interrupted evening is not lost.

  bench/accuracy.py cifar10-cpu FOLDER-OF-THE-BATCHES --out bench/results/accuracy-NAME.json
  bench/accuracy.py pneumonia FOLDER-OF-THE-ARCHIVE --out bench/results/accuracy-NAME.json

Of a config with a test split that split's accuracy counts, else the validation split's. With --threads 1 each training
has one core, and so many are made at a time as there are.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from common import Results, conditions

ROOT = pathlib.Path(__file__).resolve().parent.parent


def json_lines(command):
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def train(options, seed, folder):
    begin = time.monotonic()
    more = [word for setting in options.set for word in ("--set", setting)]
    run = folder / f"run-{seed}"
    events = json_lines([options.snug, "train", options.config_file, "--data-root", options.data, "--json", "--threads",
                         str(options.threads), "--set", f"train.seed={seed}", "--out", run, *more])
    seconds = time.monotonic() - begin
    epochs = [event for event in events if event.get("event") == "epoch"]
    done = next(event for event in events if event.get("event") == "done")
    found = {"config": options.config, "set": options.set, "seed": seed, "threads": options.threads, "epochs": len(epochs),
             "split": "val",
             "percent": 100 * epochs[-1]["val_accuracy"], "val_percent": 100 * epochs[-1]["val_accuracy"],
             "val_loss": epochs[-1]["val_loss"], "seconds": round(seconds, 1),
             "planned_peak_bytes": done["planned_peak_bytes"], "measured_peak_bytes": done["measured_peak_bytes"]}
    if options.test:
        tested = json_lines([options.snug, "eval", run / "last.safetensors", "--split", "test", "--data-root",
                             options.data, "--json"])[-1]
        found |= {"split": "test", "percent": 100 * tested["accuracy"]}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="the name of a file of configs/")
    parser.add_argument("data", type=lambda text: pathlib.Path(text).resolve(), help="its --data-root")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of a training")
    parser.add_argument("--set", action="append", default=[], help="as of snug train")
    parser.add_argument("--snug", default=os.environ.get("SNUG", "build/release/bin/snug"))
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    options.snug = str(pathlib.Path(options.snug).absolute())
    options.config_file = pathlib.Path("configs") / f"{options.config}.toml"
    options.test = "\ntest = " in (ROOT / options.config_file).read_text()
    results = Results(options.out, conditions("bench/accuracy.py"))
    recipe = {"config": options.config, "set": options.set}
    missing = [seed for seed in range(1, options.seeds + 1) if not results.of(recipe | {"seed": seed})]
    at_a_time = max(1, os.cpu_count() // options.threads)
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        trainings = [pool.submit(train, options, seed, pathlib.Path(folder)) for seed in missing]
        for training in concurrent.futures.as_completed(trainings):
            run = training.result()
            results.add(run)
            print(f"{options.config} seed {run['seed']}: {run['percent']:.2f} % of {run['split']} after "
                  f"{run['seconds']:.0f} s", flush=True)
    runs = [run for run in results.of(recipe) if run["seed"] <= options.seeds]
    means = {key: statistics.mean(run[key] for run in runs) for key in ("percent", "val_percent", "val_loss")}
    print(f"{options.config} {options.set}: mean {means['percent']:.2f} % of {len(runs)} trainings; validation "
          f"{means['val_percent']:.2f} %, loss {means['val_loss']:.4f}")


main()
