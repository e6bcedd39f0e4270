#!/usr/bin/env bash
# Clean runs must get no error and no warning from `snug check`.
#   scripts/check_clean.sh [--sample] [PROGRAM]   configs/ with their data, every model, 200 random runs
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
sample=()
if [[ ${1:-} == --sample ]]; then
  sample=(--random 12 --small)
  shift
fi
program=${1:-build/release/bin/snug}
[[ -x $program ]] || { echo "error: there is no program $program; build it, or name it" >&2; exit 1; }
exec python3 scripts/truth/clean.py "$program" "${sample[@]}"
