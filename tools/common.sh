# shellcheck shell=bash
# What the scripts here share; sourced, never run.

WEIR_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export WEIR_ROOT

# The comment block at the top of the script, as its help.
print_help() {
  sed -n '2,/^[^#]/{/^#/!q; s/^# \{0,1\}//; p}' "$1"
}

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 2
}

say() {
  printf '\n== %s\n' "$*"
}

# Paths below the root are taken relative to it, so that all checkouts share what was compiled.
export CCACHE_BASEDIR=$WEIR_ROOT CCACHE_NOHASHDIR=1

# build_dir PRESET
build_dir() {
  if [[ $1 == release ]]; then echo "$WEIR_ROOT/build"; else echo "$WEIR_ROOT/build-$1"; fi
}

# A ccache that cannot write to its folder (no home, another user's home) fails every compilation.
has_ccache() {
  local folder
  folder=$(ccache --get-config cache_dir 2>/dev/null) && mkdir -p "$folder" 2>/dev/null &&
    [[ -w $folder ]]
}

# configure PRESET: its output is shown only if it fails
configure() {
  local preset=$1 log launcher=()
  mkdir -p "$(build_dir "$preset")"
  log=$(build_dir "$preset")/configure.log
  if has_ccache; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  if ! (cd "$WEIR_ROOT" && cmake --preset "$preset" "${launcher[@]}") >"$log" 2>&1; then
    cat "$log" >&2
    echo "configuring the preset '$preset' failed" >&2
    return 1
  fi
}

# build PRESET [TARGET...]
build() {
  local preset=$1 targets=()
  shift
  if (($# > 0)); then targets=(--target "$@"); fi
  configure "$preset"
  cmake --build "$(build_dir "$preset")" -j "$(nproc)" "${targets[@]}"
}
