#!/usr/bin/env bash
# Runs a command as an unprivileged user (uid 65534, no capabilities) on a system that gives such
# users no full userfaultfd. Exit code 77, with the reason: cannot be done here.
#
#   tests/support/as_nobody.sh COMMAND [ARGUMENTS]
set -euo pipefail

skip() {
  echo "skipped: $*"
  exit 77
}

unprivileged=/proc/sys/vm/unprivileged_userfaultfd
if [[ -r $unprivileged && $(<"$unprivileged") != 0 ]]; then
  skip "vm.unprivileged_userfaultfd is not 0: an unprivileged user has a full userfaultfd here"
fi
if ((EUID == 0)); then
  as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all)
  "${as_nobody[@]}" true || skip "this machine forbids switching to uid 65534"
  "${as_nobody[@]}" test -x "$1" || skip "uid 65534 may not reach $1"
  exec "${as_nobody[@]}" "$@"
fi
skip "switching to uid 65534 takes root"
