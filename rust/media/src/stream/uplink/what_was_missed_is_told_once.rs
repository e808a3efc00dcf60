//! An uplink and what its application has of it, over connections that come and go.

use super::super::ears::Chunk;
use super::super::token::TokenKey;
use super::{
    CATCH_UP_MESSAGES, MAX_EVENTS, MAX_RING_BYTES, NotResumed, Outgoing, ResumeParams, ResumeRequest, Uplink,
};

const BYTES: usize = 4;

/// A stream with a ring of ten messages, and what its application has of it.
struct Pair {
    uplink: Uplink,
    /// The number that the next message of track 0 holds.
    next: u32,
    token: String,
    /// Lines as `told` writes them.
    log: Vec<String>,
}

fn chunk(track: u8, sequence: u32, encoded: &[u8]) -> Chunk<'_> {
    Chunk {
        track,
        sequence,
        timestamp: u64::from(sequence) * 160,
        encoded,
        is_replay: false,
        is_after_gap: false,
    }
}

impl Pair {
    fn new() -> Pair {
        let params = ResumeParams {
            window_ms: 60_000,
            ring_ms: 200,
            key: TokenKey::new(1, [3; 32]),
            ..ResumeParams::default()
        };
        let mut pair = Pair {
            uplink: Uplink::new(params),
            next: 0,
            token: String::new(),
            log: Vec::new(),
        };
        pair.connect();
        pair.uplink.agree(20, BYTES);
        pair.uplink.begin_anew();
        pair
    }

    fn connect(&mut self) -> String {
        let before = std::mem::take(&mut self.token);
        let epoch = self.uplink.connect();
        self.token = self.uplink.params().key.token(epoch).as_str().to_string();
        before
    }

    fn hear(&mut self, frames: u32) {
        for _ in 0..frames {
            self.uplink
                .push_audio(&chunk(0, self.next, &self.next.to_le_bytes()));
            self.next += 1;
            self.told();
        }
    }

    fn event(&mut self, text: &str) {
        self.uplink.push_event(text.as_bytes());
        self.told();
    }

    fn resume(&mut self, token: &str, received: i64, event: Option<i64>) -> Result<(), NotResumed> {
        let request = ResumeRequest {
            token,
            received: &[(0, received)],
            event,
        };
        self.uplink.resume(&request)?;
        self.told();
        Ok(())
    }

    fn told(&mut self) {
        self.uplink.begin_frame();
        while let Some(outgoing) = self.uplink.poll() {
            self.log.push(match outgoing {
                Outgoing::Event(parts) => String::from_utf8(parts.concat()).unwrap(),
                Outgoing::Gap { from, to, .. } => format!("-{from}..{to}"),
                Outgoing::Audio(Chunk {
                    sequence,
                    timestamp,
                    is_replay,
                    encoded,
                    ..
                }) => {
                    let number = u32::from_le_bytes(encoded.try_into().unwrap());
                    assert_eq!((number, timestamp), (sequence, u64::from(sequence) * 160));
                    format!("{sequence}{}", if is_replay { "r" } else { "" })
                }
            });
        }
    }

    fn log(&mut self) -> String {
        std::mem::take(&mut self.log).join(" ")
    }
}

#[test]
fn what_was_said_in_an_outage_is_heard_after_it_once() {
    let mut pair = Pair::new();
    pair.hear(3);
    assert_eq!(pair.log(), "0 1 2");
    pair.uplink.disconnect();
    pair.hear(4);
    assert_eq!(pair.log(), "");
    let token = pair.connect();
    // The last of those before the drop was lost with the socket.
    pair.resume(&token, 1, None).unwrap();
    pair.hear(1);
    assert_eq!(pair.log(), "2r 3r 4r 5r 6r 7");
}

#[test]
fn an_outage_longer_than_the_ring_leaves_a_gap() {
    let mut pair = Pair::new();
    pair.hear(2);
    pair.uplink.disconnect();
    pair.hear(15);
    let token = pair.connect();
    pair.log();
    pair.resume(&token, 1, None).unwrap();
    assert_eq!(pair.log(), "-2..6 7r 8r 9r 10r 11r 12r 13r 14r 15r 16r");
}

#[test]
fn an_application_without_a_memory_is_told_what_it_missed_and_hears_the_present() {
    let mut pair = Pair::new();
    pair.hear(2);
    pair.uplink.disconnect();
    pair.hear(3);
    pair.event("a");
    pair.connect();
    pair.log();
    pair.uplink.begin_anew();
    pair.hear(1);
    pair.event("b");
    assert_eq!(pair.log(), "-2..4 5 b");
}

