#!/usr/bin/env bash
# Compares Snug with its real peers: trains the nets of tests/clients/pytorch_cases.py in PyTorch (in a virtual
# environment of its own, made once in .venv/clients) and in Snug, and compares losses and rates step by step; then
# torchvision's models with the same weights: logits, gradients and statistics in fp32 and bf16, weights that go both
# ways, ONNX exports read by onnxruntime, events read by TensorBoard, fine-tuning on the digits in SNUG_TEST_DATA
# (../shared/data), and torchvision's ResNet-18 on its photographs, run by onnxruntime.
# `--record` also renews the committed figures that scripts/test.sh replays without PyTorch.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/client_venv.sh

readonly venv=.venv/clients
make_venv "$venv" torch==2.11.0 torchvision==0.26.0 "${light_packages[@]}"  # PyTorch is large: some minutes

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for figures in pytorch_losses torchvision_models; do
  "$venv/bin/python" "tests/clients/$figures.py" "$work/$figures.json"
  if [[ ${1:-} == --record ]]; then
    cp "$work/$figures.json" "tests/clients/$figures.json"
  fi
done

scripts/setup.sh --tests
cmake --preset test >/dev/null
cmake --build --preset test --target snug_clients_test snug
SNUG_PYTORCH_LOSSES=$work/pytorch_losses.json SNUG_TORCHVISION=$work/torchvision_models.json \
  build/test/bin/snug_clients_test
"$venv/bin/python" tests/clients/torchvision_weights.py build/test/bin/snug "$work"
"$venv/bin/python" tests/clients/safetensors_files.py build/test/bin/snug "$work"
mkdir "$work/onnx"
"$venv/bin/python" tests/clients/onnx_models.py build/test/bin/snug "$work/onnx"
"$venv/bin/python" tests/clients/tensorboard_events.py build/test/bin/snug "$work"
mnist=${SNUG_TEST_DATA:-../shared/data}/mnist
if [[ -d $mnist ]]; then
  "$venv/bin/python" tests/clients/finetune.py build/test/bin/snug "$work" "$mnist"
else
  echo "SKIPPED: fine-tuning, because there are no digits in $mnist"
fi
photographs=${SNUG_TEST_DATA:-../shared/data}/catsdogs
if [[ -d $photographs ]]; then
  "$venv/bin/python" tests/clients/photographs.py build/test/bin/snug "$work" "$photographs"
else
  echo "SKIPPED: ResNet-18 on photographs, because there are none in $photographs"
fi
odd=${SNUG_TEST_DATA:-../shared/data}/odd-jpeg
if [[ -d $odd ]]; then
  "$venv/bin/python" tests/clients/pillow_pictures.py compare build/test/bin/snug "$odd"
else
  echo "SKIPPED: unusual JPEGs against Pillow, because there are none in $odd"
fi
