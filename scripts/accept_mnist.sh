#!/usr/bin/env bash
# The long proofs on real digits (about 20 minutes on two cores; not part of CI):
#   scripts/accept_mnist.sh MNIST_FOLDER
# 1. configs/mnist.toml, seeds 1 to 3: mean accuracy on the 10,000 test images at least 99.25 %, and `eval` on the last
#    weights says what training said;
# 2. seed 1 a second time: the same bits;
# 3. seed 1 killed (kill -9) at ten random moments and resumed each time: the same bits.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly data=${1:?usage: scripts/accept_mnist.sh MNIST_FOLDER}
readonly snug=build/release/bin/snug
work=$(mktemp -d)
readonly work
trap 'rm -rf "$work"' EXIT

train() {  # OUT SEED [option …]
  "$snug" train configs/mnist.toml --data-root "$data" --out "$1" --set "train.seed=$2" --quiet "${@:3}"
}
last_accuracy() { tail -n 1 "$1/metrics.csv" | cut -d, -f5; }
digest() {  # RUN: of names, shapes and every bit of the tensors; the config beside them may differ in what changes no bit
  python3 - "$1/last.safetensors" <<'PYTHON'
import hashlib, json, sys
data = open(sys.argv[1], "rb").read()
end = 8 + int.from_bytes(data[:8], "little")
header = json.loads(data[8:end])
del header["__metadata__"]
print(hashlib.sha256(json.dumps(header, sort_keys=True).encode() + data[end:]).hexdigest())
PYTHON
}

echo "== accuracy"
sum=0
for seed in 1 2 3; do
  start=$SECONDS
  train "$work/seed$seed" "$seed"
  trained=$(last_accuracy "$work/seed$seed")
  evaluated=$("$snug" eval "$work/seed$seed/last.safetensors" --data-root "$data" --json |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["accuracy"])')
  echo "seed $seed: $trained while training, $evaluated by eval, $((SECONDS - start)) s"
  python3 -c "import sys; sys.exit(abs($trained - $evaluated) > 1e-9)" || { echo "eval disagrees"; exit 1; }
  sum=$(python3 -c "print($sum + $trained)")
done
mean=$(python3 -c "print($sum / 3)")
echo "mean $mean"
python3 -c "import sys; sys.exit($mean < 0.9925)" || { echo "below 99.25 %"; exit 1; }

echo "== the same seed again"
train "$work/again" 1
[[ $(digest "$work/seed1") == $(digest "$work/again") ]] || { echo "other bits"; exit 1; }
echo "same bits"

echo "== killed ten times and resumed"
kills=0
killed=("$snug" train configs/mnist.toml --data-root "$data" --out "$work/killed" --set train.seed=1 --quiet --resume
  --set train.checkpoint_every=100)
while ((kills < 10)); do
  (exec "${killed[@]}") &  # the program itself, not a shell around it
  pid=$!
  sleep "$((RANDOM % 12 + 2)).$((RANDOM % 10))"
  if ! kill -9 "$pid" 2>/dev/null; then break; fi
  wait "$pid" 2>/dev/null || true
  kills=$((kills + 1))
done
"${killed[@]}"
[[ $(digest "$work/seed1") == $(digest "$work/killed") ]] || { echo "other bits after $kills kills"; exit 1; }
echo "same bits after $kills kills"
