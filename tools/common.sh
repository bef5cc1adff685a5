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

build_dir() {
  if [[ $1 == release ]]; then echo "$WEIR_ROOT/build"; else echo "$WEIR_ROOT/build-$1"; fi
}

# configure_and_build PRESET [TARGET...]
configure_and_build() {
  local preset=$1
  shift
  local options=()
  if command -v ccache >/dev/null; then
    options+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  (cd "$WEIR_ROOT" && cmake --preset "$preset" "${options[@]}" >"$(build_log "$preset")" 2>&1) || {
    cat "$(build_log "$preset")" >&2
    die "configuring the preset '$preset' failed"
  }
  local targets=()
  if (($# > 0)); then targets=(--target "$@"); fi
  cmake --build "$(build_dir "$preset")" -j "$(nproc)" "${targets[@]}"
}

build_log() {
  mkdir -p "$(build_dir "$1")"
  echo "$(build_dir "$1")/configure.log"
}
