#!/usr/bin/env python3
"""How many times the largest batch of PyTorch a plan takes in the same memory, and at what estimated time: bf16, SGD with
momentum, 16 GiB for arenas on an H100, no micro-batches. PyTorch's batches were measured there (eager, autocast)."""

import argparse
import json
import math
import os
import pathlib
import subprocess
import sys

from common import conditions

ROOT = pathlib.Path(__file__).resolve().parent.parent
# model: the largest batch of PyTorch; how many times it, and the slowdown that is promised at most
CASES = {"resnet50": (372, ((1.3, 1.03), (2, 1.10), (2.75, 1.15))),
         "vgg16": (348, ((2.1, 1.01), (3, 1.03), (4, 1.06))),
         "mobilenet_v2": (420, ((1.8, 1.03), (3, 1.15))),
         "densenet121": (250, ((4.5, 1.15),))}


def plan(program, model, batch):
    command = [program, "plan", f"configs/models/{model}.toml", "--device", "h100-80gb", "--arena-budget", "16GiB", "--batch",
               str(batch), "--json", "--set", "train.precision=bf16", "--set",
               'train.optimizer={ name = "sgd", lr = 0.1, momentum = 0.9 }']
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(prog="bench/fit_more.py", description=__doc__)
    parser.add_argument("--program", default=os.environ.get("SNUG", "build/release/bin/snug"))
    parser.add_argument("--out", type=pathlib.Path, help="the figures as JSON")
    options = parser.parse_args()
    options.program = str(pathlib.Path(options.program).resolve())
    rows, missed = [], 0
    for model, (pytorch, ratios) in CASES.items():
        for ratio, most in ratios:
            batch = math.ceil(ratio * pytorch)
            answer = plan(options.program, model, batch)
            good = answer["fits"] and answer["estimated_slowdown"] <= most and "microbatch" not in answer["strategy"]
            missed += not good
            rows.append({"model": model, "pytorch_batch": pytorch, "batch": batch, "fits": answer["fits"],
                         "estimated_slowdown": answer["estimated_slowdown"], "at_most": most,
                         "arena_bytes": sum(answer["allocated"].values()), "strategy": answer["strategy"]})
            print(f"{model:14} {ratio:4}× batch {batch:5}  {'fits' if answer['fits'] else 'does not fit'}  slowdown "
                  f"{answer['estimated_slowdown']:.3f} (at most {most:.2f})  {', '.join(answer['strategy'])}  "
                  f"{'' if good else 'MISSED'}", flush=True)
    if options.out:
        options.out.write_text(json.dumps({**conditions("bench/fit_more.py"), "results": rows}, indent=1) + "\n")
    sys.exit(missed > 0)


main()
