#!/usr/bin/env bash
# Installs a build to a new prefix, runs what is in it, then builds and runs a program against it, by
# CMake and by pkg-config.
#
#   tests/install/install_test.sh BUILD_DIR CXX [CXX_FLAGS...]
set -euo pipefail

build=$1
cxx=$2
shift 2
flags=("$@")
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix

cmake --install "$build" --prefix "$prefix" >"$scratch/install.log"

run() {
  LD_LIBRARY_PATH=$(dirname "$(find "$prefix" -name 'libweir.*' -print -quit)") "$@"
}

echo "== weir"
"$prefix/bin/weir" --version  # finds its libraries by itself
"$prefix/bin/weir" doctor --help >"$scratch/help"
grep -q -- --json "$scratch/help"

echo "== find_package(weir)"
cmake -G Ninja -S "$here" -B "$scratch/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$cxx" \
  -DCMAKE_CXX_FLAGS="${flags[*]}"
cmake --build "$scratch/cmake"
for consumer in consumer consumer-whole consumer-mimalloc; do
  if [[ -e $scratch/cmake/$consumer ]]; then run "$scratch/cmake/$consumer"; fi
done

echo "== pkg-config weir"
pc_dir=$(dirname "$(find "$prefix" -name weir.pc)")
read -ra compile < <(PKG_CONFIG_PATH=$pc_dir pkg-config --cflags weir)
for how in "" --static; do
  read -ra link < <(PKG_CONFIG_PATH=$pc_dir pkg-config $how --libs weir)
  link=("${link[@]/#-lweir/-Wl,--whole-archive,-lweir,--no-whole-archive}")
  "$cxx" -std=c++20 "${flags[@]}" "${compile[@]}" "$here/consumer.cpp" "${link[@]}" -o "$scratch/consumer"
  run "$scratch/consumer"
  "$cxx" -x c -std=c99 -pedantic -Wall -Wextra -Werror "${flags[@]}" "${compile[@]}" "$here/consumer.c" \
    -x none "${link[@]}" -o "$scratch/consumer-c"
  run "$scratch/consumer-c"
done

echo "== every public header compiles on its own"
while read -r header; do
  echo "#include <weir/${header##*/}>" |
    "$cxx" -std=c++20 "${compile[@]}" -Wall -Wextra -Werror -x c++ -fsyntax-only -
done < <(find "$prefix" -path '*/weir/*.hpp')
