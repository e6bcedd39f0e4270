"""Random trainings against their plans: peak resident memory seen from outside, arenas, allocations in steps, and the
losses of the same run without strategies."""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import nets

MIB = 1 << 20
PART, LEAST = 0.03, 32 * MIB  # what the plan may be off
SIZES = [[8, 16, 32, 64, 128], [16, 32, 48, 64]]  # batches, sides of pictures


def planned(program, path, words):
    run = subprocess.run([program, "plan", path, "--json", *words], capture_output=True, text=True)
    return json.loads(run.stdout) if run.returncode in (0, 4) and run.stdout.startswith("{") else None, run


def trained(program, path, words, folder, name, steps):
    """The events of a run and the most resident memory that its process had, as the system tells its parent."""
    out = folder / f"{name}.log"
    with open(out, "w") as file:
        child = subprocess.Popen([program, "train", path, "--json", "--log-every", "1", "--max-steps", str(steps),
                                  "--out", str(folder / name), *words], stdout=file, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    events = [json.loads(line) for line in out.read_text().splitlines() if line.startswith("{")]
    return child.returncode, events, usage.ru_maxrss * 1024


def losses(events):
    return [event["loss"] for event in events if event.get("event") == "step"]


def one_run(options, rng, folder, number):
    """A line for the table and what is wrong."""
    config = nets.random_config(rng, *SIZES, bf16=options.bf16)
    config.set("train.epochs", "2")
    if number == 0:  # one parameter is most of the memory: every copy of it shows
        config.set("model.input", "[32, 32, 3]")
        config.set("model.layers", '[ { flatten = true }, { dense = 4096, activation = "relu" }, { dense = 10 } ]')
        config.set("train.ema", "0.9")
    path = folder / f"{number}.toml"
    path.write_text(config.text())
    steps = rng.choice([2, 3, 6])
    plain, run = planned(options.program, str(path), [])
    if plain is None:
        return None, [f"plan: exit code {run.returncode}: {(run.stdout + run.stderr)[:300]}"], config
    words = []
    if rng.random() < 0.5:
        arenas = sum(plain["allocated"].values())
        budget = plain["total_bytes"] - arenas + int(rng.choice([0.6, 0.75, 0.9]) * arenas)
        words = ["--set", f"memory.budget={budget}"]
    plan, run = planned(options.program, str(path), words)
    if plan is None or not plan["fits"]:
        words, plan = [], plain
    code, events, peak = trained(options.program, str(path), words, folder, f"run{number}", steps)
    if code != 0 or not events or events[-1].get("event") != "done":
        return None, [f"train: exit code {code}: {events[-1:]}"], config
    done = events[-1]
    of_run = next(event for event in events if event["event"] == "plan")
    faults = []
    for key in ("total_bytes", "allocated", "breakdown", "persistent_arena_bytes", "transient_arena_bytes", "batch",
                "host_bytes", "strategy"):
        if of_run[key] != plan[key]:
            faults.append(f"{key} is {of_run[key]} in the run, {plan[key]} in the plan")
    arenas = sum(plan["allocated"].values()) + plan["host_breakdown"]["offload"]
    if done["arena_bytes"] != arenas:
        faults.append(f"the run's arenas take {done['arena_bytes']} bytes, planned {arenas}")
    if done["step_allocations"] != 0:
        faults.append(f"{done['step_allocations']} allocations in steps")
    expected = plan["total_bytes"] + plan["host_bytes"]
    off = peak - expected
    if abs(off) > max(PART * peak, LEAST):
        faults.append(f"peak of {peak / MIB:.1f} MiB, planned {expected / MIB:.1f}")
    exact = not {"split", "microbatch"} & set(plan["strategy"])
    if plan["strategy"]:
        same = ["--set", "memory.strategy=[]", "--set", "memory.budget=16GiB", "--set", f"train.batch={plan['batch']}"]
        code, other, _ = trained(options.program, str(path), same, folder, f"plain{number}", steps)
        ours, theirs = losses(events), losses(other)
        if code != 0 or len(ours) != steps or len(ours) != len(theirs):
            faults.append(f"without strategies: exit code {code}, {len(ours)} and {len(theirs)} losses")
        elif exact and ours != theirs:
            faults.append(f"losses differ: {ours} and {theirs}")
        elif "microbatch" not in plan["strategy"] and any(
                abs(a - b) > 0.02 * max(1, abs(b)) for a, b in zip(ours[:2], theirs[:2])):
            faults.append(f"losses are far apart: {ours} and {theirs}")
    line = (f"{number:4} peak {peak / MIB:8.1f} planned {expected / MIB:8.1f} off {off / MIB:+7.1f} MiB  "
            f"batch {plan['batch']} of {plan['accumulation']}  {'+'.join(plan['strategy'])}")
    return (line, off), faults, config


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="small runs, for a quick look")
    parser.add_argument("--verbose", action="store_true", help="a line for each run")
    options = parser.parse_args()
    if options.small:
        SIZES[:] = [[8, 32], [16, 32]]
    options.bf16 = nets.computes_bf16(options.program)
    rng = nets.generator(options.seed)
    began, failed, offs = time.time(), 0, []
    with tempfile.TemporaryDirectory() as name:
        for number in range(options.count):
            row, faults, config = one_run(options, rng, pathlib.Path(name), number)
            if row:
                offs.append(row[1])
                if options.verbose or faults:
                    print(row[0], flush=True)
            for fault in faults:
                print(f"FAILED {number}: {fault}", flush=True)
            if faults:
                failed += 1
                print(config.text(), flush=True)
    if offs:
        print(f"peak less plan: {min(offs) / MIB:+.1f} to {max(offs) / MIB:+.1f} MiB")
    print(f"{options.count} runs, {failed} failed, {time.time() - began:.0f} s")
    sys.exit(failed > 0)


main()
