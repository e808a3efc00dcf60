//! The recordings of a session.

use super::{MAX_RECORDINGS, RECORDING_RATES_HZ, Session};
use crate::config::RecordingParams;
use crate::error::CommandError;
use crate::key::RecordingKey;
use crate::recording::Recording;

impl Session {
    pub fn start_recording(&mut self, params: RecordingParams) -> Result<RecordingKey, CommandError> {
        if !RECORDING_RATES_HZ.contains(&params.rate_hz) {
            return Err(CommandError::BadParameter(
                "rate_hz of a recording must be 8000, 16000, 24000 or 48000",
            ));
        }
        if self.recordings.len() >= MAX_RECORDINGS {
            return Err(CommandError::LimitReached("recordings of a session"));
        }
        let key = RecordingKey {
            session: self.key,
            serial: self.take_serial(),
        };
        self.recordings
            .push((key, Recording::new(params.layout, params.rate_hz, self.rate_hz)));
        Ok(key)
    }

    pub fn stop_recording(&mut self, key: RecordingKey) -> Result<u64, CommandError> {
        let at = self
            .recordings
            .iter()
            .position(|(other, _)| *other == key)
            .ok_or(CommandError::UnknownRecording)?;
        Ok(self.recordings.swap_remove(at).1.duration_ms())
    }
}
