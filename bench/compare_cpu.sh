#!/usr/bin/env bash
# Times whole training steps (forward, loss, backward, update) of the same network, batch and precision in Snug,
# PyTorch and TensorFlow on this machine's CPU. Programs take turns: one computes while the others are stopped.
#
#   bench/compare_cpu.sh [--models lenet,resnet18-cifar,…] [--precision fp32,bf16] [--steps 15] [--threads 2]
#                        [--realtime] [--programs snug,torch,torch-compile,tensorflow] [--out bench/results/NAME.json] [--list]
#
# The peers live in .venv/bench, made once. Where they are installed already, name the interpreters instead:
#   SNUG_TORCH_PYTHON=…/bin/python  SNUG_TENSORFLOW_PYTHON=…/bin/python  SNUG=…/bin/snug
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly venv=.venv/bench
readonly torch=(torch==2.11.0 torchvision==0.26.0)
readonly tensorflow=(tensorflow-cpu==2.21.0)

# install NAME PACKAGE…: into the virtual environment, once; a peer that cannot be had is left out.
install() {
  local name=$1
  shift
  [[ -f $venv/$name-ready ]] && return 0
  echo "Installing $* into $venv (large: some minutes) …" >&2
  [[ -x $venv/bin/python ]] || python3 -m venv "$venv"
  if "$venv/bin/pip" install --quiet "$@" >&2; then
    touch "$venv/$name-ready"
  else
    echo "$name cannot be installed here: it is left out" >&2
    return 1
  fi
}

wanted() { [[ " $* " != *" --list "* && " $* " != *" --help "* && " $* " != *" -h "* ]]; }

if wanted "$@"; then
  if [[ -z ${SNUG_TORCH_PYTHON:-} ]] && install torch "${torch[@]}"; then
    export SNUG_TORCH_PYTHON=$PWD/$venv/bin/python
  fi
  if [[ -z ${SNUG_TENSORFLOW_PYTHON:-} ]] && install tensorflow "${tensorflow[@]}"; then
    export SNUG_TENSORFLOW_PYTHON=$PWD/$venv/bin/python
  fi
  if [[ -z ${SNUG:-} ]]; then
    scripts/setup.sh >&2
    cmake --preset release >/dev/null
    cmake --build --preset release --target snug >&2
    export SNUG=$PWD/build/release/bin/snug
  fi
fi
exec python3 bench/compare_cpu.py "$@"
