//! The media server program.
fn main() {}
