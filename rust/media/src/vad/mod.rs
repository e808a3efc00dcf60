//! Voice activity: when the far end begins to speak, and when it has stopped.
//!
//! Two ways to know a voice: [`energy`] by its level above the noise, which costs next to nothing, and [`silero`], a small
//! neural network. Both feed one [`Gate`], which makes beginnings and ends of what they say.

pub mod energy;
pub mod silero;

use std::sync::Arc;

use crate::codec::resample::Resampler;
use crate::time::FRAME_MS;
use energy::Energy;
use silero::{Model, RATE_HZ, Silero, WINDOW};

/// Speech begins, or has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speech {
    /// It began.
    Started {
        /// What told it.
        evidence: Evidence,
    },
    /// It is over.
    Stopped {
        /// From its first voiced frame to its last.
        duration_ms: u32,
    },
}

/// Why speech is believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Evidence {
    /// The level, in dB below full scale (a negative number), of the energy detector.
    Level(f32),
    /// The network's probability, 0..=1.
    Probability(f32),
}

/// Which detector listens.
#[derive(Clone, Debug, Default)]
pub enum Kind {
    /// None.
    #[default]
    Off,
    /// By level.
    Energy,
    /// By the network; the weights are shared by all legs.
    Silero(Arc<Model>),
}

/// When steps of evidence make speech. Counted in steps of the detector.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Voiced steps in a row that begin speech.
    pub begin: u32,
    /// Steps without voice that end it (hangover).
    pub end: u32,
    /// Length of a step.
    pub step_ms: u32,
}

/// Makes beginnings and ends of voiced and unvoiced steps.
#[derive(Clone, Debug)]
pub struct Gate {
    rules: Rules,
    /// Voiced steps in a row while silent; steps without voice in a row while speaking.
    streak: u32,
    /// Steps since speech began, while it lasts.
    speaking: Option<u32>,
}

impl Gate {
    /// A gate that is closed.
    pub fn new(rules: Rules) -> Gate {
        Gate {
            rules,
            streak: 0,
            speaking: None,
        }
    }

    /// There is speech, for all that is known yet.
    pub fn is_open(&self) -> bool {
        self.speaking.is_some()
    }

    /// Speech has begun, so many steps ago.
    fn open(&mut self, steps: u32, evidence: Evidence) -> Speech {
        (self.speaking, self.streak) = (Some(steps), 0);
        Speech::Started { evidence }
    }

    /// Takes one step.
    pub fn step(&mut self, voiced: bool, evidence: Evidence) -> Option<Speech> {
        let Some(steps) = &mut self.speaking else {
            self.streak = if voiced { self.streak + 1 } else { 0 };
            if self.streak < self.rules.begin {
                return None;
            }
            self.speaking = Some(self.streak);
            self.streak = 0;
            return Some(Speech::Started { evidence });
        };
        *steps = steps.saturating_add(1);
        self.streak = if voiced { 0 } else { self.streak + 1 };
        if self.streak < self.rules.end {
            return None;
        }
        let duration_ms = (*steps - self.streak).saturating_mul(self.rules.step_ms);
        (self.speaking, self.streak) = (None, 0);
        Some(Speech::Stopped { duration_ms })
    }
}

/// The detector of one leg.
pub struct Vad(Detector);

enum Detector {
    Energy(Energy),
    Silero(Box<Windows>),
}

/// Frames of any rate made windows for the network.
struct Windows {
    silero: Silero,
    gate: Gate,
    resampler: Option<Resampler>,
    rate_hz: u32,
    converted: Vec<i16>,
    window: [f32; WINDOW],
    filled: usize,
}

impl Vad {
    /// The detector of a kind, for audio at `rate_hz`; `None` for none.
    pub fn new(kind: &Kind, rate_hz: u32) -> Option<Vad> {
        match kind {
            Kind::Off => None,
            Kind::Energy => Some(Vad(Detector::Energy(Energy::new()))),
            Kind::Silero(model) => Some(Vad(Detector::Silero(Box::new(Windows::new(
                model.clone(),
                rate_hz,
            ))))),
        }
    }

