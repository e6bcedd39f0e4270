#!/usr/bin/env bash
# Holds plans to their word on random runs.
#   scripts/plan_truth.sh remedies [--sample] [PROGRAM]   100 refusals: each remedy, pasted and planned again, fits
#   scripts/plan_truth.sh runs [--sample] [PROGRAM]       200 trainings: memory and arenas are those of their plans, the
#                                                         losses those of the run without strategies
#   scripts/plan_truth.sh programs [--sample] [PROGRAM]   1,000 networks planned: parts add up, the largest batch is the
#                                                         largest, more memory is never worse
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
usage() { sed -n 's/^#   /usage: /p' "${BASH_SOURCE[0]}" >&2; exit 2; }

what=${1:-}
shift || usage
sample=()
if [[ ${1:-} == --sample ]]; then
  case $what in
    remedies) sample=(--count 6 --seed 7 --small) ;;
    runs) sample=(--count 8 --seed 7 --small) ;;
    programs) sample=(--count 10 --seed 7) ;;
  esac
  shift
fi
program=${1:-build/release/bin/snug}
[[ -x $program ]] || { echo "error: there is no program $program; build it, or name it" >&2; exit 1; }
case $what in
  remedies | runs | programs) exec python3 "scripts/truth/$what.py" "$program" "${sample[@]}" ;;
  *) usage ;;
esac
