//! How a stream is opened: what it is to be is checked, and its parts are made.

use super::comfort::ComfortSound;
use super::dialect::{self, Wish};
use super::ears::Ears;
use super::mouths::{Manner, Mouths};
use super::sound::Sound;
use super::uplink::Uplink;
use super::{Stream, json, talk};
use crate::config::{
    Format, MAX_CHUNK_MS, MAX_ID_BYTES, MAX_METADATA_BYTES, MAX_NUMBER_BYTES, MAX_START_FIELDS, StreamParams,
};
use crate::error::CommandError;
use crate::key::StreamKey;
use crate::stats::StreamStats;
use crate::time::FRAME_MS;
use crate::tracks::{ALL, MAX_PARTY};

impl Stream {
    /// A stream that waits for its socket.
    pub fn new(
        key: StreamKey,
        mut params: StreamParams,
        playout_ms: u32,
        session_hz: u32,
    ) -> Result<Stream, CommandError> {
        let input = check(&params)?;
        let entry = dialect::entry(params.dialect);
        let greets = params.dialect.greets();
        let limit_ms = entry.queue_ms.unwrap_or(playout_ms).min(playout_ms);
        params.queue_limit_ms = params.queue_limit_ms.min(limit_ms);
        let manner = Manner {
            to: params.speak_to,
            limit_ms: params.queue_limit_ms,
            live_ms: None,
            is_followed: greets,
        };
        let mut ears = Ears::new(params.encoding, params.rate_hz, params.chunk_ms, session_hz);
        ears.tune(&params.tracks, params.together)
            .ok_or(CommandError::LimitReached("tracks of a stream"))?;
        Ok(Stream {
            key,
            wire: (entry.make)(&params),
            connected: false,
            uplink: uplink(&params),
            ears,
            mouths: Mouths::new(input, session_hz, manner),
            comfort: ComfortSound::default(),
            sound: Sound::default(),
            asks_empty: false,
            session_hz,
            event: Vec::new(),
            waited_ms: 0,
            is_reshaped: false,
            talk: greets.then(Box::default),
            params,
            first_audio_sent: false,
            first_audio_received: false,
            told: 0,
            stats: StreamStats::default(),
        })
    }
}

/// The uplink of a dialect that greets. One that is not resumed has a short ring, for a connection that is slow.
fn uplink(params: &StreamParams) -> Option<Box<Uplink>> {
    let resume = || params.resume.clone().unwrap_or_default();
    params.dialect.greets().then(|| Box::new(Uplink::new(resume())))
}

/// The format of the application's audio, when all else is right too.
fn check(params: &StreamParams) -> Result<Format, CommandError> {
    let entry = dialect::entry(params.dialect);
    if params.dialect.greets() {
        talk::format(params, &Wish::default(), entry.output).map_err(CommandError::BadParameter)?;
    } else if !(FRAME_MS..=MAX_CHUNK_MS).contains(&params.chunk_ms)
        || !params.chunk_ms.is_multiple_of(FRAME_MS)
    {
        return Err(CommandError::BadParameter(
            "chunk_ms must be a multiple of 20 from 20 to 2000",
        ));
    }
    let input = entry
        .input_of(params)
        .ok_or(CommandError::BadParameter(entry.formats))?;
    if params.speak_to > MAX_PARTY || (params.speak_to != ALL && params.dialect.greets()) {
        return Err(CommandError::BadParameter(
            "speak_to is the number of a party, and is said by each message in longline",
        ));
    }
    if !entry.tracks.carry(&params.tracks, params.together) {
        return Err(CommandError::BadParameter(
            "the dialect has no words for these tracks together",
        ));
    }
    let start = &params.start;
    let ids = [
        &params.account_id,
        &params.call_app_id,
        &params.call_id,
        &params.stream_id,
    ];
    let pairs = || start.ids.iter().chain(&start.parameters);
    let pair_is_long = |(name, value): &(String, String)| name.len() + value.len() > 2 * MAX_ID_BYTES;
    if ids.iter().any(|id| id.len() > MAX_ID_BYTES) {
        return Err(CommandError::BadParameter(
            "an identifier is longer than 256 bytes",
        ));
    }
    if [&start.from, &start.to]
        .iter()
        .any(|number| number.len() > MAX_NUMBER_BYTES)
    {
        return Err(CommandError::BadParameter(
            "from_number and to_number are at most 8192 bytes",
        ));
    }
    if pairs().count() > MAX_START_FIELDS || pairs().any(pair_is_long) {
        return Err(CommandError::BadParameter(
            "ids and parameters are at most 128, each of at most 512 bytes with its name",
        ));
    }
    if params.metadata.len() > MAX_METADATA_BYTES || !json::is_object_or_nothing(&params.metadata) {
        return Err(CommandError::BadParameter(
            "metadata must be a JSON object of at most 8192 bytes",
        ));
    }
    Ok(input)
}
