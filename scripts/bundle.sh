#!/usr/bin/env bash
# Makes a folder of less than 24 MiB that runs Snug on another machine without installing anything there:
#
#   scripts/bundle.sh --out DIR                   builds with CUDA where there is an nvcc, then bundles
#   scripts/bundle.sh --out DIR --architectures "90"    kernels for these GPUs alone ("80;90")
#   scripts/bundle.sh --out DIR --build build/test      bundles what is built there
#
# In it: snug, snug_gpu_test, configs, scripts/gpu_check.sh with what it needs. Programs and their libraries, oneDNN
# among them, lie packed in parts.tar.xz; the first start unpacks them beside it, or in the cache folder where the
# bundle cannot be written. What the target must have: Linux on x86-64 with glibc 2.36 or newer and xz or python3; for a
# GPU its driver, and cuDNN 9 (docs/devices.md says where it is looked for).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$snug_root"

out='' build='' architectures='75;80;86;89;90;100;120'
while [[ $# -gt 0 ]]; do
  case $1 in
    --out | --build | --architectures)
      [[ $# -ge 2 ]] || die "$1 needs a value"
      printf -v "${1#--}" '%s' "$2"
      shift 2
      ;;
    *) die "unknown option $1 (--out, --build, --architectures)" ;;
  esac
done
[[ -n $out ]] || die "say where to: --out DIR"
[[ ! -e $out ]] || die "$out is there already"
readonly most_bytes=$((24 << 20))

if [[ -z $build ]]; then
  build=build/bundle
  cuda=OFF
  if command -v nvcc >/dev/null || [[ -x /usr/local/cuda/bin/nvcc ]]; then cuda=ON; fi
  headline "Build (CUDA: $cuda)"
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DSNUG_TESTS=ON "-DSNUG_CUDA=$cuda" \
    "-DSNUG_CUDA_ARCHITECTURES=$architectures" >/dev/null
  cmake --build "$build" --target snug snug_gpu_test
fi
for program in snug snug_gpu_test; do
  [[ -x $build/bin/$program ]] || die "$build/bin/$program is not built: cmake --build $build --target $program"
done

headline "Gather"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/lib/snug"
cp "$build/bin/snug" "$build/bin/snug_gpu_test" "$work/bin/"
cp "$build/lib/libsnug_no_driver.so" "$work/lib/snug/"
# All but glibc, which belongs to the system as the driver does. ICU's tables (31 MB) are left out: libxml2 links them for
# libarchive's xar, which Snug does not read.
ldd "$work"/bin/* | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' | sort -u | while read -r name path; do
  case $name in
    libc.so.* | libm.so.* | libpthread.so.* | libdl.so.* | librt.so.* | libresolv.so.* | libicudata.so.*) ;;
    *) cp -L "$path" "$work/lib/$name" ;;
  esac
done
tables=$(ldd "$work/bin/snug" | awk '$1 ~ /^libicudata/ { print $1 }')
if [[ -n $tables ]]; then
  version=${tables##*.}
  printf 'const char icudt%s_dat[64] __attribute__((aligned(16))) = {0};\n' "$version" |
    "${CC:-cc}" -shared -fPIC -x c - -o "$work/lib/$tables" "-Wl,-soname,$tables"
fi
strip --strip-unneeded "$work"/bin/* "$work"/lib/*.so* "$work"/lib/snug/*.so

headline "Pack"
mkdir -p "$out/scripts" "$out/bench/peers" "$out/bench/results"
tar -C "$work" -c bin lib | xz -6 -T1 >"$out/parts.tar.xz"
digest=$(sha256sum "$out/parts.tar.xz" | cut -c1-16)
sed "s/@DIGEST@/$digest/" >"$out/snug" <<'LAUNCHER'
#!/bin/sh
# Starts the program of this file's name; the first start unpacks it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
home=$here/unpacked
if [ ! -d "$home" ] && [ ! -w "$here" ]; then
  home=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/snug/bundle-@DIGEST@
fi
if [ ! -d "$home" ]; then
  mkdir -p "$(dirname "$home")"
  part=$home.$$
  mkdir "$part"
  if command -v xz >/dev/null 2>&1; then
    xz -dc "$here/parts.tar.xz" | tar -C "$part" -x
  else
    python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$here/parts.tar.xz" "$part"
  fi
  mv "$part" "$home" 2>/dev/null || rm -rf "$part" # another start was faster
fi
LD_LIBRARY_PATH=$home/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
SNUG_CONFIGS=${SNUG_CONFIGS:-$here/configs}
export LD_LIBRARY_PATH SNUG_CONFIGS
exec "$home/bin/$(basename "$0")" "$@"
LAUNCHER
chmod +x "$out/snug"
cp "$out/snug" "$out/snug_gpu_test"
cp -r configs LICENSE THIRD_PARTY_NOTICES.md "$out/"
cp scripts/gpu_check.sh "$out/scripts/"
cp bench/gpu_check.py "$out/bench/"
cp bench/peers/torch_gpu.py bench/peers/torch_peer.py bench/peers/turns.py "$out/bench/peers/"

bytes=$(du -sb "$out" | cut -f1)
say "$out: $((bytes >> 10)) KiB, of $((most_bytes >> 10)) that it may have"
[[ $bytes -lt $most_bytes ]] || die "the bundle is too large: fewer --architectures"
