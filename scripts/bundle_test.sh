#!/usr/bin/env bash
# The bundle of a build starts where nothing of this tree is: bundle_test.sh BUILD
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$snug_root"
build=${1:?usage: scripts/bundle_test.sh BUILD}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
scripts/bundle.sh --build "$build" --out "$work/made"
mv "$work/made" "$work/elsewhere" # no path of the first place may be in it
bundle=$work/elsewhere
bare() { (cd / && env -i HOME="$work" "$@"); }

headline "It starts with an empty environment"
bare "$bundle/snug" version
bare "$bundle/snug_gpu_test" --gtest_list_tests >/dev/null
headline "Its libraries are its own"
loaded=$(bare LD_LIBRARY_PATH="$bundle/unpacked/lib" LD_TRACE_LOADED_OBJECTS=1 "$bundle/unpacked/bin/snug")
others=$(grep '=> /' <<<"$loaded" | grep -v "$bundle" | awk '{ print $1 }' | grep -Ev '^lib(c|m|pthread|dl|rt)\.so\.' || true)
[[ -z $others ]] || die "these come from elsewhere: $others"
headline "It plans and trains"
bare SNUG_CUDNN=none "$bundle/snug" plan "$bundle/configs/models/resnet50.toml" --device h200 --batch 64 --json >"$work/plan.json" || die "it does not plan: $(head -c 300 "$work/plan.json")"
grep -q '"fits":true' "$work/plan.json" || die "the plan is $(head -c 300 "$work/plan.json")"
bare "$bundle/snug" train "$bundle/configs/quickstart.toml" --device cpu --threads 1 --max-steps 3 --quiet \
  --out "$work/run" --set data.train.count=400 --set data.val.count=100
[[ -s $work/run/last.safetensors ]] || die "it left no checkpoint"
headline "The check of a GPU knows that there is none"
code=0
bare PATH="$PATH" "$bundle/scripts/gpu_check.sh" tests || code=$?
[[ $code -eq 77 || $code -eq 0 ]] || die "gpu_check.sh ends with $code"
say "All well."
