#!/usr/bin/env bash
# What of gpu_check.sh can be shown without a GPU: gpu_check_test.sh BUILD
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
SNUG_BUILD=$(realpath "${1:?usage: scripts/gpu_check_test.sh BUILD}")
export SNUG_BUILD OMP_WAIT_POLICY=passive
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "error: $*" >&2; exit 1; }

echo "== every part says what it would run"
scripts/gpu_check.sh --dry-run --out "$work" all >"$work/dry.txt"
for part in sheet tests memory train bench peers fill sanitizer ncu; do
  grep -qx "== $part" "$work/dry.txt" || fail "no part $part"
done
if grep FAILED "$work/dry.txt"; then fail "a dry run fails nowhere"; fi
[[ -z $(find "$work" -name '*.json') ]] || fail "a dry run writes no results"

echo "== on this processor, with small models, they run and leave their results"
code=0
scripts/gpu_check.sh --on cpu --seconds 240 --out "$work" memory train bench fill || code=$?
[[ $code -eq 0 ]] || fail "a part failed"
python3 - "$work" <<'PYTHON'
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
(path,) = folder.glob("cpu-*.json")
parts = json.loads(path.read_text())["parts"]
assert list(parts) == ["memory", "train", "bench", "fill"], list(parts)
assert all(not part["failures"] for part in parts.values()), parts
assert len(parts["memory"]["rows"]) == len(parts["bench"]["rows"]) == 2
assert parts["train"]["rows"][0]["val_accuracy"] > 0.1
assert parts["bench"]["tune"]["best"]["batch"] >= 1
assert parts["fill"]["count"] == 2
page = path.with_suffix(".md").read_text()
assert "## Steps" in page and "lenet 8 fp32" in page, page
PYTHON

echo "== a part that fails loses nothing of the others"
code=0
mkdir -p "$work/half/bin"
ln -s "$SNUG_BUILD/bin/snug" "$work/half/bin/snug"
SNUG_BUILD=$work/half scripts/gpu_check.sh --on cpu --seconds 60 --out "$work" tests || code=$?
[[ $code -eq 1 ]] || fail "a part without its program ended with $code"
python3 - "$work" <<'PYTHON'
import json, pathlib, sys
(path,) = pathlib.Path(sys.argv[1]).glob("cpu-*.json")
parts = json.loads(path.read_text())["parts"]
assert parts["tests"]["failures"] and parts["bench"]["rows"], parts.keys()
PYTHON

echo "== what ncu says is read"
python3 - <<'PYTHON'
import sys
sys.path.insert(0, "bench")
import gpu_check
text = '''==PROF== Connected
"ID","Kernel Name","Metric Name","Metric Unit","Metric Value"
"0","conv","gpu__time_duration.sum","us","12.5"
"0","conv","dram__throughput.avg.pct_of_peak_sustained_elapsed","%","40"
"1","norm","gpu__time_duration.sum","ns","20,000"
"2","conv","gpu__time_duration.sum","us","10"
"2","conv","dram__throughput.avg.pct_of_peak_sustained_elapsed","%","60"
'''
rows = gpu_check.longest_kernels(text)
assert [row["kernel"] for row in rows] == ["conv", "norm"], rows
assert rows[0]["launches"] == 2 and abs(rows[0]["us"] - 22.5) < 1e-9 and rows[0]["dram"] == 50, rows
assert gpu_check.longest_kernels("") == []
PYTHON

echo "== without a GPU it says so"
if ! command -v nvidia-smi >/dev/null; then
  code=0
  scripts/gpu_check.sh --out "$work" tests >"$work/none.txt" || code=$?
  [[ $code -eq 77 ]] || fail "it ended with $code"
  grep -q SKIPPED "$work/none.txt" || fail "it does not say SKIPPED"
fi
python3 -m py_compile bench/peers/torch_gpu.py
echo "All well."
