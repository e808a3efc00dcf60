//! A leg: one RTP stream each way with one far end, its RTCP and its telephone-events.
//!
//! **Numbers** (invariant 4) are a function of the tick: `frame = (tick - tick0) / 20`, and of the frame those of its
//! packets ([`Timeline`](crate::rtp::timeline::Timeline)). What is not sent leaves a gap in the numbers, and nothing else.
//!
//! **Source**: who may send is the latch's to say (`latch.rs`). With SRTP a packet is authenticated before it is learned
//! from, counted as received or heard.

mod control;
mod keep;
mod measured;
mod receiving;
mod sending;

pub(crate) use keep::KeptLeg;

use crate::config::{LegRemote, Mute, Numbering};
use crate::context::Context;
use crate::dtmf::{DigitReceiver, SendDigits};
use crate::error::CommandError;
use crate::frame::Converter;
use crate::keepalive::KeepAlive;
use crate::key::LegKey;
use crate::latch::Latch;
use crate::meter::Meter;
use crate::random::Random;
use crate::rtp::receiver::Receiver;
use crate::rtp::report::Reporter;
use crate::rtp::sender::{Format, Sender};
use crate::signals::{Detect, Signals};
use crate::srtp::{SrtpParams, SrtpReceiver, SrtpSender};
use crate::stats::LegStats;
use crate::time::{RATE_HZ, Time};

/// SRTP of one leg.
struct Srtp {
    params: SrtpParams,
    sender: SrtpSender,
    receiver: SrtpReceiver,
}

/// One leg of a session.
pub(crate) struct Leg {
    key: LegKey,
    sender: Sender,
    tick0: u64,
    remote: Option<LegRemote>,
    latch: Latch,
    srtp: Option<Box<Srtp>>,
    keep_alive: KeepAlive,
    receiver: Receiver,
    digits: DigitReceiver,
    signals: Signals,
    meter: Meter,
    reporter: Reporter,
    mute: Mute,
    /// From the rate of the session to that of the codec we send.
    to_codec: Converter,
    session_hz: u32,
    /// What of it was kept last, so that it is written when it changes.
    kept: keep::Kept,
    /// Counted here; what others count is added when asked.
    stats: LegStats,
}

impl Leg {
    /// A leg that is not connected.
    pub fn new(
        key: LegKey,
        tick0: u64,
        numbering: Option<Numbering>,
        ntp_at_zero: u64,
        random: &mut Random,
    ) -> Leg {
        let drawn = draw(random);
        Leg {
            key,
            sender: Sender::new(numbering.unwrap_or(drawn)),
            tick0,
            remote: None,
            latch: Latch::default(),
            srtp: None,
            keep_alive: KeepAlive::default(),
            receiver: Receiver::default(),
            digits: DigitReceiver::default(),
            signals: Signals::default(),
            meter: Meter::default(),
            reporter: Reporter::new(ntp_at_zero, random),
            mute: Mute::default(),
            to_codec: Converter::new(RATE_HZ, RATE_HZ),
            session_hz: RATE_HZ,
            kept: keep::Kept::default(),
            stats: LegStats::default(),
        }
    }

    /// Its key.
    pub fn key(&self) -> LegKey {
        self.key
    }

    /// The SSRC it sends with.
    pub fn ssrc(&self) -> u32 {
        self.sender.ssrc()
    }

    /// It sends: what is to be heard may be taken from where it waits.
    pub fn is_sending(&self) -> bool {
        self.remote.is_some_and(|remote| remote.send)
    }

    /// Queues digits to be sent.
    pub fn send_digits(&mut self, digits: &SendDigits) -> Result<(), CommandError> {
        if !self.is_sending() {
            return Err(CommandError::BadParameter("the leg does not send now"));
        }
        self.signals.send(digits).map_err(CommandError::LimitReached)
    }

    /// Listens for this from now on.
    pub fn detect(&mut self, now: Time, wanted: Detect, context: &mut Context<'_>) {
        self.signals.detect(self.now_ms(now), self.key, wanted, context);
    }

    /// Tells of its quality every `interval_ms`; 0 is never.
    pub fn report_quality(&mut self, now: Time, interval_ms: u64) {
        self.meter.set_interval(now, interval_ms);
        self.kept.is_stale = true;
    }

