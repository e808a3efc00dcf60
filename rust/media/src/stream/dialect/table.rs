//! The table of the dialects: the name, the formats and the tracks of each, and what makes its codec.

use super::{Tracks, WireFormat};
use crate::config::{Dialect, Encoding, Format, StreamParams};
use crate::stream::{asterisk, exotel, jambonz, longline, plivo, teler, telnyx, twilio, vonage};
use crate::time::FRAME_MS;

/// One dialect.
pub struct Entry {
    /// Which.
    pub dialect: Dialect,
    /// What the control protocol calls it.
    pub name: &'static str,
    /// What it can carry to the application.
    pub output: &'static [Format],
    /// What it can carry from it.
    pub input: &'static [Format],
    /// What it says to a format that it cannot carry.
    pub formats: &'static str,
    /// Which tracks it can carry.
    pub tracks: Tracks,
    /// Most that may wait of what the application says, if that is less than elsewhere.
    pub queue_ms: Option<u32>,
    /// Makes its codec for one stream.
    pub make: fn(&StreamParams) -> Box<dyn WireFormat>,
}

const fn pcm(rate_hz: u32) -> Format {
    let encoding = Encoding::PcmS16le;
    Format { encoding, rate_hz }
}

const fn mu_law(rate_hz: u32) -> Format {
    let encoding = Encoding::MuLaw;
    Format { encoding, rate_hz }
}

const fn a_law(rate_hz: u32) -> Format {
    let encoding = Encoding::ALaw;
    Format { encoding, rate_hz }
}

const fn pcm_be(rate_hz: u32) -> Format {
    let encoding = Encoding::PcmS16be;
    Format { encoding, rate_hz }
}

const EVERY_LINEAR: &[Format] = &[pcm(8_000), pcm(16_000), pcm(24_000), pcm(48_000)];

const LINEAR_TO_24: &[Format] = &[pcm(8_000), pcm(16_000), pcm(24_000)];

/// Both byte orders: clients disagree on L16.
const TELNYX: &[Format] = &[
    mu_law(8_000),
    a_law(8_000),
    pcm(8_000),
    pcm(16_000),
    pcm(24_000),
    pcm(48_000),
    pcm_be(8_000),
    pcm_be(16_000),
    pcm_be(24_000),
    pcm_be(48_000),
];

const TWILIO: &[Format] = &[mu_law(8_000), pcm(8_000), pcm(16_000), pcm(24_000)];

const PLIVO: &[Format] = &[mu_law(8_000), pcm(8_000), pcm(16_000), pcm(24_000)];

const ASTERISK: &[Format] = &[
    mu_law(8_000),
    a_law(8_000),
    pcm(8_000),
    pcm(16_000),
    pcm(24_000),
    pcm(48_000),
];

const LONGLINE: &[Format] = &[
    pcm(8_000),
    pcm(16_000),
    pcm(24_000),
    pcm(48_000),
    mu_law(8_000),
    a_law(8_000),
    Format {
        encoding: Encoding::Opus,
        rate_hz: 48_000,
    },
];

