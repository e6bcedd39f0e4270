#!/usr/bin/env python3
"""What planning takes, and what each part of it: processor time of `snug plan` for a GPU that need not be there, with an
empty cache, with parts of it, and with all of it."""

import argparse
import datetime
import json
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile

from common import conditions

ROOT = pathlib.Path(__file__).resolve().parent.parent
OPTIMIZER = '{ name = "sgd", lr = 0.1, momentum = 0.9 }'
# Seconds of one core that are promised.
ONE_BATCH, AUTO_WARM, AUTO_COLD, REFUSAL = 0.3, 2.0, 5.0, 5.0


def seconds_of(command, cache):
    """Processor and wall time of one run."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), datetime.datetime.now()
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"XDG_CACHE_HOME": cache})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = (datetime.datetime.now() - began).total_seconds()
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall, run


def best_of(turns, command, cache, prepare=lambda: None):
    """The least of several runs: what else runs on the machine only ever adds."""
    best = None
    for _ in range(turns):
        prepare()
        cpu, wall, run = seconds_of(command, cache)
        best = min(best or (cpu, wall), (cpu, wall))
    return best


def measure(options, model, cache):
    folder = pathlib.Path(cache) / "snug"

    def forget(pattern):
        for path in folder.glob(pattern):
            path.unlink()

    def command(*more):
        return [options.program, "plan", f"configs/models/{model}.toml", "--device", options.device, "--json", "--set",
                f"train.precision={options.precision}", "--set", f"train.optimizer={OPTIMIZER}", *more]

    auto, one = command("--batch", "auto"), command("--batch", "128")
    refused = command("--batch", "4096", "--budget", "4GiB", "--set", "memory.strategy=[]")
    row = {"model": model}
    row["cold"] = best_of(1, auto, cache, lambda: shutil.rmtree(folder, ignore_errors=True))
    seconds_of(auto, cache)
    row["warm"] = best_of(options.turns, auto, cache)
    seconds_of(one, cache)
    row["one_batch"] = best_of(options.turns, one, cache)
    row["one_batch_without_strategies"] = best_of(options.turns, command("--batch", "128", "--set", "memory.strategy=[]"),
                                                  cache)
    row["one_batch_without_ladders"] = best_of(options.turns, one, cache, lambda: forget("ladder-*"))
    seconds_of(refused, cache)
    cpu, wall, run = seconds_of(refused, cache)
    row["refusal"] = (cpu, wall)
    row["remedies"] = len(json.loads(run.stdout).get("remedies", []))
    return row


def main():
    parser = argparse.ArgumentParser(prog="bench/planning.py", description=__doc__)
    parser.add_argument("--program", default=os.environ.get("SNUG", "build/release/bin/snug"))
    parser.add_argument("--models", type=lambda text: text.split(","))
    parser.add_argument("--device", default="h100-80gb")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path, help="the figures as JSON")
    options = parser.parse_args()
    options.program = str(pathlib.Path(options.program).resolve())
    models = options.models or sorted(path.stem for path in (ROOT / "configs" / "models").glob("*.toml"))
    start = best_of(options.turns, [options.program, "version"], "/nonexistent")
    rows, late = [], []
    print(f"seconds of one core for {options.device} in {options.precision}; the program itself starts in {start[0]:.3f}")
    print(f"{'':18}{'auto cold':>10}{'engines':>9}{'auto warm':>11}{'one batch':>11}{'strategies':>12}{'ladders':>9}"
          f"{'refusal':>9}{'remedies':>10}")
    for model in models:
        with tempfile.TemporaryDirectory() as cache:
            row = measure(options, model, cache)
        rows.append(row)
        cpu = {key: value[0] for key, value in row.items() if isinstance(value, tuple)}
        row["parts"] = {"start": start[0], "engines": cpu["cold"] - cpu["warm"],
                        "ladders": cpu["one_batch_without_ladders"] - cpu["one_batch"],
                        "strategies": cpu["one_batch"] - cpu["one_batch_without_strategies"]}
        print(f"{model:18}{cpu['cold']:10.2f}{row['parts']['engines']:9.2f}{cpu['warm']:11.2f}{cpu['one_batch']:11.2f}"
              f"{row['parts']['strategies']:12.2f}{row['parts']['ladders']:9.2f}{cpu['refusal']:9.2f}"
              f"{row['remedies']:10}", flush=True)
        for key, most in (("cold", AUTO_COLD), ("warm", AUTO_WARM), ("refusal", REFUSAL)):
            if cpu[key] > most:
                late.append(f"{model} {key}: {cpu[key]:.2f} s, at most {most}")
        if model == "resnet50" and cpu["one_batch"] > ONE_BATCH:
            late.append(f"resnet50 one batch: {cpu['one_batch']:.2f} s, at most {ONE_BATCH}")
    print("engines: what cuDNN is asked for (cold less warm, ladders included); ladders: what is worth dropping, found "
          "anew; strategies: with what is known, the search for the largest batch")
    if options.out:
        answer = json.loads(subprocess.check_output([options.program, "plan", f"configs/models/{models[0]}.toml", "--device",
                                                     options.device, "--batch", "1", "--json"], cwd=ROOT))
        about = {**conditions("bench/planning.py"), "engines": answer["engines"], "device": options.device,
                 "precision": options.precision}
        options.out.write_text(json.dumps({**about, "results": rows}, indent=1) + "\n")
    for line in late:
        print("LATE", line)
    raise SystemExit(len(late) > 0)


main()
