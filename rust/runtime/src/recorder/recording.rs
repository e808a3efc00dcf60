//! A recording being written: its tracks, and what is told of it in the end.

use std::path::{Path, PathBuf};

use super::track::Track;
use super::{MAX_TRACKS, Owner, Plan};
use crate::command::{Layout, RecordingReport};

/// The track of the streams and playbacks, when each party has its own.
const STREAMS: &str = "streams";

/// One recording.
pub struct Recording {
    pub owner: Owner,
    plan: Plan,
    tracks: Vec<Track>,
    missing_samples: u64,
    error: Option<String>,
}

impl Recording {
    /// Make its first file.
    pub fn create(owner: Owner, plan: Plan) -> Result<Self, String> {
        let first = match plan.layout {
            Layout::Stereo | Layout::Mono => {
                Track::create(plan.layout.as_str().into(), &plan.path, plan.shape.clone())
            }
            Layout::Parties => Track::create(
                STREAMS.into(),
                &party_path(&plan.path, STREAMS),
                plan.shape.clone(),
            ),
        };
        Ok(Self {
            owner,
            plan,
            tracks: vec![first?],
            missing_samples: 0,
            error: None,
        })
    }

    /// Make the file of one more party.
    pub fn add_track(&mut self, name: String, lead: u64) {
        if self.tracks.len() >= MAX_TRACKS {
            return self.fail(&format!("there are more than {MAX_TRACKS} parties"));
        }
        let path = party_path(&self.plan.path, &format!("leg{}", self.tracks.len()));
        match Track::create(name, &path, self.plan.shape.clone()) {
            Ok(mut track) => {
                track.append(lead, &[]);
                self.tracks.push(track);
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Append to a track: silence for the samples that are missing, then these.
    pub fn append(&mut self, track: usize, missing: u64, samples: &[u8]) {
        self.missing_samples += missing;
        if let Some(track) = self.tracks.get_mut(track) {
            track.append(missing, samples);
        }
    }

    /// Something is missing in it, for this reason; the first is told.
    pub fn fail(&mut self, why: &str) {
        self.error.get_or_insert_with(|| why.into());
    }

    /// Remove what was made.
    pub fn remove_files(self) {
        for track in self.tracks {
            let _ = std::fs::remove_file(track.path());
        }
    }

    /// Complete its files.
    pub fn finish(mut self) -> RecordingReport {
        let shape = self.plan.shape;
        let mut tracks = Vec::with_capacity(self.tracks.len());
        for track in self.tracks {
            let (report, error) = track.finish();
            tracks.push(report);
            self.error = self.error.or(error);
        }
        let missing_ms = self.missing_samples * 1_000 / u64::from(shape.rate_hz);
        let dropped = (missing_ms > 0).then(|| format!("{missing_ms} ms are silence: the disk was too slow"));
        RecordingReport {
            path: tracks[0].path.clone(),
            format: shape.format,
            layout: self.plan.layout,
            channels: shape.channels,
            rate_hz: shape.rate_hz,
            encrypted: shape.data_key.is_some(),
            duration_ms: tracks.iter().map(|track| track.duration_ms).max().unwrap_or(0),
            bytes: tracks.iter().map(|track| track.bytes).sum(),
            tracks,
            error: self.error.or(dropped),
        }
    }

    #[cfg(test)]
    pub fn fill_up(&mut self) {
        self.tracks[0].fill_up();
    }
}

/// `call.wav` is `call.leg1.wav` for the first leg.
fn party_path(path: &Path, party: &str) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(party);
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}
