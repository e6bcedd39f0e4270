#!/usr/bin/env bash
# Everything that only a GPU can show, in parts of at most nine minutes each; the results of every part are written when
# it ends, so that a part that fails or runs out of time loses nothing of the others.
#
#   scripts/gpu_check.sh PART…            parts: sheet tests memory train bench peers fill sanitizer ncu; or all
#   scripts/gpu_check.sh --dry-run all    prints the commands and runs nothing
#   scripts/gpu_check.sh --on cpu PART…   the same on this processor, with small models: shows that the script works
#   scripts/gpu_check.sh --seconds N …    seconds that each part may take (540)
#   scripts/gpu_check.sh --out DIR …      where results go (bench/results; DEVICE-DATE.json and .md)
#
# It runs from a source tree that was built with -DSNUG_CUDA=ON (build/cuda, build/release or build/test, or
# SNUG_BUILD=DIR), or from a folder that scripts/bundle.sh made. It needs python3; peers need PyTorch, sanitizer and ncu
# NVIDIA's tools: what is not there is skipped and said. Without a GPU it says so and ends with 77.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
command -v python3 >/dev/null || { echo "SKIPPED: there is no python3 here"; exit 77; }
exec python3 "$here/bench/gpu_check.py" "$@"
