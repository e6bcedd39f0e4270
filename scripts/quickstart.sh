#!/usr/bin/env bash
# From a fresh clone to a trained and evaluated network: installs what is missing, builds, trains
# configs/quickstart.toml on the built-in data set and evaluates it. Works from any folder; run it as often as you like.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$snug_root"

headline "1. What is needed"
setup build

headline "2. Build (Release)"
build release
snug=build/release/bin/snug

headline "3. Train: configs/quickstart.toml, 10 kinds of coloured shapes"
number=1
while [[ -e runs/quickstart-$number ]]; do number=$((number + 1)); done
run=runs/quickstart-$number
"$snug" train configs/quickstart.toml --out "$run"

headline "4. Evaluate the best checkpoint on the validation images"
"$snug" eval "$run"

headline "5. What the run left in $run"
ls -lh "$run" | awk 'NR > 1 { printf "   %-7s %s\n", $5, $9 }'

headline "Try next"
cat <<NEXT
   $snug plan configs/quickstart.toml                       # where every byte goes, before anything runs
   $snug train configs/quickstart.toml --set train.optimizer.lr=0.1 --epochs 3
   $snug summary configs/models/resnet18.toml               # layers, shapes, parameters, FLOPs
NEXT
