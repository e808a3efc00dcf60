//! The playout queue by itself: utterances and what was heard of them, pause and resume, levels, and the backlog of a
//! live sender.

use media::playout::{ChunkId, Ended, MarkOutcome, Playout, Pulled, Told};
use media::{Encoding, Time};

const FRAME: usize = 160;

/// A queue whose every sample has a number, and what was heard of it.
struct Listener {
    queue: Playout,
    now: Time,
    said: i16,
    heard: Vec<i16>,
}

impl Listener {
    fn new() -> Listener {
        let mut queue = Playout::new(10_000, 8_000);
        queue.follow_utterances();
        Listener {
            queue,
            now: Time::from_millis(1_000),
            said: 0,
            heard: Vec::new(),
        }
    }

    fn say(&mut self, millis: usize) -> media::playout::Pushed {
        let samples: Vec<i16> = (1..=8 * millis as i16).map(|n| self.said + n).collect();
        self.said += 8 * millis as i16;
        self.queue.push_samples(self.now, &samples, None)
    }

    fn hear(&mut self) -> Pulled {
        let mut frame = [0; FRAME];
        self.now = self.now.plus_millis(20);
        let pulled = self.queue.pull(self.now, &mut frame);
        self.heard.extend(frame);
        pulled
    }

    fn told(&mut self) -> Vec<Told> {
        std::iter::from_fn(|| self.queue.take_told()).collect()
    }
}

fn id(name: &str) -> Option<ChunkId> {
    ChunkId::new(name)
}

fn ended(name: Option<ChunkId>, played_ms: u64, dropped_ms: u64, outcome: MarkOutcome) -> Ended {
    Ended {
        id: name,
        played: 8 * played_ms,
        dropped: 8 * dropped_ms,
        outcome,
    }
}

#[test]
fn utterances_are_told_when_they_begin_and_when_all_of_them_was_played() {
    let mut one = Listener::new();
    assert!(one.queue.speak(id("\"a\"")));
    one.say(100);
    one.say(30);
    assert!(one.queue.speak(id("\"b\"")));
    one.say(100);
    assert_eq!(one.told(), [], "nothing was played yet");
    one.hear();
    assert_eq!(one.told(), [Told::Started(id("\"a\""))]);
    assert_eq!(one.queue.playing(), Some((id("\"a\""), 160)));
    for _ in 0..6 {
        one.hear();
    }
    let first = ended(id("\"a\""), 130, 0, MarkOutcome::Played);
    assert_eq!(one.told(), [Told::Finished(first), Told::Started(id("\"b\""))]);
    for _ in 0..10 {
        one.hear();
    }
    assert_eq!(one.told(), [], "it is not complete");
    one.queue.end_utterance();
    assert_eq!(
        one.told(),
        [Told::Finished(ended(id("\"b\""), 100, 0, MarkOutcome::Played))]
    );
}

#[test]
fn speech_without_a_name_is_an_utterance_that_ends_when_the_queue_has_run_out() {
    let mut one = Listener::new();
    one.say(200);
    for _ in 0..10 {
        one.hear();
    }
    assert_eq!(one.told(), [Told::Started(None)]);
    one.hear();
    assert_eq!(
        one.told(),
        [Told::Finished(ended(None, 200, 0, MarkOutcome::Played))]
    );
}

#[test]
fn clear_ends_all_of_them_and_says_of_each_what_was_heard() {
    let mut one = Listener::new();
    one.queue.speak(id("1"));
    one.say(200);
    one.queue.speak(id("2"));
    one.say(300);
    for _ in 0..3 {
        one.hear();
    }
    one.queue.clear();
    let told = one.told();
    assert_eq!(
        told[1..],
        [
            Told::Finished(ended(id("1"), 60, 140, MarkOutcome::Cleared)),
            Told::Finished(ended(id("2"), 0, 300, MarkOutcome::Cleared)),
        ]
    );
    // What comes then belongs to none of them.
    one.say(100);
    one.hear();
    assert_eq!(one.told(), [Told::Started(None)]);
}