#[test]
fn a_token_is_good_until_it_or_a_later_one_was_answered() {
    let mut pair = Pair::new();
    let first = pair.token.clone();
    pair.hear(1);
    pair.connect();
    let second = pair.token.clone();
    // The start of the second connection was lost with it.
    pair.connect();
    assert_eq!(pair.resume("", 0, None), Err(NotResumed::WrongToken));
    let own = pair.token.clone();
    assert_eq!(pair.resume(&own, 0, None), Err(NotResumed::WrongToken));
    pair.resume(&first, 0, None).unwrap();
    for used in [&first, &second] {
        assert!(!pair.uplink.admits(used));
    }
    assert!(pair.uplink.admits(&own));
    pair.connect();
    for used in [&first, &second] {
        assert_eq!(pair.resume(used, 0, None), Err(NotResumed::WrongToken));
    }
    pair.resume(&own, 0, None).unwrap();
}

#[test]
fn events_outlive_a_socket_and_are_told_once() {
    let mut pair = Pair::new();
    pair.event("a");
    pair.event("b");
    pair.uplink.disconnect();
    pair.event("c");
    let token = pair.connect();
    pair.log();
    // The application has counted, and b was lost on the way.
    pair.resume(&token, -1, Some(0)).unwrap();
    assert_eq!(pair.log(), "b c");
    // It does not count: what was made while it was away.
    pair.uplink.disconnect();
    pair.event("d");
    let token = pair.connect();
    pair.resume(&token, -1, None).unwrap();
    pair.event("e");
    assert_eq!(pair.log(), "d e");
}

#[test]
fn events_that_are_too_many_are_told_by_the_numbers_left_out() {
    let mut pair = Pair::new();
    pair.uplink.disconnect();
    for number in 0..MAX_EVENTS + 10 {
        pair.event(&number.to_string());
    }
    let token = pair.connect();
    pair.resume(&token, -1, Some(-1)).unwrap();
    let told = pair.log();
    assert_eq!(told.split(' ').next(), Some("10"));
    assert_eq!(told.split(' ').count(), MAX_EVENTS);
}

#[test]
fn who_claims_what_was_never_sent_is_refused_and_nothing_changes() {
    let mut pair = Pair::new();
    pair.hear(2);
    let token = pair.connect();
    assert_eq!(pair.resume(&token, 2, None), Err(NotResumed::Impossible));
    assert_eq!(
        pair.resume(&token, i64::MAX, Some(0)),
        Err(NotResumed::Impossible)
    );
    pair.log();
    pair.resume(&token, 1, None).unwrap();
    assert_eq!(pair.log(), "");
}

#[test]
fn a_connection_that_takes_nothing_gets_nothing_and_then_what_the_ring_has() {
    let mut pair = Pair::new();
    pair.hear(1);
    pair.uplink.block(true);
    pair.hear(12);
    assert_eq!(pair.log(), "0");
    pair.uplink.block(false);
    pair.hear(1);
    assert_eq!(pair.log(), "-1..3 4r 5r 6r 7r 8r 9r 10r 11r 12r 13");
}

#[test]
fn a_long_replay_leaves_room_for_other_streams() {
    let params = ResumeParams {
        window_ms: 0,
        ring_ms: 10_000,
        key: TokenKey::new(1, [3; 32]),
        ..ResumeParams::default()
    };
    let mut uplink = Uplink::new(params);
    uplink.connect();
    uplink.agree(20, BYTES);
    uplink.begin_anew();
    (0..500).for_each(|number| uplink.push_audio(&chunk(0, number, &[0; BYTES])));
    let mut frames = 0;
    while uplink.waiting() > 0 {
        uplink.begin_frame();
        let mut sent = 0;
        while uplink.poll().is_some() {
            sent += 1;
        }
        assert_eq!(sent, CATCH_UP_MESSAGES);
        frames += 1;
    }
    assert_eq!(frames, 20, "ten seconds in less than half of one");
}

#[test]
fn a_track_that_is_heard_again_goes_on_with_its_numbers() {
    let mut pair = Pair::new();
    pair.hear(3);
    pair.uplink.forget(0);
    pair.hear(1);
    assert_eq!(pair.log(), "0 1 2 3");
}

#[test]
fn rings_have_a_bound_whatever_is_heard() {
    let params = ResumeParams {
        window_ms: 1,
        ring_ms: u32::MAX,
        key: TokenKey::new(1, [3; 32]),
        ..ResumeParams::default()
    };
    let mut uplink = Uplink::new(params);
    uplink.agree(20, 1_920);
    (0..=144).for_each(|track| uplink.push_audio(&chunk(track, 0, &[0; 1_920])));
    assert!(uplink.ring_bytes() <= MAX_RING_BYTES);
}
