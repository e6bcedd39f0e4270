#!/usr/bin/env python3
"""How near training steps come to what this machine can do: `snug bench model` on the networks that
bench/compare_cpu.sh times. Keeps shares of the limits and times by kind of work; bench/peers/report.py shows them.

  bench/limits.py --realtime --out bench/results/limits-NAME.json
"""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys

from common import BATCHES, go_first

ROOT = pathlib.Path(__file__).resolve().parent.parent
KEPT = ("model", "batch", "precision", "threads", "images_per_second", "ms_per_step", "layers_ms", "limit_ms",
        "limit_share", "flops_share", "bytes_share", "limits", "kinds")


def measure(program, model, precision, steps):
    command = [program, "bench", "model", f"configs/models/{model}.toml", "--batch", str(BATCHES[model]), "--steps",
               str(steps), "--set", f"train.precision={precision}", "--json"]
    report = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    print(f"{model:16} {precision}  {report['ms_per_step']:8.1f} ms, {100 * report['limit_share']:3.0f} % of the limit",
          flush=True)
    return {key: report[key] for key in KEPT}, report["conditions"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, help="a JSON file")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--realtime", action="store_true", help="compute before all others on a busy machine (root)")
    options = parser.parse_args()
    if options.realtime:
        go_first()
    program = os.environ.get("SNUG", "build/release/bin/snug")
    runs = []
    for model in BATCHES:
        for precision in ("fp32", "bf16"):
            run, conditions = measure(program, model, precision, options.steps)
            runs.append(run)
    conditions.pop("command")
    result = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "command": "bench/limits.py " + " ".join(sys.argv[1:]), "conditions": conditions, "limits": runs}
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


main()
