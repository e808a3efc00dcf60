//! What of a leg's signals outlives the process: digits to be sent, what is listened for, what was told. Detectors begin
//! anew: tones and voices that were heard by half are heard from where the process goes on.

use super::{Detect, Ears, Signals};
use crate::dtmf::SentDigit;
use crate::record::RecordError;
use crate::record::layout::{LegState, SignalsSetup, signals_flags};
use crate::vad::{Kind, Vad};

impl Signals {
    /// What changes rarely has changed since this was asked last.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_stale)
    }

    /// There is something to keep that changes rarely.
    pub fn has_setup(&self) -> bool {
        self.ears.is_some() || self.sender.waiting() > 0
    }

    /// What changes rarely; `leg` is the serial number of the leg.
    pub fn keep_setup(&self, leg: u32) -> SignalsSetup {
        let mut setup = SignalsSetup {
            leg,
            ..SignalsSetup::default()
        };
        self.sender.keep_waiting(&mut setup);
        let Some(ears) = &self.ears else { return setup };
        for (set, flag) in [
            (ears.wanted.inband_dtmf, signals_flags::INBAND_DTMF),
            (matches!(ears.wanted.vad, Kind::Energy), signals_flags::VAD_ENERGY),
            (ears.wants_model(), signals_flags::VAD_SILERO),
        ] {
            setup.flags |= if set { flag } else { 0 };
        }
        ears.once.keep(&mut setup.told);
        setup
    }

    /// What changes with frames.
    pub fn keep_state(&self, state: &mut LegState) {
        self.sender.keep_press(state);
        if let Some(sent) = &self.sent {
            sent.keep(state);
        }
        if let Some(ears) = &self.ears {
            state.speaking_ms = ears
                .vad
                .as_ref()
                .map_or(ears.spoken_ms, Vad::speaking_ms)
                .unwrap_or(0);
        }
    }

    /// Goes on.
    pub fn resume(&mut self, setup: Option<&SignalsSetup>, state: &LegState) -> Result<(), RecordError> {
        self.sender.resume(setup, state)?;
        self.sent = SentDigit::kept(state);
        let flags = setup.map_or(0, |setup| setup.flags);
        let has = |flag: u8| flags & flag != 0;
        if let Some(setup) = setup
            && flags != 0
        {
            let mut ears = Ears {
                wanted: Detect {
                    inband_dtmf: has(signals_flags::INBAND_DTMF),
                    vad: if has(signals_flags::VAD_ENERGY) {
                        Kind::Energy
                    } else {
                        Kind::Off
                    },
                },
                lacks_model: has(signals_flags::VAD_SILERO),
                spoken_ms: (state.speaking_ms > 0).then_some(state.speaking_ms),
                ..Ears::default()
            };
            ears.once.resume(&setup.told);
            self.ears = Some(Box::new(ears));
        }
        Ok(())
    }

    /// Voices are to be listened for by the network, and its weights are not here.
    pub fn lacks_model(&self) -> bool {
        self.ears.as_ref().is_some_and(|ears| ears.lacks_model)
    }
}

impl Ears {
    fn wants_model(&self) -> bool {
        self.lacks_model || matches!(self.wanted.vad, Kind::Silero(_))
    }
}
