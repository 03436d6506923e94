# What set-up scripts share: a line a step, a log whose end is shown where a step fails, and Debian's packages.
# Read by the others from the repository's root: `. deploy/setup/debian.sh`.
# shellcheck shell=sh

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
