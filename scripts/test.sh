#!/usr/bin/env bash
# Installs what is missing, builds with tests and runs them all. Arguments go to ctest: scripts/test.sh -R config
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$snug_root"

headline "What is needed"
setup build test

# Without CUDA, as every preset but "release" has it: nvcc would compile for minutes what no test here can run, and the
# commands on the emulated device are linked with the kernels of the emulator instead.
headline "Build with tests"
build test

headline "Tests"
ctest --test-dir build/test -j 2 --output-on-failure "$@"

if [[ $# -eq 0 ]]; then
  headline "Other programs that read what Snug writes"
  scripts/light_clients.sh build/test/bin/snug
fi
