#!/bin/sh
# Makes what every make target needs: Debian's rabbitmq-server, and .venv with the locked packages and this project.
# Prints one line a step; everything else goes to .viisikko/setup.log, whose end is shown where a step fails.
set -eu

. deploy/setup/debian.sh

# What set-up itself brought in must not start with the machine either. What somebody had before is theirs.
keep_off() {
  command -v systemctl >/dev/null || return 0
  for unit in "$@"; do
    as_root systemctl disable "$unit" >>"$log" 2>&1 || printf 'note: %s could not be disabled\n' "$unit" >>"$log"
    # Without a running systemd there is nothing to stop, and systemctl fails.
    as_root systemctl stop "$unit" >>"$log" 2>&1 || :
  done
}

command -v "$PYTHON" >/dev/null || fail "there is no $PYTHON" "install Python 3.11 or newer, or name it: make PYTHON=..."
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$PYTHON is older than Python 3.11" "name a newer one: make PYTHON=python3.11"
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || debian python3-venv

if [ ! -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; then
  units=rabbitmq-server.service
  # Erlang's port mapper comes with the broker, unless another Erlang program was here before it.
  command -v epmd >/dev/null || units="$units epmd.service epmd.socket"
  debian rabbitmq-server
  # shellcheck disable=SC2086 # The list is meant to be split into words.
  keep_off $units
fi

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  say "a virtual environment in .venv"
  "$PYTHON" -m venv --clear .venv >>"$log" 2>&1 ||
    fail "the virtual environment could not be made" "mend what is said above (room on the disk, rights in this folder)"
fi

say "the packages of requirements.lock (a minute or two the first time)"
.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock >>"$log" 2>&1 ||
  fail "the locked packages could not be installed" "see that pip reaches a package index (pip config list)"

say "the services and the viisikko command"
editable=""
for package in "$@"; do editable="$editable -e $package"; done
# shellcheck disable=SC2086 # The list is meant to be split into words.
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation $editable >>"$log" 2>&1 ||
  fail "the project's own packages could not be installed" "mend the pyproject.toml that is named above"

touch .venv/.ready
