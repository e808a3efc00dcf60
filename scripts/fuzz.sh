#!/usr/bin/env bash
# Fuzzes one target, or each in turn: scripts/fuzz.sh [TARGET|all] [SECONDS]. Inputs found go to target/fuzz/corpus, a
# crash to target/fuzz/crashes; put what crashed into rust/fuzz/corpus/TARGET, where `cargo test` replays it for ever.
#
# libFuzzer on the stable toolchain: the coverage it steers by is a pass of LLVM's, which stable can switch on. The
# address sanitizer needs nightly and would find nothing here, since our crates have no unsafe code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v c++ >/dev/null || { echo "fuzz: needs a C++ compiler (apt-get install build-essential)" >&2; exit 1; }
host=$(rustc -vV | sed -n 's/^host: //p')
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
# With --target the flags reach neither build scripts nor macros. One codegen unit: the pass loses edges between many.
# The versions are those of the workspace; libFuzzer itself is pinned in its manifest.
cp Cargo.lock rust/fuzz/libfuzzer/Cargo.lock
RUSTFLAGS="$coverage -Ccodegen-units=1 --cfg fuzzing" CARGO_TARGET_DIR=target/fuzz \
    cargo build --quiet --release --manifest-path rust/fuzz/libfuzzer/Cargo.toml --target "$host"

targets=${1:-all}
[ "$targets" != all ] || targets=$(ls rust/fuzz/corpus)
for target in $targets; do
    seeds=rust/fuzz/corpus/$target
    [ -d "$seeds" ] || { echo "fuzz: no target $target; there are: $(ls rust/fuzz/corpus | tr '\n' ' ')" >&2; exit 1; }
    mkdir -p "target/fuzz/corpus/$target" target/fuzz/crashes
    echo "fuzz: $target for ${2:-60} s"
    FUZZ_TARGET=$target "target/fuzz/$host/release/longline-fuzz" -max_total_time="${2:-60}" -print_final_stats=1 -verbosity=0 \
        -max_len="$([ "$target" = engine ] && echo 4096 || echo 2048)" -timeout=10 -rss_limit_mb=1024 \
        -artifact_prefix="target/fuzz/crashes/$target-" "target/fuzz/corpus/$target" "$seeds"
done