/// All dialects, each at the place of its number.
pub static TABLE: &[Entry] = &[
    Entry {
        dialect: Dialect::Teler,
        name: "teler",
        output: &[pcm(8_000), pcm(16_000)],
        input: &[pcm(8_000)],
        formats: "teler carries pcm_s16le with a rate_hz of 8000 or 16000, and of 8000 from the application",
        tracks: Tracks::One,
        queue_ms: None,
        make: |params| Box::new(teler::Teler::new(params)),
    },
    Entry {
        dialect: Dialect::Twilio,
        name: "twilio",
        output: TWILIO,
        input: TWILIO,
        formats: "twilio carries mulaw with a rate_hz of 8000, or pcm_s16le of 8000, 16000 or 24000",
        tracks: Tracks::BothWays,
        queue_ms: None,
        make: |params| Box::new(twilio::Twilio::new(params)),
    },
    Entry {
        dialect: Dialect::Longline,
        name: "longline",
        output: LONGLINE,
        input: LONGLINE,
        formats: "longline carries pcm_s16le with a rate_hz of 8000, 16000, 24000 or 48000, mulaw and alaw of 8000, and opus of 48000",
        tracks: Tracks::All,
        queue_ms: None,
        make: |_| Box::new(longline::Longline::default()),
    },
    Entry {
        dialect: Dialect::Telnyx,
        name: "telnyx",
        output: TELNYX,
        input: TELNYX,
        formats: "telnyx carries mulaw or alaw with a rate_hz of 8000, pcm_s16le or pcm_s16be of 8000, 16000, 24000 or 48000",
        tracks: Tracks::BothWays,
        queue_ms: None,
        make: |params| Box::new(telnyx::Telnyx::new(params)),
    },
    Entry {
        dialect: Dialect::Plivo,
        name: "plivo",
        output: PLIVO,
        input: PLIVO,
        formats: "plivo carries mulaw with a rate_hz of 8000, or pcm_s16le of 8000, 16000 or 24000",
        tracks: Tracks::BothWays,
        queue_ms: None,
        make: |params| Box::new(plivo::Plivo::new(params)),
    },
    Entry {
        dialect: Dialect::Vonage,
        name: "vonage",
        output: LINEAR_TO_24,
        input: LINEAR_TO_24,
        formats: "vonage carries pcm_s16le with a rate_hz of 8000, 16000 or 24000",
        tracks: Tracks::One,
        queue_ms: None,
        make: |_| Box::new(vonage::Vonage),
    },
    Entry {
        dialect: Dialect::Exotel,
        name: "exotel",
        output: LINEAR_TO_24,
        input: LINEAR_TO_24,
        formats: "exotel carries pcm_s16le with a rate_hz of 8000, 16000 or 24000",
        tracks: Tracks::BothWays,
        queue_ms: None,
        make: |params| Box::new(exotel::Exotel::new(params)),
    },
    Entry {
        dialect: Dialect::Asterisk,
        name: "asterisk",
        output: ASTERISK,
        input: ASTERISK,
        formats: "asterisk carries mulaw or alaw with a rate_hz of 8000, or pcm_s16le of 8000, 16000, 24000 or 48000",
        tracks: Tracks::One,
        queue_ms: Some(asterisk::MAX_QUEUED_FRAMES * FRAME_MS),
        make: |params| Box::new(asterisk::Asterisk::new(params)),
    },
    Entry {
        dialect: Dialect::Jambonz,
        name: "jambonz",
        output: EVERY_LINEAR,
        input: EVERY_LINEAR,
        formats: "jambonz carries pcm_s16le with a rate_hz of 8000, 16000, 24000 or 48000",
        tracks: Tracks::Stereo,
        queue_ms: None,
        make: |params| Box::new(jambonz::Jambonz::new(params)),
    },
];

/// The entry of a dialect.
pub fn entry(dialect: Dialect) -> &'static Entry {
    &TABLE[dialect as usize]
}

impl Dialect {
    /// Its application says `hello` on each connection, and its messages have numbers: what one connection lost goes over
    /// the next ([`Uplink`](crate::stream::uplink::Uplink)). Streams of other dialects that are dialled again begin anew.
    pub const fn greets(self) -> bool {
        matches!(self, Dialect::Longline)
    }
}

impl Entry {
    /// The format of audio from the application; `None` when the dialect cannot carry what is asked for, one way or the
    /// other.
    pub fn input_of(&self, params: &StreamParams) -> Option<Format> {
        let output = Format {
            encoding: params.encoding,
            rate_hz: params.rate_hz,
        };
        if !self.output.contains(&output) {
            return None;
        }
        match params.input {
            Some(input) => self.input.contains(&input).then_some(input),
            None if self.input.contains(&output) => Some(output),
            None => self.input.first().copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_stands_at_the_place_of_its_number_and_has_a_name_of_its_own() {
        for (at, entry) in TABLE.iter().enumerate() {
            assert_eq!(entry.dialect as usize, at);
            assert_eq!(Dialect::named(entry.name), Some(entry.dialect));
        }
        assert_eq!(Dialect::named("morse"), None);
    }
}
