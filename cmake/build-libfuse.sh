#!/usr/bin/env bash
# Builds libfuse >= 3.17 (kernel passthrough) from Debian's source package into a private prefix, with the patches beside this
# script: what they do is said in them. Usage: cmake/build-libfuse.sh PREFIX. Uses the Debian mirror that this machine's apt
# already uses; nothing is installed system-wide. Prints one line; does nothing where the prefix has it already.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=$(mkdir -p "$1" && cd "$1" && pwd)
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig:${PKG_CONFIG_PATH:-}
# A prefix of an older form of this script is built anew.
if [ "$(pkg-config --variable=berth_one_pipe_key fuse3 2>/dev/null)" = 1 ] &&
  [ "$(pkg-config --variable=berth_custom_io fuse3 2>/dev/null)" = 1 ]; then
  echo "libfuse $(pkg-config --modversion fuse3): there already"
  exit 0
fi

mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME) $(CREATED_BY)' 2>/dev/null |
  awk '$1 ~ /debian\/?$/ && $3 == "Packages" {print $1; exit}')
make_do() {  # make_do WHY: with the system's own libfuse, where that will do
  if pkg-config --exists 'fuse3 >= 3.17'; then
    echo "libfuse $(pkg-config --modversion fuse3) as the system has it, about 1,020 mounts a daemon: $1"
    exit 0
  fi
  echo "build-libfuse: $1; install libfuse3-dev >= 3.17 by hand" >&2
  exit 1
}
[ -n "$mirror" ] || make_do "apt knows no Debian mirror"

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
fetch sid || fetch trixie || { cat "$work/log" >&2; make_do "Debian's source package fuse3 can't be fetched"; }

cd "$work/src"
tar xf "$(ls fuse3_*.orig.tar.* | grep -v "\.asc$")"
cd "$(find . -mindepth 1 -maxdepth 1 -type d | head -n 1)"
for patch in "$here"/libfuse-*.patch; do
  patch -p1 --forward <"$patch" >"$work/log" 2>&1 || { cat "$work/log" >&2; echo "build-libfuse: $patch does not apply" >&2; exit 1; }
done
options=(--prefix="$prefix" --libdir=lib --buildtype=release -Dutils=false -Dtests=false -Dexamples=false -Ddefault_library=static)
grep -q enable-io-uring meson_options.txt && options+=(-Denable-io-uring=true)
grep -q enable-custom-io meson_options.txt && options+=(-Denable-custom-io=true)
{ meson setup build "${options[@]}" && ninja -C build && ninja -C build install; } >"$work/log" 2>&1 ||
  { tail -n 30 "$work/log" >&2; echo "build-libfuse: the build failed" >&2; exit 1; }
# For the lines above that ask, and for CMake.
sed -i '1i berth_one_pipe_key=1\nberth_custom_io=1' "$prefix/lib/pkgconfig/fuse3.pc"
echo "libfuse $(pkg-config --modversion fuse3): built into $prefix"
