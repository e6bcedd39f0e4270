#!/usr/bin/env bash
# Installs what is missing, builds with tests and runs them all. Arguments go to ctest: scripts/test.sh -R config
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$snug_root"

headline "What is needed"
setup build test

headline "Build with tests"
build test

headline "Tests"
ctest --test-dir build/test -j 2 --output-on-failure "$@"

if [[ $# -eq 0 ]]; then
  headline "Other programs that read what Snug writes"
  scripts/light_clients.sh build/test/bin/snug
fi
