//! Faults of ours: a panic in one session is caught, and said.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a part of one session, so that a fault of ours there ends that session and no other. What is left of the session
/// is never looked at again, and what it shares (outbox, events) is whole between two appends; so unwinding is safe.
pub(crate) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| panic_message(&*panic))
}

/// What a panic says of itself.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic".into())
}
