#!/usr/bin/env python3
"""Whether the times of single calls that `snug bench model` tells sum to the whole step within 5 %: for every network of
configs/, in fp32 where the processor computes nothing else. The results file is gone on with.

  bench/layer_sums.py --realtime --out bench/results/layer-sums-NAME.json
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

from common import BATCHES, Results, conditions, go_first

ROOT = pathlib.Path(__file__).resolve().parent.parent
MOST = 0.05
CONFIGS = ("cifar10", "cifar10-cpu", "mnist", "pneumonia", "quickstart")


def measure(options, config, batch):
    command = [options.snug, "bench", "model", str(config.relative_to(ROOT)), "--steps", str(options.steps), "--json",
               "--batch", str(batch)]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    if done.returncode == 2 and "precision" in done.stdout:
        command += ["--set", "train.precision=fp32"]
        done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{config}: {done.stdout}{done.stderr}")
    report = json.loads(done.stdout)
    shares = [entry["limit_share"] for name in ("layers", "kinds") for entry in report[name]]
    row = {"config": str(config.relative_to(ROOT)), "batch": batch, "precision": report["precision"],
           "ms_per_step": report["ms_per_step"], "layers_ms": report["layers_ms"],
           "difference": report["layers_ms"] / report["ms_per_step"] - 1, "largest_limit_share": max(shares)}
    holds = abs(row["difference"]) <= MOST and row["largest_limit_share"] <= 1 + 1e-9
    print(f"{row['config']:36} batch {batch:>3} {row['precision']}  step {row['ms_per_step']:9.2f} ms, "
          f"calls {row['layers_ms']:9.2f} ms, {100 * row['difference']:+5.1f} %, "
          f"at most {100 * row['largest_limit_share']:3.0f} % of a limit{'' if holds else '  FAILS'}", flush=True)
    return row | {"holds": holds}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--realtime", action="store_true", help="compute before all others on a busy machine (root)")
    parser.add_argument("--snug", default=os.environ.get("SNUG", "build/release/bin/snug"))
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    options.snug = str(pathlib.Path(options.snug).absolute())
    if options.realtime:
        go_first()
    configs = sorted((ROOT / "configs/models").glob("*.toml")) + [ROOT / "configs" / f"{c}.toml" for c in CONFIGS]
    results = Results(options.out, conditions("bench/layer_sums.py") | {"realtime": options.realtime})
    for config in configs:
        if not results.of({"config": str(config.relative_to(ROOT))}):
            results.add(measure(options, config, BATCHES.get(config.stem, 8)))
    rows = results.report["runs"]
    missed = [row["config"] for row in rows if not row["holds"]]
    print(f"{len(rows) - len(missed)} of {len(rows)} within {100 * MOST:.0f} %")
    sys.exit(1 if missed else 0)


main()