#[test]
fn an_utterance_that_waits_is_taken_out_and_the_others_move_together() {
    let mut one = Listener::new();
    for name in ["1", "2", "3"] {
        one.queue.speak(id(name));
        one.say(100);
        one.queue.mark(name);
    }
    one.hear();
    assert_eq!(
        one.queue.interrupt_utterance(&id("2").unwrap()),
        Some(ended(id("2"), 0, 100, MarkOutcome::Cleared))
    );
    assert_eq!(one.queue.interrupt_utterance(&id("2").unwrap()), None);
    for _ in 0..10 {
        one.hear();
    }
    assert_eq!(
        one.heard[..1_600],
        (1..=800).chain(1_601..=2_400).collect::<Vec<i16>>()
    );
    let marks: Vec<(String, MarkOutcome)> = std::iter::from_fn(|| one.queue.take_mark())
        .map(|(name, outcome)| (name.into(), outcome))
        .collect();
    let [played, cleared] = [MarkOutcome::Played, MarkOutcome::Cleared];
    assert_eq!(
        marks,
        [("1".into(), played), ("2".into(), cleared), ("3".into(), played)]
    );
}

#[test]
fn what_still_comes_of_an_interrupted_utterance_is_dropped_until_the_next_begins() {
    let mut one = Listener::new();
    one.queue.speak(id("1"));
    one.say(200);
    one.hear();
    let told = one.queue.interrupt_utterance(&id("1").unwrap());
    assert_eq!(told, Some(ended(id("1"), 20, 180, MarkOutcome::Cleared)));
    one.say(100);
    assert_eq!(one.queue.queued(), 0);
    one.queue.speak(id("2"));
    one.say(100);
    assert_eq!(one.queue.queued(), 800);
    assert_eq!(one.queue.totals().cleared, 8 * (180 + 100));
}

#[test]
fn what_is_paused_goes_on_with_the_sample_that_was_not_heard() {
    let mut one = Listener::new();
    one.say(400);
    for _ in 0..5 {
        one.hear();
    }
    assert!(one.queue.pause());
    assert!(!one.queue.pause(), "it is paused already");
    one.hear();
    let ramp: Vec<i16> = one.heard[800..960].to_vec();
    assert!(
        ramp[0] > 790 && ramp[31] < 60 && ramp[32..] == [0; 128],
        "{ramp:?}"
    );
    for _ in 0..500 {
        let pulled = one.hear();
        assert_eq!(pulled, Pulled::default(), "not drained, however long it lasts");
    }
    let before = one.heard.len();
    assert!(one.queue.resume(one.now));
    for _ in 0..15 {
        one.hear();
    }
    let after = &one.heard[before..];
    assert!(after[0] == 0 && after[31] > 700, "it rises within 4 ms");
    assert_eq!(after[32..2_400], (833..=3_200).collect::<Vec<i16>>());
    assert_eq!(one.queue.totals().played, 3_200);
    assert!(!one.queue.resume(one.now));
}

#[test]
fn clear_ends_a_pause() {
    let mut one = Listener::new();
    one.say(400);
    one.hear();
    one.queue.pause();
    one.hear();
    let before = one.heard.len();
    assert_eq!(one.queue.clear().map(|cleared| cleared.dropped), Some(3_040));
    one.say(100);
    one.hear();
    assert_eq!(
        one.heard[before..before + 160],
        (3_201..=3_360).collect::<Vec<i16>>()
    );
}

#[test]
fn the_level_is_told_once_at_nine_tenths_and_once_at_eight() {
    let mut one = Listener::new();
    let mut high = Vec::new();
    for n in 1..=100 {
        let silence = [0x7f; 8 * 100];
        if one.queue.push(one.now, Encoding::MuLaw, &silence, None).is_high {
            high.push(n);
        }
    }
    assert_eq!(high, [90]);
    let low: Vec<usize> = (1..=500).filter(|_| one.hear().is_low).collect();
    assert_eq!(low, [100], "two seconds have been played");
    let full = one.queue.push(one.now, Encoding::MuLaw, &[0x7f; 88_000], None);
    assert!(full.is_high && full.overflow_began && full.dropped == 8_000);
}

#[test]
fn the_backlog_of_a_live_sender_is_never_longer_than_it_allows() {
    let mut one = Listener::new();
    one.queue.set_live(200);
    for _ in 0..200 {
        one.say(20);
        assert!(one.queue.queued() <= 1_600);
    }
    assert_eq!(one.queue.totals().overflow, 8 * 20 * 200 - 1_600);
    // The newest is what is heard.
    let last = one.said;
    for _ in 0..10 {
        one.hear();
    }
    assert_eq!(*one.heard.last().unwrap(), last);
}

#[test]
fn who_is_late_in_the_middle_of_speech_is_told_so() {
    let mut one = Listener::new();
    assert!(!one.say(20).underrun);
    for _ in 0..3 {
        one.hear();
    }
    assert!(one.say(20).underrun);
    for _ in 0..20 {
        one.hear();
    }
    assert!(!one.say(20).underrun, "the talkspurt was over");
}