    /// Takes a frame of 20 ms at `rate_hz`.
    pub fn push(&mut self, samples: &[i16], rate_hz: u32) -> Option<Speech> {
        match &mut self.0 {
            Detector::Energy(energy) => energy.push(samples),
            Detector::Silero(windows) => windows.push(samples, rate_hz),
        }
    }

    /// How long there has been speech, while there is.
    pub(crate) fn speaking_ms(&self) -> Option<u32> {
        let gate = match &self.0 {
            Detector::Energy(energy) => energy.gate(),
            Detector::Silero(windows) => &windows.gate,
        };
        Some(gate.speaking?.saturating_mul(gate.rules.step_ms))
    }

    /// Goes on with speech that has lasted for so long.
    pub(crate) fn resume(&mut self, speaking_ms: u32) {
        let gate = match &mut self.0 {
            Detector::Energy(energy) => energy.gate_mut(),
            Detector::Silero(windows) => &mut windows.gate,
        };
        gate.speaking = Some(speaking_ms / gate.rules.step_ms);
    }

    /// Speech that is under way ends, since nothing more is heard.
    pub fn end(self) -> Option<Speech> {
        let gate = match self.0 {
            Detector::Energy(energy) => energy.into_gate(),
            Detector::Silero(windows) => windows.gate,
        };
        let steps = gate.speaking? - gate.streak;
        Some(Speech::Stopped {
            duration_ms: steps * gate.rules.step_ms,
        })
    }
}

impl Windows {
    fn new(model: Arc<Model>, rate_hz: u32) -> Windows {
        Windows {
            silero: Silero::new(model),
            gate: Gate::new(silero::RULES),
            resampler: resampler(rate_hz),
            rate_hz,
            converted: Vec::with_capacity((RATE_HZ / 1_000 * FRAME_MS * 2) as usize),
            window: [0.0; WINDOW],
            filled: 0,
        }
    }

    fn push(&mut self, samples: &[i16], rate_hz: u32) -> Option<Speech> {
        if rate_hz != self.rate_hz {
            (self.rate_hz, self.resampler) = (rate_hz, resampler(rate_hz));
        }
        self.converted.clear();
        match &mut self.resampler {
            Some(resampler) => resampler.process(samples, &mut self.converted),
            None => self.converted.extend_from_slice(samples),
        }
        let mut told = None;
        for &sample in &self.converted {
            self.window[self.filled] = f32::from(sample) / 32_768.0;
            self.filled += 1;
            if self.filled == WINDOW {
                self.filled = 0;
                let probability = self.silero.probability(&self.window);
                let threshold = if self.gate.is_open() {
                    silero::STAYS
                } else {
                    silero::BEGINS
                };
                let evidence = Evidence::Probability(probability);
                told = self.gate.step(probability >= threshold, evidence).or(told);
            }
        }
        told
    }
}

fn resampler(rate_hz: u32) -> Option<Resampler> {
    (rate_hz != RATE_HZ)
        .then(|| Resampler::new(rate_hz, RATE_HZ).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_begins_after_its_first_steps_and_ends_after_the_hangover() {
        let mut gate = Gate::new(Rules {
            begin: 2,
            end: 3,
            step_ms: 20,
        });
        let mut step = |voiced| gate.step(voiced, Evidence::Level(-20.0));
        let started = Some(Speech::Started {
            evidence: Evidence::Level(-20.0),
        });
        let steps = [
            true, false, true, true, true, false, false, true, false, false, false, false,
        ];
        let told: Vec<Option<Speech>> = steps.into_iter().map(&mut step).collect();
        assert_eq!(told[3], started, "the second voiced step in a row");
        assert_eq!(
            told[10],
            Some(Speech::Stopped { duration_ms: 120 }),
            "without the hangover"
        );
        assert_eq!(told.iter().flatten().count(), 2);
    }
}
