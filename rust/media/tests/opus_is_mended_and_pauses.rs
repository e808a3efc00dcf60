//! Opus through the receive path: a packet that is lost is mended by what the next one says of it, and the pauses of DTX
//! are no losses.

mod common;

use common::far_end::talk;
use common::payload_types;
use media::codec::encoder::Encoder;
use media::rtp::packet::Packet;
use media::rtp::receiver::{Content, Receiver};
use media::{Bounds, Codec, Frame, OpusSettings, Time};

const FRAME: usize = 960;

/// What is heard of packets of 20 ms, in frames 7 ms later; `Wire` says what becomes of each.
struct Heard {
    samples: Vec<i16>,
    receiver: Receiver,
}

#[derive(Clone, Copy, PartialEq)]
enum Wire {
    Carries,
    Loses,
    /// Not sent: it has no number.
    Withholds,
}

fn encoded(sound: &[i16], settings: OpusSettings) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(Codec::Opus, settings);
    sound
        .chunks_exact(FRAME)
        .map(|samples| {
            let mut payload = Vec::new();
            encoder.encode(samples, &mut payload);
            payload
        })
        .collect()
}

/// With 60 ms to wait, so that the packet after a loss is there in time.
fn hear(packets: &[Vec<u8>], mut wire: impl FnMut(usize, &[u8]) -> Wire) -> Heard {
    let audio = payload_types(&[(96, Codec::Opus)]);
    let mut receiver = Receiver::new(Bounds::new(60, 200).unwrap(), &audio);
    let mut samples = Vec::new();
    let mut sequence = 0u16;
    for (n, payload) in packets.iter().enumerate() {
        let now = Time::from_millis(n as u64 * 20);
        let fate = wire(n, payload);
        if fate == Wire::Carries {
            let packet = Packet {
                marker: false,
                payload_type: 96,
                sequence,
                timestamp: (n * FRAME) as u32,
                ssrc: 1,
                payload,
            };
            receiver.receive(now, &packet, Content::Audio(Codec::Opus));
        }
        sequence = sequence.wrapping_add(u16::from(fate != Wire::Withholds));
        let mut frame = Frame::silent(48_000);
        receiver.pop_frame(now.plus_millis(7), &mut frame);
        samples.extend_from_slice(frame.samples());
    }
    Heard { samples, receiver }
}

fn energy(samples: impl Iterator<Item = i16>) -> f64 {
    samples.map(|sample| f64::from(sample).powi(2)).sum()
}

/// How much of the sound is not what it should be.
fn error(heard: &[i16], ideal: &[i16]) -> f64 {
    let wrong = heard.iter().zip(ideal).map(|(a, b)| a.saturating_sub(*b));
    energy(wrong) / energy(ideal.iter().copied())
}

#[test]
fn a_lost_packet_is_mended_by_the_next() {
    let sound = talk(48_000, 48_000 * 6);
    let error_with = |fec| {
        let packets = encoded(
            &sound,
            OpusSettings {
                fec,
                ..OpusSettings::default()
            },
        );
        let whole = hear(&packets, |_, _| Wire::Carries).samples;
        let mended = hear(&packets, |n, _| match n % 5 {
            4 => Wire::Loses,
            _ => Wire::Carries,
        });
        assert_eq!(mended.receiver.lost(), 59);
        error(&mended.samples, &whole)
    };
    let (mended, concealed) = (error_with(true), error_with(false));
    assert!(
        mended < 0.5 * concealed,
        "{mended:.3} with FEC, {concealed:.3} without"
    );
}

#[test]
fn the_pauses_of_dtx_are_no_losses() {
    // A second of voice, then three of silence.
    let mut sound = talk(48_000, 48_000 * 12);
    for (n, sample) in sound.iter_mut().enumerate() {
        if n / 48_000 % 4 > 0 {
            *sample = 0;
        }
    }
    let settings = OpusSettings {
        dtx: true,
        ..OpusSettings::default()
    };
    let packets = encoded(&sound, settings);
    let is_empty = |payload: &[u8]| payload.len() <= 2;
    assert!(packets.iter().filter(|payload| is_empty(payload)).count() > 200);
    let all = hear(&packets, |_, _| Wire::Carries);
    // As browsers do: the first of a pause is sent, and then nothing.
    let mut pausing = false;
    let few = hear(&packets, |_, payload| {
        let withheld = pausing && is_empty(payload);
        pausing = is_empty(payload);
        if withheld { Wire::Withholds } else { Wire::Carries }
    });
    for heard in [&all, &few] {
        let counters = heard.receiver.buffer().counters();
        assert_eq!(
            (heard.receiver.lost(), counters.late, counters.resyncs),
            (0, 0, 0)
        );
        assert_eq!(heard.receiver.counters().concealed, 0);
        for second in 0..12 {
            // A talkspurt begins up to 80 ms after it was said, and ends so much after it.
            let here = &heard.samples[second * 48_000 + 6_000..(second + 1) * 48_000];
            let level = (energy(here.iter().copied()) / here.len() as f64).sqrt();
            if second % 4 == 0 {
                assert!(level > 500.0, "{second}: {level}");
            } else {
                assert!(level < 20.0, "{second}: {level}");
            }
        }
    }
    let least = (0..4).map(|frames| {
        error(
            &few.samples[48_000 * 4..48_000 * 5],
            &all.samples[48_000 * 4 + frames * FRAME..],
        )
    });
    let least = least.fold(f64::MAX, f64::min);
    assert!(least < 0.05, "what was said after the pause: {least:.3}");
}
