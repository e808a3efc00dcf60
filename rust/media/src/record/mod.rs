//! What must outlive a crash of the process: one record of fixed layout per session, and its playout ring.
//!
//! Everything here is plain data in bytes that the caller owns ([`RecordStore`]): the heap today, memory shared with a
//! standby tomorrow.
//!
//! A slot, one per session:
//!
//! | part | what | written |
//! |---|---|---|
//! | [`layout::SlotHeader`] | version of the layout, sizes | when the session opens |
//! | setup, twice | far ends, payload types, keys, latches, identifiers, digits that wait, what is listened for | when one of them changes |
//! | state, twice | counters, SRTP indices, a digit half received or half sent, the playhead | with every frame, before its packets can leave |
//! | ring | the audio queued for playout, and the marks in it ([`ring`]) | as it comes |
//!
//! What is not here, and what that costs:
//!
//! | of | not kept | since |
//! |---|---|---|
//! | leg | jitter buffer, concealment, decoder; the source's lost packets and jitter | the far end sends on: the buffer fills within its delay |
//! | leg | frames gathered for a packet of more than 20 ms, filters, encoder | lost: up to 40 ms of sound, sent as silence, and an artefact of one frame |
//! | leg | addresses that are proving themselves, a suspect | they prove themselves anew |
//! | leg | round trip, the far end's reports, when the next report or keep-alive is due | the next report, within seconds |
//! | leg | counters but for packets and bytes, the quality so far | lost: the call's quality is that since the process went on |
//! | leg | a tone or a voice half heard; the network's weights | detectors begin anew; the runtime brings the weights |
//! | stream | its socket, and what was gathered of a chunk for the application | lost: less than a chunk |
//! | stream | a ramp (4 ms) under way, what was seen of a standing delay | an end without a ramp; it is seen again within 2 s |
//! | stream | counters but for messages and bytes | lost |
//! | session | gains of limiters, how loud each leg is | they settle within a second; who was told to speak is kept |
//! | playback | samples | the runtime brings them again |
//!
//! **Reserve before sending** (invariant 4): RTP numbers are a function of the tick, so the one number of
//! [`layout::NodeRecord`] holds those of all sessions. It is written before the frames of that tick are run.
//!
//! **Torn writes.** Setup and state have two copies each, a generation and a checksum. The older copy is overwritten; who
//! is killed while writing leaves the newer one, which is the truth: nothing of what was being written has left. A state
//! names the generation of the setup it belongs to.
//!
//! **Told once.** The state is written before an event can be taken. A crash between the two loses the event and never
//! doubles it.
//!
//! **Secrets.** A slot holds SRTP master keys and speech. Closing a session wipes its slot; who maps the memory keeps it
//! from other users, and out of core dumps.
//!
//! Leaves out: the URL and the headers of a stream and the path of a recording (the runtime and control hold these, under
//! the keys that restoring gives back), samples of playbacks, and another host's clock: ticks are of this host.

pub(crate) mod copies;
pub mod layout;
pub(crate) mod ring;
mod store;

pub use store::{HeapStore, RecordStore};

use std::fmt;

/// Bytes of the node's record.
pub const NODE_BYTES: usize = size_of::<layout::NodeRecord>();
/// Bytes of a slot without its ring.
pub const FIXED_BYTES: usize = layout::RING_OFFSET;
/// Bytes of the ring of a slot: a minute at 8 kHz in s16le, with room for the headers of 1,200 chunks. Rule when full:
/// newer audio plays all the same, but is not kept until there is room.
pub const RING_BYTES: usize = 1 << 20;

/// Why a record was not restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// Not a record, or bytes that are too few for one.
    NotARecord,
    /// Of a layout with another major version.
    ForeignVersion(u16),
    /// No copy of this part is whole.
    Torn(&'static str),
    /// Whole, but says what cannot be; names the field.
    Impossible(&'static str),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::NotARecord => f.write_str("not a record"),
            RecordError::ForeignVersion(major) => {
                write!(f, "layout version {major}, not {}", layout::MAJOR)
            }
            RecordError::Torn(part) => write!(f, "no copy of the {part} is whole"),
            RecordError::Impossible(field) => write!(f, "{field} cannot be"),
        }
    }
}

impl std::error::Error for RecordError {}
