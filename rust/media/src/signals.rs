//! What a leg carries beside audio: digits to be sent, and what is listened for in what it hears.

mod keep;

use crate::context::Context;
use crate::dtmf::{Detector, Digit, DigitSender, Method, Once, SendDigits, SentDigit, Slot, Step, tones};
use crate::event::Event;
use crate::frame::Frame;
use crate::key::LegKey;
use crate::time::{FRAME_MS, Time};
use crate::vad::{Kind, Speech, Vad};

/// What to listen for on a leg.
#[derive(Clone, Debug, Default)]
pub struct Detect {
    /// Digits as tones in the audio.
    pub inband_dtmf: bool,
    /// Voices.
    pub vad: Kind,
}

/// What is listened for: only where it was asked for.
#[derive(Default)]
struct Ears {
    wanted: Detect,
    detector: Option<Detector>,
    vad: Option<Vad>,
    once: Once,
    /// The network was wanted, and its weights have not come again.
    lacks_model: bool,
    /// A voice was told, and `vad` does not know it yet: for how long it has spoken.
    spoken_ms: Option<u32>,
}

/// The signals of one leg.
#[derive(Default)]
pub(crate) struct Signals {
    sender: DigitSender,
    /// Sent, not told yet.
    sent: Option<SentDigit>,
    ears: Option<Box<Ears>>,
    /// What changes rarely has changed since it was kept.
    is_stale: bool,
}

impl Signals {
    /// Queues digits to be sent. The error names the bound.
    pub fn send(&mut self, digits: &SendDigits) -> Result<(), &'static str> {
        self.is_stale = true;
        self.sender.push(digits)
    }

    /// There are digits to be sent.
    pub fn is_sending(&self) -> bool {
        !self.sender.is_idle()
    }

    /// Listens for this from now on. A voice that is speaking has then stopped; tones are listened for without a break.
    pub fn detect(&mut self, now_ms: u64, key: LegKey, wanted: Detect, context: &mut Context<'_>) {
        self.is_stale = true;
        let mut ears = Ears::default();
        if let Some(mut before) = self.ears.take() {
            if before.wanted.inband_dtmf {
                ears.detector = before.detector.take();
                ears.once = std::mem::take(&mut before.once);
            }
            before.close(now_ms, key, context);
        }
        if wanted.inband_dtmf || !matches!(wanted.vad, Kind::Off) {
            self.ears = Some(Box::new(Ears { wanted, ..ears }));
        }
    }

    /// A digit has come; told unless it is the other telling of one that was.
    pub fn tell(&mut self, now: Time, key: LegKey, method: Method, digit: Digit, context: &mut Context<'_>) {
        let Digit { digit, duration_ms } = digit;
        let is_new = match &mut self.ears {
            Some(ears) if ears.wanted.inband_dtmf => {
                self.is_stale = true;
                ears.once.is_new(now, digit, method)
            }
            _ => true,
        };
        if is_new {
            context.events.push(Event::DigitReceived {
                leg: key,
                digit,
                duration_ms,
                method,
            });
        }
    }

    /// Listens to a frame.
    pub fn hear(&mut self, now: Time, now_ms: u64, key: LegKey, frame: &Frame, context: &mut Context<'_>) {
        let Some(ears) = &mut self.ears else { return };
        let (rate_hz, samples) = (frame.rate_hz(), frame.samples());
        if ears.wanted.inband_dtmf {
            let detector = match &mut ears.detector {
                Some(detector) if detector.rate_hz() == rate_hz => detector,
                other => other.insert(Detector::new(rate_hz)),
            };
            if let Some(digit) = detector.push(samples) {
                self.tell(now, key, Method::InBand, digit, context);
            }
        }
        let Some(ears) = &mut self.ears else { return };
        if ears.vad.is_none() {
            ears.vad = Vad::new(&ears.wanted.vad, rate_hz);
            if let (Some(vad), Some(spoken_ms)) = (&mut ears.vad, ears.spoken_ms) {
                vad.resume(spoken_ms);
                ears.spoken_ms = None;
            }
        }
        if let Some(speech) = ears.vad.as_mut().and_then(|vad| vad.push(samples, rate_hz)) {
            tell_speech(now_ms, key, speech, context);
        }
    }

    /// Tells of a digit that has been sent.
    pub fn tell_sent(&mut self, key: LegKey, context: &mut Context<'_>) {
        if let Some(sent) = self.sent.take() {
            context.events.push(Event::DigitSent { leg: key, sent });
        }
    }

    /// The leg is no more: a voice that is speaking has stopped.
    pub fn close(&mut self, now_ms: u64, key: LegKey, context: &mut Context<'_>) {
        if let Some(ears) = self.ears.take() {
            ears.close(now_ms, key, context);
        }
        self.tell_sent(key, context);
    }

    /// A frame of tones in place of sound, while there are digits and no telephone-events to send them with.
    pub fn tones(&mut self, frame: u64, rate_hz: u32) -> Option<Frame> {
        if self.sender.is_idle() {
            return None;
        }
        let slot = Slot {
            timestamp: (frame as u32).wrapping_mul(FRAME_MS),
            clock_hz: 1_000,
            length_ms: FRAME_MS,
        };
        match self.step(slot, None) {
            Step::Tone {
                event,
                since_ms,
                length_ms,
            } => {
                let mut frame = Frame::silent(rate_hz);
                let per_ms = (rate_hz / 1_000) as usize;
                let first = u64::from(since_ms) * per_ms as u64;
                tones::write(
                    event,
                    rate_hz,
                    first,
                    &mut frame.samples_mut()[..length_ms as usize * per_ms],
                );
                Some(frame)
            }
            Step::Silence => Some(Frame::silent(rate_hz)),
            Step::Audio | Step::Event { .. } => None,
        }
    }

    /// What a place carries, and with which clock.
    pub fn step(&mut self, slot: Slot, event_hz: Option<u32>) -> Step {
        let waiting = self.sender.waiting();
        let (step, sent) = self.sender.step(slot, event_hz);
        self.is_stale |= self.sender.waiting() != waiting;
        self.sent = sent.or(self.sent.take());
        step
    }
}

impl Ears {
    fn close(self, now_ms: u64, key: LegKey, context: &mut Context<'_>) {
        let spoken = self.spoken_ms.map(|duration_ms| Speech::Stopped { duration_ms });
        if let Some(speech) = self.vad.and_then(Vad::end).or(spoken) {
            tell_speech(now_ms, key, speech, context);
        }
    }
}

fn tell_speech(at_ms: u64, leg: LegKey, speech: Speech, context: &mut Context<'_>) {
    context.events.push(match speech {
        Speech::Started { evidence } => Event::SpeechStarted { leg, at_ms, evidence },
        Speech::Stopped { duration_ms } => Event::SpeechStopped {
            leg,
            at_ms,
            duration_ms,
        },
    });
}
