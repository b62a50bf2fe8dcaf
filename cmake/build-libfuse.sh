#!/usr/bin/env bash
# Builds libfuse >= 3.17 (kernel passthrough) from Debian's source package into a private prefix, where the system's is older.
# Usage: cmake/build-libfuse.sh PREFIX. Uses the Debian mirror that this machine's apt already uses; nothing is installed
# system-wide. Prints one line; does nothing where the prefix has it already.
set -euo pipefail

prefix=$(mkdir -p "$1" && cd "$1" && pwd)
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig:${PKG_CONFIG_PATH:-}
if pkg-config --exists 'fuse3 >= 3.17' 2>/dev/null; then
  echo "libfuse $(pkg-config --modversion fuse3): there already"
  exit 0
fi

mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME) $(CREATED_BY)' 2>/dev/null |
  awk '$1 ~ /debian\/?$/ && $3 == "Packages" {print $1; exit}')
[ -n "$mirror" ] || { echo "build-libfuse: apt knows no Debian mirror; install libfuse3-dev >= 3.17 by hand" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,cache/archives/partial,etc,src}
fetch() {  # fetch SUITE: libfuse's source package from that suite, its signature checked by apt
  printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
    "$mirror" "$1" >"$work/etc/fuse.sources"
  local apt=(-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/etc" -o Dir::State::lists="$work/lists"
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root)
  (cd "$work/src" && apt-get "${apt[@]}" -qq update && apt-get "${apt[@]}" -qq source --download-only fuse3) >"$work/log" 2>&1
}
fetch sid || fetch trixie || { cat "$work/log" >&2; echo "build-libfuse: Debian's source package fuse3 can't be fetched" >&2; exit 1; }

cd "$work/src"
tar xf "$(ls fuse3_*.orig.tar.* | grep -v "\.asc$")"
cd "$(find . -mindepth 1 -maxdepth 1 -type d | head -n 1)"
options=(--prefix="$prefix" --libdir=lib --buildtype=release -Dutils=false -Dtests=false -Dexamples=false -Ddefault_library=static)
grep -q enable-io-uring meson_options.txt && options+=(-Denable-io-uring=true)
{ meson setup build "${options[@]}" && ninja -C build && ninja -C build install; } >"$work/log" 2>&1 ||
  { tail -n 30 "$work/log" >&2; echo "build-libfuse: the build failed" >&2; exit 1; }
echo "libfuse $(pkg-config --modversion fuse3): built into $prefix"
