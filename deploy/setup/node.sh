#!/bin/sh
# Makes what a program in Node needs: Debian's nodejs and npm where absent, and the packages of its lock file.
# Argument: the program's folder.
set -eu

. deploy/setup/debian.sh

OLDEST=18

command -v node >/dev/null || debian nodejs
command -v npm >/dev/null || debian npm
node -e "process.exit(process.versions.node.split('.')[0] < $OLDEST ? 1 : 0)" ||
  fail "node is older than $OLDEST" "install a newer one, or remove it so that Debian's is taken"

# npm writes this file last, and `npm ci` begins by removing it.
if [ ! "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ]; then
  say "the packages of $1"
  npm --prefix "$1" ci --ignore-scripts --no-audit --no-fund >>"$log" 2>&1 ||
    fail "the packages of $1 could not be installed" "see that npm reaches a registry (npm ping)"
fi
