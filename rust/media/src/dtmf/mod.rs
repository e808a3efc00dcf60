//! DTMF: the digits of a telephone's keypad (ITU-T Q.23), as telephone-events (RFC 4733).

pub mod receiver;

pub use receiver::{Digit, DigitReceiver};
