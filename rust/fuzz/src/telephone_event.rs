//! Telephone-events (RFC 4733): whatever comes, in whatever order, a press is told once.

use media::Time;
use media::dtmf::DigitReceiver;

use crate::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let mut receiver = DigitReceiver::default();
    let mut now = Time::from_millis(1_000);
    let (mut timestamp, mut changes, mut told) = (0u32, 1u32, 0u32);
    while !input.is_empty() {
        let control = input.u8();
        now = now.plus_millis(u64::from(control & 0x3f));
        if control & 0x80 != 0 {
            timestamp = timestamp.wrapping_add(input.u32());
            changes += 1;
        }
        let length = if control & 0x40 != 0 {
            usize::from(input.u8())
        } else {
            4
        };
        let digits = receiver.receive(now, timestamp, input.take(length));
        for digit in digits.into_iter().chain([receiver.handle_timeout(now)]).flatten() {
            assert!(digit.digit.is_ascii_digit() || "*#ABCD".contains(digit.digit));
            told += 1;
        }
    }
    told += u32::from(receiver.handle_timeout(now.plus_millis(10_000)).is_some());
    // A segment of a long press (§2.5.1.3) moves the timestamp and tells nothing.
    assert!(told <= changes, "{told} digits of {changes} timestamps");
}
