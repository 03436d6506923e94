#!/bin/sh
# Makes what every make target needs: Debian's rabbitmq-server, and .venv with the locked packages and this project.
# Prints one line a step; everything else goes to .viisikko/setup.log, whose end is shown where a step fails.
set -eu

# Passwords, keys and mails of this machine's networks are kept here.
{ mkdir -p .viisikko && chmod 700 .viisikko; } || {
  printf 'set-up failed: .viisikko is not yours. Next: remove it as its owner, then run the same command again.\n' >&2
  exit 1
}
log=.viisikko/setup.log
: >"$log"

say() { printf 'setting up: %s\n' "$1" >&2; }

# Arguments: what failed, and the next step.
fail() {
  tail -n 20 "$log" >&2
  printf 'set-up failed: %s\nThe whole log is in %s. Next: %s, then run the same command again.\n' "$1" "$log" "$2" >&2
  exit 1
}

# How commands are run as root: directly, with sudo as it is, or with sudo that asks for a password at the terminal.
become_root() {
  if [ "$(id -u)" -eq 0 ]; then
    sudo=""
  elif sudo -n true 2>/dev/null; then
    sudo="sudo -n"
  elif [ -t 0 ] && command -v sudo >/dev/null; then
    say "sudo may ask for your password, to install Debian's $1"
    sudo="sudo"
    sudo -v || return 1
  else
    return 1
  fi
}

as_root() { $sudo "$@"; }

# Debian starts a service as soon as it is installed. This project runs a private broker only, so the package is
# installed while policy-rc.d forbids the start; a policy that was there before stays as it was.
policy=/usr/sbin/policy-rc.d
our_policy=no

forbid_starts() {
  [ ! -e "$policy" ] || return 0
  our_policy=yes
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
}

allow_starts() {
  [ "$our_policy" = yes ] || return 0
  our_policy=no
  as_root rm -f "$policy"
}

trap allow_starts EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

debian() {
  if ! become_root "$1"; then
    printf 'set-up needs the Debian package %s: run "apt-get install %s" as root, then this command again.\n' \
      "$1" "$1" >&2
    exit 1
  fi
  say "Debian's $1"
  as_root apt-get update >>"$log" 2>&1 ||
    printf 'warning: apt-get update failed; the package is looked for in the lists that are there\n' >>"$log"
  forbid_starts
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    -o DPkg::Lock::Timeout=120 "$1" >>"$log" 2>&1 ||
    fail "the Debian package $1 could not be installed" "mend what apt-get says above, or run \"apt-get install $1\" as root"
  allow_starts
}

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
