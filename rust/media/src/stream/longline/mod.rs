//! `longline.v1`, our own protocol, as a codec: audio in binary messages behind a header of 16 bytes or in JSON, and control
//! in JSON. `docs/reference/longline-v1.md` is the specification.
//!
//! [`header`] is the header, [`read`] what an application says, [`hello`] the first of it, [`write`] what it is told.

pub mod header;
mod hello;
mod read;
mod write;

use super::dialect::{About, Message, Tell, WireFormat};
use crate::Form;
use crate::event::RefusedMessage;

pub use header::Header;

/// Its name, in `start` and as a subprotocol.
pub const PROTOCOL: &str = "longline.v1";
/// The lengths of a frame, in milliseconds.
pub const FRAMES_MS: [u32; 6] = [10, 20, 30, 40, 50, 60];
/// The longest text message. Rule: a longer one is refused.
pub const MAX_TEXT_BYTES: usize = 64 << 10;
/// The longest utterance id, in characters.
pub const MAX_UTTERANCE_ID: usize = 64;

/// The codec of one stream.
#[derive(Clone, Debug, Default)]
pub struct Longline {
    /// Audio is text.
    is_text: bool,
    /// Which connection this is.
    epoch: u32,
    about: About,
}

impl WireFormat for Longline {
    fn write(&mut self, tell: &Tell<'_>, out: &mut Vec<u8>) -> Option<Form> {
        match tell {
            Tell::Epoch(epoch) => self.epoch = *epoch,
            Tell::Ready(ready) => self.is_text = ready.audio.is_text,
            _ => {}
        }
        write::write(tell, self, out)
    }

    fn read<'a>(&mut self, form: Form, message: &'a [u8]) -> Result<Message<'a>, RefusedMessage> {
        self.about = About::default();
        match form {
            Form::Text => read::text(message, &mut self.about),
            Form::Binary => read::binary(message, &mut self.about),
        }
    }

    fn about(&self) -> About {
        self.about
    }

    fn numbers(&self) -> [u64; 2] {
        [u64::from(self.is_text), u64::from(self.epoch)]
    }

    fn resume(&mut self, [is_text, epoch]: [u64; 2]) {
        (self.is_text, self.epoch) = (is_text != 0, epoch as u32);
    }
}
