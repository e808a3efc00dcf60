//! A fault of ours in one session ends that session, and no other notices.

mod common;

use common::*;
use media::{CommandError, Engine, EngineConfig, Event, Source, Time};

fn frames_sent(engine: &mut Engine) -> usize {
    let mut count = 0;
    while engine.poll_transmit().is_some() {
        count += 1;
    }
    count
}

#[test]
fn the_others_of_its_tick_send_every_frame() {
    let mut engine = Engine::new(EngineConfig::new(7, 0));
    let start = Time::from_millis(1_000);
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let session = engine.open_session(start).unwrap();
            let leg = engine.open_leg(start, session).unwrap();
            engine.connect_leg(start, leg, remote(phone_rtp())).unwrap();
            (session, leg)
        })
        .collect();
    engine.handle_timeout(start.plus_millis(20));
    assert_eq!(frames_sent(&mut engine), 3);

    let (broken, broken_leg) = calls[0];
    engine.break_session(broken).unwrap();
    engine.handle_timeout(start.plus_millis(40));
    assert_eq!(frames_sent(&mut engine), 2, "the two others send");
    let failed = std::iter::from_fn(|| engine.poll_event()).find_map(|event| match event {
        Event::SessionFailed { session, reason } => Some((session, reason)),
        _ => None,
    });
    assert_eq!(failed, Some((broken, "broken on purpose".to_string())));

    // It is gone: its packets are stale, its keys unknown, its place is for somebody else.
    let from = phone_rtp();
    engine.receive(
        start.plus_millis(41),
        Source::Rtp {
            leg: broken_leg,
            from,
        },
        &[0x80; 172],
    );
    assert_eq!(engine.engine_stats().stale_inputs, 1);
    assert_eq!(engine.stats(broken), Err(CommandError::UnknownSession));
    assert_eq!(
        (
            engine.engine_stats().sessions,
            engine.engine_stats().failed_sessions
        ),
        (2, 1)
    );
    let next = engine.open_session(start.plus_millis(45)).unwrap();
    assert_ne!(next, broken);
    engine.handle_timeout(start.plus_millis(60));
    assert_eq!(frames_sent(&mut engine), 2);
}
