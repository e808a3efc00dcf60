//! libFuzzer around one target, which the environment variable `FUZZ_TARGET` names. `make fuzz` builds and runs it.
#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    match fuzz_targets::find(&name) {
        Some(target) => target,
        None => panic!("FUZZ_TARGET is none of {:?}", fuzz_targets::names()),
    }
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
