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

step "3. A package whose install script builds, and also steals" "cofferdam install -- npm ci"
cp -R "$ROOT/examples/badge/app" "$WORK/badge"
mkdir "$WORK/home"
printf 'npm_not-a-real-token\n' >"$WORK/home/.token"
cd "$WORK/badge"
npm pack --silent --pack-destination . "$ROOT/examples/badge/package" >/dev/null
npm install --package-lock-only --ignore-scripts --no-audit --no-fund --silent
HOME="$WORK/home" cofferdam install --json -- npm ci >../badge.json || fail "the install of the badge did not succeed"
HOME="$WORK/home" cofferdam install -- npm ci
[ "$(node -p 'require("badge-maker").message')" = passing ] || fail "the build step did not work"
node -e '
  const { scripts } = require("../badge.json");
  const refused = scripts.flatMap((script) => script.refused.map(({ what }) => what));
  for (const what of ["collector.badge-maker.example", process.argv[1]])
    if (!refused.includes(what)) throw new Error(`not refused: ${what}`);
' "$WORK/home/.token" || fail "the theft was not refused"

step "4. Any command, with what it was given and nothing else" "cofferdam sandbox run -- npm test"
cd "$WORK/shop"
cofferdam sandbox run -- node node_modules/mocha/bin/mocha.js test || fail "the tests do not run in the jail"

step "5. Somebody changed one hash in the lockfile" "cofferdam install -- npm ci"
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

step "6. Somebody lets npm run a program of the project" "cofferdam install -- npm ci"
cp "$ROOT/examples/shop/package-lock.json" .
printf 'git=./not-git.sh\n' >.npmrc
status=0
cofferdam install -- npm ci || status=$?
[ "$status" = 3 ] || fail "the hostile .npmrc gave exit $status, not 3"

step "7. All of it is on record, and the record is whole" "cofferdam audit verify"
cofferdam audit verify
cofferdam audit search --action PackageInstall
cofferdam audit search --action RuntimeProtection

cat <<'EOF'

Next:
  ./dev run doctor                      what this machine has and lacks
  ./dev run install -- npm ci           in a project of yours (or: ./dev run npm ci)
  ./dev run sandbox run -- npm test     your tests, without your home and your network
  ./dev run scripts list                which install scripts a project has, and what would happen to them
  ./dev run policy explain level        who decides what is enforced
  ./dev run audit search --since 1h     what was decided
EOF
