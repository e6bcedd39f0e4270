#!/usr/bin/env bash
# Compares Snug with its real peers: trains the nets of tests/clients/pytorch_cases.py in PyTorch (in a virtual
# environment of its own, made once in .venv/clients) and in Snug, and compares losses and rates step by step.
# `--record` also renews the committed figures that scripts/test.sh replays without PyTorch.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly venv=.venv/clients
readonly packages=(torch==2.11.0 numpy)

if [[ ! -f $venv/ready ]]; then
  echo "Making the virtual environment $venv (PyTorch is large: some minutes) …"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet "${packages[@]}"
  touch "$venv/ready"
fi

losses=$(mktemp --suffix=.json)
trap 'rm -f "$losses"' EXIT
"$venv/bin/python" tests/clients/pytorch_losses.py "$losses"
if [[ ${1:-} == --record ]]; then
  cp "$losses" tests/clients/pytorch_losses.json
fi

scripts/setup.sh --tests
cmake --preset test >/dev/null
cmake --build --preset test --target snug_clients_test
SNUG_PYTORCH_LOSSES=$losses build/test/bin/snug_clients_test
