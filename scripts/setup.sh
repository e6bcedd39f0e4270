#!/usr/bin/env bash
# Installs what building Snug needs and is not there yet; a second run only looks.
#
#   scripts/setup.sh            compiler, CMake, libraries, oneDNN
#   scripts/setup.sh --tests    and what the tests need
#   scripts/setup.sh --checks   and what .ci/run needs beyond that (clang-format, clang-tidy, ccache)
#   scripts/setup.sh --cudnn    and NVIDIA's cuDNN (350 MB), by which `plan --device` sizes the scratch of convolutions
#
# Distribution packages come from apt (as root, or through sudo); oneDNN comes as two pinned, hash-checked wheels and is
# unpacked into .deps/onednn. Made and tried on Debian 12; Ubuntu 24.04 and newer use the same package names.
# Other scripts source this file for its functions.
set -euo pipefail

snug_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
snug_onednn_version=2023.2.0  # of the wheels: oneDNN 3.2
snug_cudnn_version=9.19.1.2

packages_build=(g++ cmake ninja-build libfmt-dev libtomlplusplus-dev libcxxopts-dev nlohmann-json3-dev zlib1g-dev
                libjpeg-dev libpng-dev libarchive-dev libonnx-dev libprotobuf-dev protobuf-compiler)
packages_test=(libgtest-dev libgmock-dev libbenchmark-dev libboost-context-dev python3-numpy)
packages_checks=(git ca-certificates clang-16 clang-format-16 clang-tidy-16 libclang-rt-16-dev libomp-16-dev ccache)

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  style_bold=$'\e[1m' style_plain=$'\e[0m'
else
  style_bold='' style_plain=''
fi

headline() { printf '\n%s== %s%s\n' "$style_bold" "$*" "$style_plain"; }
say() { printf '   %s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Runs a command whose output matters only when it fails.
quietly() {
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    rm -f "$log"
    die "this failed (its last lines are above): $*"
  fi
  rm -f "$log"
}

as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "installing packages needs root: run this as root once, or install sudo (wanted: $*)"
  fi
}

