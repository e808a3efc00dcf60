//! Who speaks: the loudest of several legs, by the energy of what they say, held for as long as a listener would say so.

use crate::key::LegKey;
use crate::time::FRAME_MS;

/// Mean square below which nobody speaks: -40 dB of full scale, above the noise of a line.
const SPEECH: f32 = 327.0 * 327.0;
/// Another must be louder by this factor (6 dB)...
const LOUDER: f32 = 4.0;
/// ...for this long.
const TAKE_OVER_MS: u32 = 300;
/// Nobody speaks when the speaker has been silent for this long, and no other has taken over.
const FALL_SILENT_MS: u32 = 1_000;
/// How much of a new frame enters a level that rises, and one that falls: a word is known at once, and outlasts its pauses.
const RISE: f32 = 0.5;
const FALL: f32 = 0.2;

/// How loud one leg is: the mean square of its samples, smoothed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Level(f32);

impl Level {
    /// Takes one frame.
    pub fn hear(&mut self, samples: &[i16]) {
        let energy: f32 = samples
            .iter()
            .map(|&sample| f32::from(sample) * f32::from(sample))
            .sum();
        let energy = energy / samples.len().max(1) as f32;
        let part = if energy > self.0 { RISE } else { FALL };
        self.0 += (energy - self.0) * part;
    }
}

/// Who of several legs speaks.
#[derive(Debug, Default)]
pub(crate) struct Speaker {
    current: Option<LegKey>,
    /// Who has been the loudest, and for how many frames.
    rival: Option<LegKey>,
    rival_ms: u32,
    silent_ms: u32,
}

impl Speaker {
    /// Who speaks now.
    pub fn current(&self) -> Option<LegKey> {
        self.current
    }

    /// This leg speaks, for all that was told.
    pub fn resume(&mut self, speaker: Option<LegKey>) {
        self.current = speaker;
    }

    /// This leg has gone.
    pub fn forget(&mut self, leg: LegKey) {
        if self.current == Some(leg) {
            *self = Speaker::default();
        }
    }

    /// Takes the levels of one frame. True: the speaker is another now.
    pub fn update(&mut self, levels: impl Iterator<Item = (LegKey, Level)>) -> bool {
        let mut own = 0.0;
        let mut loudest = (None, SPEECH);
        for (leg, Level(level)) in levels {
            if self.current == Some(leg) {
                own = level;
            }
            if level > loudest.1 {
                loudest = (Some(leg), level);
            }
        }
        self.silent_ms = if own > SPEECH {
            0
        } else {
            self.silent_ms + FRAME_MS
        };
        let rival = loudest
            .0
            .filter(|&leg| self.current != Some(leg) && loudest.1 > own * LOUDER);
        self.rival_ms = if rival.is_some() && rival == self.rival {
            self.rival_ms + FRAME_MS
        } else {
            0
        };
        self.rival = rival;
        if rival.is_some() && self.rival_ms >= TAKE_OVER_MS {
            self.current = rival;
        } else if self.current.is_some() && self.silent_ms >= FALL_SILENT_MS {
            self.current = None;
        } else {
            return false;
        }
        (self.silent_ms, self.rival_ms, self.rival) = (0, 0, None);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SessionKey;

    fn leg(serial: u32) -> LegKey {
        let session = SessionKey {
            index: 0,
            generation: 0,
        };
        LegKey { session, serial }
    }

    /// Two legs speak at these amplitudes for so long; who is told to speak, and when.
    fn hear(
        speaker: &mut Speaker,
        levels: &mut [Level; 2],
        amplitudes: [i16; 2],
        ms: u32,
    ) -> Vec<(u32, Option<u32>)> {
        let mut told = Vec::new();
        for frame in 0..ms / FRAME_MS {
            for (level, amplitude) in levels.iter_mut().zip(amplitudes) {
                level.hear(&[amplitude; 160]);
            }
            if speaker.update((1..).map(leg).zip(*levels)) {
                told.push((frame * FRAME_MS, speaker.current().map(|leg| leg.serial)));
            }
        }
        told
    }

    #[test]
    fn whoever_is_louder_for_a_while_speaks_and_a_cough_does_not() {
        let (mut speaker, mut levels) = (Speaker::default(), [Level::default(); 2]);
        let told = hear(&mut speaker, &mut levels, [5_000, 200], 1_000);
        assert_eq!(told.len(), 1);
        assert!(
            told[0].1 == Some(1) && (300..=360).contains(&told[0].0),
            "{told:?}"
        );
        assert_eq!(hear(&mut speaker, &mut levels, [5_000, 20_000], 100), []);
        assert_eq!(
            hear(&mut speaker, &mut levels, [5_000, 5_500], 2_000),
            [],
            "about as loud"
        );
        let told = hear(&mut speaker, &mut levels, [0, 5_000], 2_000);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].1, Some(2));
    }

    #[test]
    fn nobody_speaks_in_silence_and_a_pause_is_none() {
        let (mut speaker, mut levels) = (Speaker::default(), [Level::default(); 2]);
        assert_eq!(hear(&mut speaker, &mut levels, [100, 50], 5_000), [], "noise");
        hear(&mut speaker, &mut levels, [5_000, 0], 1_000);
        assert_eq!(
            hear(&mut speaker, &mut levels, [0, 0], 600),
            [],
            "between two words"
        );
        hear(&mut speaker, &mut levels, [5_000, 0], 200);
        let told = hear(&mut speaker, &mut levels, [0, 0], 5_000);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].1, None);
    }
}
