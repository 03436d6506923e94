#!/bin/sh
# Makes what every make target needs: Debian's rabbitmq-server, and .venv with the locked packages and this project.
# Prints one line a step; everything else goes to .viisikko/setup.log, which is shown where a step fails.
set -eu

mkdir -p .viisikko
log=.viisikko/setup.log
: >"$log"

say() { printf 'setting up: %s\n' "$1" >&2; }

fail() {
  tail -n 20 "$log" >&2
  printf 'set-up failed: %s\nThe whole log is in %s; mend the cause and run the same command again.\n' "$1" "$log" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_be_root() { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }

# Debian starts a service as soon as it is installed. This project runs a private broker only, so the package is
# installed while policy-rc.d forbids the start; a policy that was there before stays as it was.
debian() {
  if ! can_be_root; then
    printf 'set-up needs the Debian package %s: run "apt-get install %s" as root, then this command again.\n' \
      "$1" "$1" >&2
    exit 1
  fi
  say "Debian's $1"
  policy=/usr/sbin/policy-rc.d
  ours=no
  if [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  installed=yes
  { as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y \
    --no-install-recommends "$1"; } >>"$log" 2>&1 || installed=no
  if [ "$ours" = yes ]; then as_root rm -f "$policy"; fi
  [ "$installed" = yes ] || fail "the Debian package $1 could not be installed"
}

[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || debian rabbitmq-server
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || debian python3-venv
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or newer is needed"

if [ ! -x .venv/bin/python ]; then
  say "a virtual environment in .venv"
  "$PYTHON" -m venv .venv >>"$log" 2>&1 || fail "the virtual environment could not be made"
fi

say "the packages of requirements.lock (a minute or two the first time)"
.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock >>"$log" 2>&1 ||
  fail "the locked packages could not be installed"

say "the services and the viisikko command"
editable=""
for package in "$@"; do editable="$editable -e $package"; done
# shellcheck disable=SC2086 # The list is meant to be split into words.
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation $editable >>"$log" 2>&1 ||
  fail "the project's own packages could not be installed"

touch .venv/.ready
