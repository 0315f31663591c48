#!/bin/sh
# The demo: guard the install of a real application, stop a tampered copy of it, verify the audit trail.
# Called by `./dev demo`, which has built everything and put the pinned Node on PATH.
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
WORK="$ROOT/.dev/demo"
COFFERDAM_STATE="$WORK/state"
export COFFERDAM_STATE
rm -rf "$WORK"
mkdir -p "$WORK"

step() { printf '\n== %s\n$ %s\n' "$1" "$2"; }
cofferdam() { node "$ROOT/bin/cofferdam.js" "$@"; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }

step "1. A real application, installed behind the gate" "cofferdam install -- npm ci"
cp -R "$ROOT/examples/shop" "$WORK/shop"
cd "$WORK/shop"
cofferdam install -- npm ci || fail "the guarded install did not succeed"

step "2. It works: the application's own tests" "npm test"
node node_modules/mocha/bin/mocha.js test || fail "the installed application does not work"

step "3. Somebody changed one hash in the lockfile" "cofferdam install -- npm ci"
cp -R "$ROOT/examples/shop" "$WORK/tampered"
cd "$WORK/tampered"
node --input-type=module -e '
  import { readFileSync, writeFileSync } from "node:fs";
  const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
  lock.packages["node_modules/express"].integrity = `sha512-${Buffer.alloc(64, 7).toString("base64")}`;
  writeFileSync("package-lock.json", JSON.stringify(lock, null, 2));
'
status=0
cofferdam install -- npm ci || status=$?
[ "$status" = 6 ] || fail "the changed hash gave exit $status, not 6"
[ ! -e node_modules ] || fail "the tampered copy was installed"

step "4. Somebody lets npm run a program of the project" "cofferdam install -- npm ci"
cp "$ROOT/examples/shop/package-lock.json" .
printf 'git=./not-git.sh\n' >.npmrc
status=0
cofferdam install -- npm ci || status=$?
[ "$status" = 3 ] || fail "the hostile .npmrc gave exit $status, not 3"

step "5. All of it is on record, and the record is whole" "cofferdam audit verify"
cofferdam audit verify
cofferdam audit search --action PackageInstall

cat <<'EOF'

Next:
  ./dev run doctor                      what this machine has and lacks
  ./dev run install -- npm ci           in a project of yours (or: ./dev run npm ci)
  ./dev run policy explain level        who decides what is enforced
  ./dev run audit search --since 1h     what was decided
EOF
