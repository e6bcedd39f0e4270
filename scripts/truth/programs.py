"""Random networks on random devices: plan answers, its parts add up, the largest batch fits and the next does not, and
more memory never finds a smaller or a slower plan."""

import argparse
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

import nets

SIZES = [[8, 64, 512], [16, 32, 64]]  # batches, sides of pictures
SLOWEST = 0.97  # auto may take a batch that is so much slower than the best


def plan(program, words):
    run = subprocess.run([program, "plan", *words, "--json"], capture_output=True, text=True)
    if run.returncode not in (0, 4):
        raise RuntimeError(f"exit code {run.returncode}: {(run.stdout + run.stderr)[:300]}")
    return json.loads(run.stdout)


def sums(answer):
    if sum(answer["breakdown"].values()) != answer["total_bytes"]:
        return ["the breakdown does not add up"]
    if sum(tensor["bytes"] for tensor in answer["peak"]["tensors"]) != answer["lower_bound_bytes"]:
        return ["the tensors of the peak do not add up"]
    main = sum(step["seconds"] for step in answer["steps"] if step["queue"] == 0)
    rate = answer["estimated_images_per_second"]
    if rate > 0 and abs(main * rate / answer["batch"] - 1) > 1e-6:
        return [f"steps take {main} s, {answer['batch']} images at {rate} a second"]
    return []


def check(program, words, rng):
    free = plan(program, [*words, "--budget", "1000GiB"])
    faults = sums(free)
    arenas = sum(free["allocated"].values())
    fixed = free["total_bytes"] - arenas
    last = None
    for share in sorted(rng.sample([0.2, 0.4, 0.6, 0.8, 1.0, 1.5], 2)):
        budget = ["--budget", str(fixed + int(share * arenas))]
        auto = plan(program, [*words, *budget, "--batch", "auto"])
        faults += sums(auto)
        if last is not None:
            if auto["max_batch"] < last["max_batch"]:
                faults.append(f"with more memory max_batch is {auto['max_batch']} instead of {last['max_batch']}")
            if auto["estimated_images_per_second"] < SLOWEST * last["estimated_images_per_second"] and last["fits"]:
                faults.append(f"with more memory {auto['estimated_images_per_second']} images a second instead of "
                              f"{last['estimated_images_per_second']}")
        last = auto
    most = last["max_batch"]
    for batch, fits in ((most, True), (most + 1, False)):
        if not 0 < batch <= 65535:
            continue
        found = plan(program, [*words, *budget, "--batch", str(batch)])
        if (found["fits"] and found["accumulation"] == 1) != fits:  # in parts more may fit
            faults.append(f"batch {batch}, where {most} is the largest, fits: {found['fits']}")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--devices", default="cpu,t4,rtx3060ti,rtx4090,h100-80gb")
    options = parser.parse_args()
    rng = nets.generator(options.seed)
    began, failed = time.time(), 0
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name) / "c.toml"
        for number in range(options.count):
            config = nets.random_config(rng, *SIZES, bf16=False)
            config.tables["train"].pop("accumulate", None)  # max_batch is that of one part
            path.write_text(config.text())
            words = [str(path), "--device", rng.choice(options.devices.split(","))]
            try:
                faults = check(options.program, words, rng)
            except RuntimeError as error:
                faults = [str(error)]
            for fault in faults:
                failed += 1
                print(f"FAILED {number}: {shlex.join(words)}: {fault}\n{config.text()}", flush=True)
    print(f"{options.count} programs, {failed} failed, {time.time() - began:.0f} s")
    sys.exit(failed > 0)


main()
