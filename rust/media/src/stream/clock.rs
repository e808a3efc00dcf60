//! What is told at intervals: clock pairs, and pings that measure the way to the application and back.

use crate::time::Time;

/// How often both are told.
pub(crate) const INTERVAL_MS: u64 = 10_000;
/// The Unix epoch in the seconds of NTP.
const UNIX_IN_NTP: u64 = 2_208_988_800;

/// Unix milliseconds of `now`, given the wall clock at [`Time`]`(0)` as NTP 32.32 fixed point.
pub(crate) fn unix_ms(now: Time, ntp_at_zero: u64) -> u64 {
    let seconds = (ntp_at_zero >> 32).saturating_sub(UNIX_IN_NTP);
    let millis = ((ntp_at_zero & 0xffff_ffff) * 1_000) >> 32;
    seconds * 1_000 + millis + now.0 / 1_000
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// The number of the ping that goes out with it.
    pub ping: u32,
    /// The round trip of the last ping that was answered since.
    pub rtt_ms: Option<u64>,
}

/// The clock of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    next: Option<Time>,
    ping: u32,
    sent: Option<Time>,
    rtt_ms: Option<u64>,
}

impl Clock {
    /// Begins to tick: the first is due at once.
    pub fn start(&mut self, now: Time) {
        self.next = Some(now);
        self.sent = None;
    }

    /// What is due now, if anything is.
    pub fn due(&mut self, now: Time) -> Option<Due> {
        self.next.filter(|next| now >= *next)?;
        self.next = Some(now.plus_millis(INTERVAL_MS));
        self.ping = self.ping.wrapping_add(1);
        self.sent = Some(now);
        Some(Due {
            ping: self.ping,
            rtt_ms: self.rtt_ms.take(),
        })
    }

    /// The application has answered this ping. Another than the last says nothing.
    pub fn pong(&mut self, now: Time, ping: u32) {
        if ping == self.ping
            && let Some(sent) = self.sent.take()
        {
            self.rtt_ms = Some(now.millis_since(sent));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_that_was_answered_is_told_with_the_next_clock() {
        let mut clock = Clock::default();
        let now = Time::from_millis(5_000);
        assert_eq!(clock.due(now), None);
        clock.start(now);
        assert_eq!(
            clock.due(now),
            Some(Due {
                ping: 1,
                rtt_ms: None
            })
        );
        assert_eq!(clock.due(now.plus_millis(9_999)), None);
        clock.pong(now.plus_millis(30), 7);
        clock.pong(now.plus_millis(42), 1);
        clock.pong(now.plus_millis(90), 1);
        let next = now.plus_millis(10_000);
        assert_eq!(
            clock.due(next),
            Some(Due {
                ping: 2,
                rtt_ms: Some(42)
            })
        );
        let later = next.plus_millis(10_000);
        assert_eq!(
            clock.due(later),
            Some(Due {
                ping: 3,
                rtt_ms: None
            }),
            "nobody has answered"
        );
    }

    #[test]
    fn the_wall_clock_is_that_of_the_sender_reports() {
        let ntp_at_zero = (UNIX_IN_NTP + 1_700_000_000) << 32 | 1 << 31;
        assert_eq!(unix_ms(Time::from_millis(250), ntp_at_zero), 1_700_000_000_750);
    }
}
