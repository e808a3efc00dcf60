//! A far end that falls silent: what is heard until it speaks again (RFC 3389, and without it).

use media::rtp::packet::Packet;
use media::rtp::receiver::{Content, Receiver};
use media::{Codec, Frame, RATE_HZ, Time};

/// A far end that sends a packet every 20 ms and is heard every 20 ms.
struct Listening {
    receiver: Receiver,
    now: Time,
    sequence: u16,
    timestamp: u32,
    random: u32,
}

impl Listening {
    fn new() -> Listening {
        Listening {
            receiver: Receiver::default(),
            now: Time::from_millis(1_000),
            sequence: 100,
            timestamp: 5_000,
            random: 1,
        }
    }

    fn packet(&mut self, content: Content, payload: &[u8]) {
        let packet = Packet {
            marker: false,
            payload_type: 0,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: 7,
            payload,
        };
        self.sequence = self.sequence.wrapping_add(1);
        assert!(self.receiver.receive(self.now, &packet, content));
    }

    /// Time passes; the level of what was heard in the last half of it, in dBov.
    fn hear(&mut self, millis: u64, mut each: impl FnMut(&mut Listening)) -> f64 {
        let mut heard = Vec::new();
        for _ in 0..millis / 20 {
            each(self);
            self.now = self.now.plus_millis(20);
            self.timestamp = self.timestamp.wrapping_add(160);
            let mut frame = Frame::silent(RATE_HZ);
            self.receiver.pop_frame(self.now, &mut frame);
            heard.extend_from_slice(frame.samples());
        }
        let heard = &heard[heard.len() / 2..];
        let power = heard.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / heard.len() as f64;
        20.0 * (power.sqrt().max(1e-3) / 32_768.0).log10()
    }

    /// Noise of this mean magnitude for so long.
    fn hiss(&mut self, millis: u64, magnitude: i32) -> f64 {
        self.hear(millis, |far| {
            let payload: Vec<u8> = (0..160)
                .map(|_| {
                    far.random = far.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let sample = (far.random >> 16) as i32 % (2 * magnitude + 1) - magnitude;
                    media::codec::g711::mu_law_encode(sample as i16)
                })
                .collect();
            far.packet(Content::Audio(Codec::Pcmu), &payload);
        })
    }

    fn nothing(&mut self, millis: u64) -> f64 {
        self.hear(millis, |_| {})
    }
}

fn near(got: f64, wanted: f64) {
    assert!((got - wanted).abs() < 1.5, "{got} dBov, not {wanted}");
}

#[test]
fn a_described_pause_sounds_as_described_until_there_is_sound() {
    let mut far = Listening::new();
    far.hiss(1_000, 8_000);
    far.packet(Content::Noise, &[45, 60]);
    near(far.nothing(3_000), -45.0);
    far.packet(Content::Noise, &[60]);
    near(far.nothing(3_000), -60.0);
    let before = far.receiver.counters().concealed;
    assert!(far.hiss(1_000, 8_000) > -20.0);
    assert_eq!((before, far.receiver.counters().concealed), (0, 0));
    assert_eq!(far.receiver.lost(), 0);
    assert_eq!(far.receiver.buffer().counters().resyncs, 0);
}

#[test]
fn an_undescribed_pause_keeps_the_background_that_was_there() {
    let mut far = Listening::new();
    let background = far.hiss(2_000, 60);
    far.hiss(300, 8_000);
    far.packet(Content::Pause, &[1, 2, 3, 4]);
    near(far.nothing(1_000), background);
}

#[test]
fn true_silence_is_followed_by_true_silence() {
    let mut far = Listening::new();
    far.hiss(500, 0);
    far.hiss(500, 8_000);
    far.packet(Content::Pause, &[1, 2, 3, 4]);
    assert!(far.nothing(1_000) < -90.0);
}

#[test]
fn what_the_new_source_has_behind_it_is_not_what_the_old_one_had() {
    let mut far = Listening::new();
    far.hiss(2_000, 60);
    far.receiver.forget_source();
    assert!(far.nothing(1_000) < -90.0);
}

#[test]
fn an_empty_or_endless_description_is_no_harm() {
    let mut far = Listening::new();
    far.hiss(500, 0);
    far.packet(Content::Noise, &[]);
    assert!(far.nothing(400) < -90.0);
    far.packet(Content::Noise, &[255; 400]);
    assert!(far.nothing(400) < -90.0, "-127 dBov");
    assert!(far.hiss(1_000, 8_000) > -20.0);
}
