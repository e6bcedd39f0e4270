#!/usr/bin/env bash
# Compiles every kernel with nvcc for sm_80 and sm_90 and holds its registers, spills and 16-byte accesses against
# kernels/figures.csv. Spills fail; what changed is shown.
#
#   scripts/kernel_figures.sh            compares
#   scripts/kernel_figures.sh --update   writes the file anew
#   scripts/kernel_figures.sh --all      and compiles for every architecture that is built (without figures)
#   scripts/kernel_figures.sh pool loss  only these files of kernels/
#
# Without nvcc (on the path, in /usr/local/cuda/bin, or named by CUDACXX) it says SKIPPED and ends with 77.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$snug_root"

update=no all=no names=()
for argument in "$@"; do
  case $argument in
    --update) update=yes ;;
    --all) all=yes ;;
    -*) die "unknown option $argument (--update, --all)" ;;
    *) names+=("$argument") ;;
  esac
done
if [[ $update == yes && ${#names[@]} -gt 0 ]]; then die "--update takes all files"; fi

nvcc=${CUDACXX:-$(command -v nvcc || true)}
if [[ -z $nvcc && -x /usr/local/cuda/bin/nvcc ]]; then nvcc=/usr/local/cuda/bin/nvcc; fi
if [[ -z $nvcc ]]; then
  echo "SKIPPED: there is no nvcc here, so the figures of the kernels were not looked at"
  exit 77
fi
if [[ ${#names[@]} -eq 0 ]]; then
  for file in kernels/*.cu; do names+=("$(basename "$file" .cu)"); done
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-std=c++20 --expt-relaxed-constexpr -Werror all-warnings -I.)

# compile NAME ARCHITECTURE: leaves NAME.ARCHITECTURE.log with the assembler's figures, and the PTX.
compile() {
  local folder=$work/$1.$2
  mkdir -p "$folder"
  "$nvcc" "${flags[@]}" -arch="sm_$2" -cubin --keep --keep-dir "$folder" -Xptxas -v -o "$folder/$1.cubin" \
    "kernels/$1.cu" >"$work/$1.$2.log" 2>&1 || { cat "$work/$1.$2.log"; return 1; }
}
export -f compile
export work nvcc

jobs_file=$work/jobs
for name in "${names[@]}"; do printf '%s 80\n%s 90\n' "$name" "$name"; done >"$jobs_file"
failed=0
while read -r name architecture; do
  compile "$name" "$architecture" &
  while [[ $(jobs -rp | wc -l) -ge $(build_jobs) ]]; do wait -n || failed=1; done
done <"$jobs_file"
while [[ $(jobs -rp | wc -l) -gt 0 ]]; do wait -n || failed=1; done
[[ $failed -eq 0 ]] || die "a kernel does not compile (its messages are above)"

if [[ $all == yes ]]; then
  for name in "${names[@]}"; do
    gencodes=()
    for architecture in 75 80 86 89 90 100 120; do
      gencodes+=("-gencode=arch=compute_$architecture,code=sm_$architecture")
    done
    "$nvcc" "${flags[@]}" "${gencodes[@]}" --threads "$(build_jobs)" -c -o "$work/$name.o" "kernels/$name.cu" ||
      die "kernels/$name.cu does not compile for every architecture"
    say "kernels/$name.cu: compiled for sm_75 to sm_120"
  done
fi

python3 scripts/kernel_figures.py "$work" kernels/figures.csv "$update" "${names[@]}"
