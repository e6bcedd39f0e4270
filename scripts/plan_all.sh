#!/usr/bin/env bash
# Plans every model of configs/models on every device profile, in fp32 and bf16: plan answers, its parts add up to the
# total, the tensors of the peak to the lower bound (every placement is validated inside). A precision that a device
# cannot compute must be refused. In the sample the largest batch is planned, which must fit, and the next, which must not.
#
#   scripts/plan_all.sh [--sample] [PROGRAM]    --sample: two models on five profiles
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

sample=0
if [[ ${1:-} == --sample ]]; then
  sample=1
  shift
fi
export SNUG=${1:-build/release/bin/snug} SAMPLE=$sample
[[ -x $SNUG ]] || { echo "error: there is no program $SNUG; build it, or name it: scripts/plan_all.sh PROGRAM" >&2; exit 1; }

python3 - <<'PYTHON'
import glob, json, os, subprocess, sys, time

snug, sample = os.environ["SNUG"], os.environ["SAMPLE"] == "1"
models = sorted(glob.glob("configs/models/*.toml"))
profiles = [p["name"] for p in json.loads(subprocess.check_output([snug, "devices", "--json"]))["profiles"]]
if sample:
    models = [m for m in models if os.path.basename(m) in ("lenet.toml", "mobilenet_v2.toml")]
    profiles = ["t4", "a100-40gb", "h200", "rtx4090", "rtx5090"]

def fault(plan, batch):
    parts = plan["breakdown"]
    if sum(parts.values()) != plan["total_bytes"]:
        return "the breakdown does not add up to the total"
    if sum(t["bytes"] for t in plan["peak"]["tensors"]) != plan["lower_bound_bytes"]:
        return "the tensors of the peak do not add up to the lower bound"
    if plan["fits"] != (plan["max_batch"] >= batch):
        return f"batch {batch} fits: {plan['fits']}, the largest that does: {plan['max_batch']}"
    if any(value < 0 for value in parts.values()):
        return "a part is negative"
    if any(layer["engine"] == [] and layer["flops"] > 0 for layer in plan["layers"]):
        return "a layer has no engine"
    return None

def fault_of_largest(command, plan):
    """The largest batch fits and the next does not: refused by its bytes, or by what cuDNN can address."""
    largest = plan["max_batch"]
    for batch, code in ((largest, 0), (largest + 1, 4)):
        if 0 < batch <= 65535:
            run = subprocess.run([*command, "--batch", str(batch)], capture_output=True, text=True)
            if run.returncode != code:
                return f"batch {batch}, where {largest} is the largest: exit code {run.returncode}"
    return None

began, good, bad, refused, engines = time.time(), 0, 0, 0, set()
for profile in profiles:
    for model in models:
        for precision in ("fp32", "bf16"):
            command = [snug, "plan", model, "--device", profile, "--json", "--set", f"train.precision={precision}"]
            run = subprocess.run([*command, "--batch", "32"], capture_output=True, text=True)
            name = f"{os.path.basename(model)} on {profile} in {precision}"
            try:
                answer = json.loads(run.stdout or run.stderr)
            except ValueError:
                answer = None
            if answer is None or run.returncode not in (0, 2, 4):
                why = f"exit code {run.returncode}: {run.stderr.strip()[:200]}"
            elif run.returncode == 2:
                codes = [f["code"] for f in answer.get("findings", [])]
                why = None if precision == "bf16" and codes and codes[0].startswith("T") else f"refused: {codes}"
                refused += why is None
            else:
                why = fault(answer, 32) or (fault_of_largest(command, answer) if sample else None)
                engines.add(answer["engines"])
            if why is None:
                good += 1
            else:
                bad += 1
                print(f"FAILED {name}: {why}", flush=True)
    print(f"  {profile}: {good} passed, {bad} failed, {time.time() - began:.0f} s", flush=True)
print(f"scratch of convolutions: {', '.join(sorted(engines))}; {refused} precisions refused, "
      f"{len(models)} models, {len(profiles)} profiles, {time.time() - began:.0f} s")
print(f"{good} passed, {bad} failed")
sys.exit(bad > 0)
PYTHON
