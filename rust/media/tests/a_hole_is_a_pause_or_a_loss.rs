//! What is missing between two packets is a pause if no number is missing between them, and a loss otherwise.

use media::rtp::jitter::{Arrival, JitterBuffer, Kind, Piece, UNITS_PER_MS};
use media::{Bounds, Codec, Time};

fn arrival(sequence: u64, timestamp: u32) -> Arrival<'static> {
    Arrival {
        sequence,
        newest: true,
        timestamp,
        clock_hz: 8_000,
        kind: Kind::Sound(Codec::Pcmu),
        duration: 160,
        payload: &[7; 160],
    }
}

#[test]
fn a_hole_is_a_pause_or_a_loss_by_its_sequence_numbers() {
    // The number of a telephone-event between the two, the number of the packet after the hole, and what the hole is.
    for (event, sequence, is_pause) in [
        (None, 2, true),
        (None, 3, false),
        (Some(2), 3, true),
        (Some(2), 4, false),
    ] {
        let mut buffer = JitterBuffer::new(Bounds::default());
        buffer.size_for(Bounds::default(), [Codec::Pcmu].into_iter());
        buffer.insert(Time::from_millis(100), arrival(1, 0));
        if let Some(event) = event {
            buffer.pause(event);
        }
        buffer.insert(Time::from_millis(160), arrival(sequence, 480));
        buffer.begin_frame(Time::from_millis(180), 0);
        let sound = |sequence| Piece::Sound {
            sequence,
            codec: Codec::Pcmu,
            payload: &[7; 160],
            duration: 20 * UNITS_PER_MS,
            skip: 0,
        };
        let hole = if is_pause { Piece::Pause } else { Piece::Missing };
        let what = format!("event {event:?}, then {sequence}");
        assert_eq!(buffer.next_piece(960, 0), sound(1), "{what}");
        assert_eq!(buffer.next_piece(1_200, 0), hole(1_200), "{what}");
        assert_eq!(buffer.next_piece(1_200, 0), hole(720), "{what}");
        assert_eq!(buffer.next_piece(960, 0), sound(sequence), "{what}");
    }
}
