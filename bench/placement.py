#!/usr/bin/env python3
"""Solves placement problems with `snug plan --problem` and prints the processor time of each.

    bench/placement.py [--snug build/release/bin/snug] [--data ../shared/data/minimalloc] [--repeat 5] [--out FILE.json]

The five hard problems must fit 1,048,576 bytes; the training step must reach its lower bound, which is the proof that
nothing is lower. Times are the least of `--repeat` runs of the whole program, user and system.
"""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys

from common import conditions

CAPACITY = 1048576
PROBLEMS = [(f"{name}.{CAPACITY}.csv", CAPACITY) for name in "ABCDE"] + [("resnet50-training.csv", None)]


def solve(snug, file, capacity):
    """The program's result and the processor seconds it took."""
    command = [snug, "plan", "--problem", str(file), "--json", "--time-limit", "60"]
    if capacity is not None:
        command += ["--capacity", str(capacity)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 4):
        sys.exit(done.stdout + done.stderr)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return json.loads(done.stdout), seconds


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    data = os.environ.get("SNUG_TEST_DATA", str(root / "../shared/data"))
    parser = argparse.ArgumentParser()
    parser.add_argument("--snug", default=str(root / "build/release/bin/snug"))
    parser.add_argument("--data", default=str(pathlib.Path(data) / "minimalloc"))
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    results = []
    for name, capacity in PROBLEMS:
        runs = [solve(arguments.snug, pathlib.Path(arguments.data) / name, capacity) for _ in range(arguments.repeat)]
        result = {"problem": name, **runs[0][0], "processor_seconds": round(min(seconds for _, seconds in runs), 4)}
        results.append(result)
        met = result["height"] <= (capacity or result["lower_bound"])
        print(f"{name:24} {result['buffers']:6} buffers {result['height']:14,} bytes "
              f"{result['processor_seconds']:8.3f} s {'' if met else '  NOT MET'}")
    hard = sum(result["processor_seconds"] for result in results if result["capacity"])
    print(f"{'A to E together':24} {hard:47.3f} s")
    if arguments.out:
        summary = {**conditions("bench/placement.py"), "hard_processor_seconds": round(hard, 4), "results": results}
        pathlib.Path(arguments.out).write_text(json.dumps(summary, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