    /// Since the session was opened.
    fn now_ms(&self, now: Time) -> u64 {
        now.millis_since(Time::from_tick(self.tick0))
    }

    /// It is no more: tells what is left to tell, and says BYE.
    pub fn close(&mut self, now: Time, context: &mut Context<'_>) {
        self.signals.close(self.now_ms(now), self.key, context);
        self.leave(now, context.outbox);
    }

    /// Tells the far end, first or anew.
    pub fn connect(&mut self, now: Time, mut remote: LegRemote, context: &mut Context<'_>) {
        let (payload_type, codec) = remote.audio.send();
        let format = Format {
            payload_type,
            codec,
            ptime_ms: codec.packet_ms(remote.ptime_ms),
            opus: remote.opus,
        };
        if self.sender.changes_source(format) {
            // RFC 7160 §4.1: another clock is another source, and the old one says goodbye.
            self.send_compound(now, true, context.outbox);
        }
        self.sender.set_format(format, draw(context.random));
        self.latch.describe(now, self.remote.as_ref(), &remote);
        self.take_keys(remote.srtp.take(), context.random);
        if let Some(before) = self.remote {
            if before.rtp != remote.rtp {
                self.receiver.forget_source();
                self.meter.restart();
                self.reporter.forget_remote();
            }
            if before.receive && !remote.receive {
                self.receiver.forget_audio();
            }
        }
        if !remote.send {
            self.sender.pause();
        }
        self.receiver.connect(remote.jitter, &remote.audio);
        let event_hz = remote.telephone_event.map(|event| event.clock_hz);
        if let Some(event_hz) = event_hz
            && event_hz != self.digits.clock_hz()
        {
            self.digits = DigitReceiver::new(event_hz);
        }
        self.remote = Some(remote);
        self.kept.is_stale = true;
        self.meter.start(now);
        self.reporter.start(now, context.random);
    }

    /// Signalling has settled on these keys, or on none.
    fn take_keys(&mut self, params: Option<SrtpParams>, random: &mut Random) {
        let before = self.srtp.take();
        let Some(params) = params else { return };
        let last_sequence = before
            .as_ref()
            .and_then(|before| before.sender.state().last_rtp)
            .unwrap_or(0) as u16;
        let (sender, receiver) = match before.map(|before| *before) {
            Some(before) => (
                (before.params.send == params.send).then_some(before.sender),
                Some(if before.params.receive == params.receive {
                    before.receiver
                } else {
                    SrtpReceiver::restore(&params.receive, before.receiver.hints())
                }),
            ),
            None => (None, None),
        };
        let sender = sender.unwrap_or_else(|| {
            if self.stats.packets_sent + self.stats.keep_alives_sent + self.stats.rtcp_sent > 0 {
                // A new source: its rollover counter is zero for everybody, and should the key be an old one again, no
                // index of it is used twice.
                self.sender
                    .set_source(random.next_u64() as u32, last_sequence & 0x8000);
            }
            SrtpSender::new(&params.send)
        });
        let receiver = receiver.unwrap_or_else(|| SrtpReceiver::new(&params.receive));
        self.srtp = Some(Box::new(Srtp {
            params,
            sender,
            receiver,
        }));
    }

    /// The rate of the codec it sends, once it is connected.
    pub fn rate_hz(&self) -> Option<u32> {
        self.remote.map(|remote| remote.audio.send().1.rate_hz())
    }

    /// It is silenced, or no longer.
    pub fn set_mute(&mut self, mute: Mute) {
        self.mute = mute;
        self.kept.is_stale = true;
    }

    /// It is sent what the others say: its output is not muted.
    pub fn listens(&self) -> bool {
        !self.mute.output
    }

    /// The session has this rate now.
    pub fn set_rate(&mut self, session_hz: u32) {
        self.session_hz = session_hz;
        self.receiver.set_rate(session_hz);
        self.to_codec
            .retune(session_hz, self.rate_hz().unwrap_or(RATE_HZ));
    }
}

/// RFC 3550 §5.1: all three start at random. The sequence number in the lower half: a far end that misses the first
/// packets must not take them for ones after a wrap, which SRTP could never put right (RFC 3711 §3.3.1).
fn draw(random: &mut Random) -> Numbering {
    Numbering {
        ssrc: random.next_u64() as u32,
        sequence: random.next_u64() as u16 & 0x7fff,
        timestamp: random.next_u64() as u32,
    }
}
