//! What all dialects have in common: what a stream tells ([`Tell`]), what it is asked ([`Message`]), and the table of the
//! dialects ([`TABLE`]).
//!
//! A dialect is a codec and nothing else ([`WireFormat`]): it turns what is told into messages, and messages into what is
//! asked. It does not resample, queue, hang up or retry. What a dialect has no message for is not written, and that is all.

mod hello;
mod message;
mod table;
mod tell;
mod tracks;

use crate::Form;
use crate::event::RefusedMessage;
pub use hello::{Hello, Resume, Wish};
pub use message::{About, Action, Audio, Message, Play};
pub use table::{Entry, TABLE, entry};
pub use tell::{Answer, AudioFormat, Level, Playback, Ready, Speech, Tell, Utterance};
pub use tracks::{Tracks, is_sent};

/// The two ways of a wire format, for one stream. In steady state neither allocates.
pub trait WireFormat: Send {
    /// Appends the message that tells this, and says in which form it travels; `None`: the dialect has no such message,
    /// and nothing was written.
    fn write(&mut self, tell: &Tell<'_>, out: &mut Vec<u8>) -> Option<Form>;

    /// Reads one message.
    fn read<'a>(&mut self, form: Form, message: &'a [u8]) -> Result<Message<'a>, RefusedMessage>;

    /// What stood around the message that was read last.
    fn about(&self) -> About {
        About::default()
    }

    /// What another process needs to go on.
    fn numbers(&self) -> [u64; 2];

    /// Goes on with these numbers.
    fn resume(&mut self, numbers: [u64; 2]);
}
