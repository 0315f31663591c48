#!/bin/sh
# The demo: advisories, the guarded install of a real application, a vulnerable branch, a tampered copy, the audit trail, and
# a guarded job on a container engine of its own.
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

step "1. What is known to be bad comes in" "cofferdam db import advisories.ndjson --source osv:npm"
# Real advisories, three of them, written by hand and dated today, as if the database had been fetched just now. On a machine
# with a network it is: cofferdam db update
for name in advisories.ndjson exploited.json; do
  sed "s/@TODAY@/$(date -u +%Y-%m-%dT%H:%M:%SZ)/" "$ROOT/examples/legacy/$name" >"$WORK/$name"
done
cofferdam db import "$WORK/advisories.ndjson" --source osv:npm
cofferdam db import "$WORK/exploited.json"

step "2. A real application, installed behind the gate" "cofferdam install -- npm ci"
cp -R "$ROOT/examples/shop" "$WORK/shop"
cd "$WORK/shop"
cofferdam install -- npm ci || fail "the guarded install did not succeed"

step "3. A branch brings a critical vulnerability; main has another one" "cofferdam install -- npm ci"
mkdir "$WORK/legacy"
cp "$ROOT/examples/legacy/package.json" "$WORK/legacy"
cd "$WORK/legacy"
npm install --package-lock-only --no-audit --no-fund --silent
git init -q -b main
git add package.json package-lock.json
git -c user.name=demo -c user.email=demo@example.com -c commit.gpgsign=false commit -q -m "as it was"
git checkout -q -b feature
npm install --package-lock-only --no-audit --no-fund --silent form-data@4.0.3
status=0
cofferdam install -- npm ci 2>../legacy.txt || status=$?
cat ../legacy.txt
[ "$status" = 3 ] || fail "the new vulnerability gave exit $status, not 3"
grep -q "denied   form-data@4.0.3" ../legacy.txt || fail "the new vulnerability was not denied"
[ ! -e node_modules ] || fail "the branch was installed"
printf '\n$ cofferdam scan\n'
status=0
cofferdam scan >../scan.txt || status=$?
cat ../scan.txt
[ "$status" = 3 ] || fail "the scan gave exit $status, not 3"
grep -q "had      minimist@1.2.5" ../scan.txt || fail "what main had already was not told apart"
printf '\n$ npm install form-data@4.0.4 --package-lock-only; cofferdam install -- npm ci\n'
npm install form-data@4.0.4 --package-lock-only --no-audit --no-fund --silent
cofferdam install -- npm ci || fail "the fixed branch was not installed"

step "4. It works: the application's own tests" "npm test"
cd "$WORK/shop"
node node_modules/mocha/bin/mocha.js test || fail "the installed application does not work"

step "5. A package whose install script builds, and also steals" "cofferdam install -- npm ci"
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
  // Below /tmp nothing of the machine is in the jail: there was no token to be refused.
  const token = process.argv[1].startsWith("/tmp/") ? [] : [process.argv[1]];
  for (const what of ["collector.badge-maker.example", ...token])
    if (!refused.includes(what)) throw new Error(`not refused: ${what}`);
' "$WORK/home/.token" || fail "the theft was not refused"

step "6. Any command, with what it was given and nothing else" "cofferdam sandbox run -- npm test"
cd "$WORK/shop"
cofferdam sandbox run -- node node_modules/mocha/bin/mocha.js test || fail "the tests do not run in the jail"

step "7. Somebody changed one hash in the lockfile" "cofferdam install -- npm ci"
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

step "8. Somebody lets npm run a program of the project" "cofferdam install -- npm ci"
cp "$ROOT/examples/shop/package-lock.json" .
printf 'git=./not-git.sh\n' >.npmrc
status=0
cofferdam install -- npm ci || status=$?
[ "$status" = 3 ] || fail "the hostile .npmrc gave exit $status, not 3"

step "9. All of it is on record, and the record is whole" "cofferdam audit verify"
cofferdam audit verify
cofferdam audit search --action PackageInstall
cofferdam audit search --action RuntimeProtection

step "10. A job in a container that has only what it was given" "cofferdam job run -- sh build.sh"
missing=""
[ "$(id -u)" = 0 ] || missing="root"
[ -x /bin/busybox ] || missing="busybox"
command -v dockerd >/dev/null 2>&1 || [ -x /usr/sbin/dockerd ] || missing="dockerd"
command -v docker >/dev/null 2>&1 || missing="the docker command"
if [ -n "$missing" ]; then
  printf 'skipped: %s is missing\n' "$missing"
else
  node "$ROOT/examples/job/demo.ts" "$WORK/job" || fail "the guarded job did not do what it should"
fi

cat <<'EOF'

Next:
  ./dev run doctor                      what this machine has and lacks
  ./dev run install -- npm ci           in a project of yours (or: ./dev run npm ci)
  ./dev run scan                        what is known of a project's packages
  ./dev run sandbox run -- npm test     your tests, without your home and your network
  ./dev run job run --help              a command in a container: what it needs, and what it gets
  ./dev run scripts list                which install scripts a project has, and what would happen to them
  ./dev run policy explain level        who decides what is enforced
  ./dev run audit search --since 1h     what was decided
EOF
