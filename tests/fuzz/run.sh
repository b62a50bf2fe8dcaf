#!/usr/bin/env bash
# tests/fuzz/run.sh [SECONDS]: builds the fuzz targets with clang and libFuzzer and runs each for SECONDS (10). New inputs stay in
# build/fuzz/corpus; an input that breaks something is written to build/fuzz/findings: fix it, then add it to tests/fuzz/corpus.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-10}

export PKG_CONFIG_PATH=$PWD/.deps/libfuse/lib/pkgconfig:${PKG_CONFIG_PATH:-}
cmake -S . -B build/fuzz -G Ninja -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_BUILD_TYPE=Debug \
  -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g1" -DBERTH_FUZZ=ON -DBERTH_SANITIZE="fuzzer-no-link,address,undefined" >/dev/null
ninja -C build/fuzz --quiet fuzzers

mkdir -p build/fuzz/findings
failed=0
for seeds in tests/fuzz/corpus/*/; do
  target=$(basename "$seeds")
  mkdir -p "build/fuzz/corpus/$target"
  log=build/fuzz/$target.log
  if "build/fuzz/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=8192 \
    -artifact_prefix="build/fuzz/findings/$target-" "build/fuzz/corpus/$target" "$seeds" 2>"$log"; then
    printf '%-14s %s\n' "$target" "$(grep -E '^Done ' "$log" || tail -1 "$log")"
  else
    printf '%-14s FOUND something, see build/fuzz/findings:\n' "$target"
    tail -30 "$log"
    failed=1
  fi
done
exit $failed
