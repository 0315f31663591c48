# The native programs for the other kind of processor (./dev package, ./dev test --full): Debian's compiler for it, and its own
# libraries as the release of this machine has them. apt keeps all of it below .dev, with a state of its own, so that the machine
# knows nothing of another architecture.
# shellcheck shell=sh

case "$(native_arch)" in
  arm64) other=x64 debian=amd64 other_triple=x86_64-linux-gnu ;;
  *) other=arm64 debian=arm64 other_triple=aarch64-linux-gnu ;;
esac
place="$STAMPS/$other"

build_other() {
  need_apt "gcc-$(printf '%s' "$other_triple" | tr _ -)"
  fetch libraries libc6-dev linux-libc-dev libbpf-dev libelf-dev zlib1g-dev libzstd-dev
  build_for "$other" "$other_triple-gcc" "$place/libraries"
}

# What the tests boot in an emulated machine of that kind.
fetch_guest() {
  [ "$other" = arm64 ] || return 0
  need_apt qemu-system-arm
  fetch guest busybox-static linux-image-cloud-arm64
}

# Unpacks packages into a folder of their own; again when this machine's packages of these names are others than then.
fetch() {
  into=$1; shift
  key=$({ printf '%s ' "$@" && dpkg-query -W "$@" 2>/dev/null; } | cksum)
  [ "$(cat "$place/$into.key" 2>/dev/null)" = "$key" ] && return 0
  say "fetching for $debian: $*"
  rm -rf "${place:?}/$into" "$place/debs"
  mkdir -p "$place/$into" "$place/debs" "$place/apt/lists/partial" "$place/cache/archives/partial"
  : >"$place/apt/status"
  (cd "$place/debs" && with_state apt-get update && for name in "$@"; do with_state apt-get download "$(real "$name")" || exit 1; done) >"$STAMPS/apt.log" 2>&1 ||
    { tail -n 5 "$STAMPS/apt.log" >&2; die "apt-get could not fetch for $debian: $*"; }
  for archive in "$place"/debs/*.deb; do dpkg-deb -x "$archive" "$place/$into"; done
  rm -rf "$place/debs"
  printf '%s\n' "$key" >"$place/$into.key"
}

# A kernel's package depends on the newest one.
real() {
  case "$1" in
    linux-image-*) with_state apt-cache depends "$1" | sed -n 's/^ *Depends: //p' ;;
    *) printf '%s' "$1" ;;
  esac
}

with_state() {
  tool=$1; shift
  "$tool" -q -o "APT::Architecture=$debian" -o "APT::Architectures=$debian" -o "Dir::State=$place/apt" -o "Dir::State::status=$place/apt/status" \
    -o "Dir::Cache=$place/cache" -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}
