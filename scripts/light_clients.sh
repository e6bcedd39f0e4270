#!/usr/bin/env bash
# What a program writes, read by its real readers without PyTorch: events by TensorBoard, checkpoints and exports by the
# safetensors library, ONNX exports by the official checker and onnxruntime. In a virtual environment that is made once,
# .venv/light. Without a network there is none: that is said and no failure, but where CI is set it is one.
#   scripts/light_clients.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/client_venv.sh

readonly program=${1:-build/release/bin/snug} venv=.venv/light
if ! make_venv "$venv" "${light_packages[@]}"; then
  echo "SKIPPED: clients of what Snug writes, because their packages cannot be had (${light_packages[*]})"
  [[ -z ${CI:-} ]] || exit 1
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$venv/bin/python" tests/clients/tensorboard_events.py "$program" "$work"
"$venv/bin/python" tests/clients/safetensors_files.py "$program" "$work"
"$venv/bin/python" tests/clients/onnx_models.py "$program" "$work" lenet resnet9
