//! DTMF: the digits of a telephone's keypad, both ways and by both roads.
//!
//! As telephone-events (RFC 4733): [`receiver`] and [`sender`]. As tones in the audio (ITU-T Q.23 and Q.24): [`tones`] and
//! [`detector`]. [`once`] tells one press that came by both roads a single time.

pub mod detector;
pub mod once;
pub mod receiver;
pub mod sender;
pub mod tones;

pub use detector::Detector;
pub use once::Once;
pub use receiver::{Digit, DigitReceiver};
pub use sender::{DigitSender, SendDigits, SentDigit, Slot, Step};

/// The keys in the order of their event numbers (RFC 4733 §3.2).
pub const DIGITS: &[u8; 16] = b"0123456789*#ABCD";

/// The event number of a key; letters in either case.
pub fn event_of(digit: char) -> Option<u8> {
    let digit = u8::try_from(digit).ok()?.to_ascii_uppercase();
    DIGITS.iter().position(|&key| key == digit).map(|at| at as u8)
}

/// The key of an event number of 0..=15.
pub(crate) fn digit_of(event: u8) -> char {
    char::from(DIGITS[usize::from(event & 15)])
}

/// By which road a digit travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// A telephone-event (RFC 4733).
    Event,
    /// Tones in the audio.
    InBand,
}

impl Method {
    /// The word the control protocol uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Event => "rfc4733",
            Method::InBand => "inband",
        }
    }
}