is_installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# Installs those of the packages that are not there.
install_packages() {
  local package missing=()
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "No apt here: packages are left to you. Needed, by their Debian names: $*"
    return
  fi
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  if [[ ${#missing[@]} -eq 0 ]]; then
    say "Packages: all $# are there."
    return
  fi
  say "Packages: installing ${missing[*]}"
  quietly as_root apt-get update
  local unknown=()
  for package in "${missing[@]}"; do
    [[ -n $(apt-cache show --no-all-versions "$package" 2>/dev/null) ]] || unknown+=("$package")
  done
  if [[ ${#unknown[@]} -gt 0 ]]; then
    die "this distribution has no package ${unknown[*]} (made for Debian 12; Ubuntu from 24.04)"
  fi
  quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}

# unpack_wheels FOLDER REQUIREMENT…: fetches wheels, each pinned by its hash, and unpacks them into FOLDER/unpacked.
unpack_wheels() {
  local work=$1
  shift
  printf '%s\n' "$@" >"$work/wheels.txt"
  quietly python3 -m pip download --quiet --no-deps --only-binary :all: --require-hashes -d "$work" -r "$work/wheels.txt"
  local wheel
  for wheel in "$work"/*.whl; do
    python3 -m zipfile -e "$wheel" "$work/unpacked"
  done
}

need_pip() {
  python3 -m pip --version >/dev/null 2>&1 || install_packages python3 python3-pip ca-certificates
}

# oneDNN's wheels, unpacked: lib/libdnnl.so.3.2 with its links, and include/.
install_onednn() {
  local target=$snug_root/.deps/onednn stamp=$snug_root/.deps/onednn/.version
  if [[ -f $stamp && $(<"$stamp") == "$snug_onednn_version" ]]; then
    say "oneDNN: there."
    return
  fi
  [[ $(uname -m) == x86_64 ]] || die "the pinned oneDNN is for x86_64; set -DSNUG_ONEDNN_ROOT to one for $(uname -m)"
  need_pip
  say "oneDNN: fetching the wheels of $snug_onednn_version"
  local work
  work=$(mktemp -d)
  unpack_wheels "$work" \
    "onednn-cpu-gomp==$snug_onednn_version --hash=sha256:2f22a54d6a890ed14bfa185d42a4be65d8b5b1df85dc1f0f3a9abe31620416fb" \
    "onednn-devel-cpu-gomp==$snug_onednn_version --hash=sha256:9763c69e8c907e119056bd52ad918ca84ac9ba939d130a99dfa95ccca3e5e284"
  mkdir -p "$work/onednn/lib"
  cp "$work"/unpacked/*.data/data/lib/libdnnl.so.3.2 "$work/onednn/lib/"
  cp -r "$work"/unpacked/*.data/data/include "$work/onednn/"
  # The wheel holds three copies of the library; two links do.
  ln -s libdnnl.so.3.2 "$work/onednn/lib/libdnnl.so.3"
  ln -s libdnnl.so.3 "$work/onednn/lib/libdnnl.so"
  chmod 755 "$work/onednn/lib/libdnnl.so.3.2"
  printf '%s\n' "$snug_onednn_version" >"$work/onednn/.version"
  mkdir -p "$snug_root/.deps"
  rm -rf "$target"
  mv "$work/onednn" "$target"
  rm -rf "$work"
}

# cuDNN's wheel, unpacked: lib/ and include/. Never asked for unless by name: it is large, and planning does without.
install_cudnn() {
  local target=$snug_root/.deps/cudnn stamp=$snug_root/.deps/cudnn/.version
  if ldconfig -p 2>/dev/null | grep -q 'libcudnn_graph\.so\.9'; then
    say "cuDNN: the system has one."
    return
  fi
  if [[ -f $stamp && $(<"$stamp") == "$snug_cudnn_version" ]]; then
    say "cuDNN: there."
    return
  fi
  [[ $(uname -m) == x86_64 ]] || die "the pinned cuDNN is for x86_64; SNUG_CUDNN=DIR names another"
  need_pip
  say "cuDNN: fetching the wheel of $snug_cudnn_version (350 MB)"
  local work
  work=$(mktemp -d)
  unpack_wheels "$work" \
    "nvidia-cudnn-cu13==$snug_cudnn_version --hash=sha256:7609f4bbcde269c4aa8869e12112a1924fb6e032a00842912caafcb4e15d42d6"
  printf '%s\n' "$snug_cudnn_version" >"$work/unpacked/nvidia/cudnn/.version"
  mkdir -p "$snug_root/.deps"
  rm -rf "$target"
  mv "$work/unpacked/nvidia/cudnn" "$target"
  rm -rf "$work"
}

mention_cuda() {
  if command -v nvcc >/dev/null || [[ -x /usr/local/cuda/bin/nvcc ]]; then
    say "CUDA: a toolkit is here; with cuDNN beside it the release build computes on GPUs too (README, \"On a GPU\")."
  else
    say "CUDA: no toolkit here: the program computes on the CPU, and plans for any GPU."
  fi
}

# setup build|test|checks …: what is missing of these groups, and oneDNN.
setup() {
  local group packages=()
  for group in "$@"; do
    case $group in
      build) packages+=("${packages_build[@]}") ;;
      test) packages+=("${packages_test[@]}") ;;
      checks) packages+=("${packages_checks[@]}") ;;
      *) die "unknown group of packages: $group" ;;
    esac
  done
  if [[ -r /etc/os-release ]]; then
    local system
    system=$(. /etc/os-release && printf '%s %s' "${ID:-?}" "${VERSION_ID:-}")
    [[ $system == "debian 12" ]] || say "System: $system. This script is made for Debian 12; names may differ here."
  fi
  install_packages "${packages[@]}"
  install_onednn
  mention_cuda
}

# Compile jobs that the machine bears: a core each, and 1.5 GiB of memory each.
build_jobs() {
  local cores memory_kib jobs
  cores=$(nproc)
  memory_kib=$(awk '/MemTotal/ { print $2 }' /proc/meminfo 2>/dev/null || echo 4000000)
  jobs=$((memory_kib / 1572864))
  ((jobs < 1)) && jobs=1
  ((jobs > cores)) && jobs=$cores
  echo "$jobs"
}

# build PRESET: configures and compiles; through ccache where there is one.
build() {
  if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
  quietly cmake -S "$snug_root" --preset "$1"
  cmake --build "$snug_root/build/$1" --parallel "$(build_jobs)" "${@:2}"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  groups=(build)
  cudnn=no
  for argument in "$@"; do
    case $argument in
      --tests) groups+=(test) ;;
      --checks) groups+=(test checks) ;;
      --cudnn) cudnn=yes ;;
      -h | --help)
        sed -n '2,11s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
      *) die "unknown option $argument (--tests, --checks, --cudnn)" ;;
    esac
  done
  headline "Set-up"
  setup "${groups[@]}"
  if [[ $cudnn == yes ]]; then install_cudnn; fi
fi
