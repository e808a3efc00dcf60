//! The contenders: a buffer of fixed delay, and simple ways to fill what it has not got.

use media::codec::conceal::Concealer;
use media::codec::g711::{self, Law};

use crate::FRAME;
use crate::wire::Wire;

/// After so many frames that did not come, the buffer starts anew with the next packet.
const RESTART_FRAMES: u32 = 10;
/// With so many frames more than its delay, it drops what is too much.
const EXCESS_FRAMES: u64 = 5;

/// What is played for a frame that is missing.
#[derive(Clone, Copy)]
pub enum Filling {
    /// Nothing.
    Zero,
    /// The last frame, fading to nothing in 60 ms.
    Repeat,
    /// Our concealment.
    Conceal,
}

/// What a buffer of fixed delay plays, frame by frame.
pub struct FixedBuffer {
    /// `None`: the packet is missing or late.
    pub frames: Vec<Option<Vec<i16>>>,
}

impl FixedBuffer {
    /// Begins so long after the first packet came, and then plays one packet a frame.
    pub fn play(wire: &Wire, ticks: impl Iterator<Item = u64>, delay_us: u64) -> FixedBuffer {
        let mut arrivals = wire.arrivals.iter().peekable();
        let mut held = std::collections::BTreeSet::new();
        let (mut start, mut position, mut missing) = (None, None, 0);
        let mut frames = Vec::new();
        for now in ticks {
            while let Some((at, n)) = arrivals.next_if(|(at, _)| *at <= now) {
                start = start.or(Some(*at));
                held.insert(*n);
            }
            if position.is_none() && start.is_some_and(|start| now >= start + delay_us) {
                position = held.first().copied();
            }
            let Some(next) = position else {
                frames.push(Some(vec![0; FRAME]));
                continue;
            };
            let newest = held.last().copied().unwrap_or(0);
            let room = delay_us.div_ceil(20_000);
            let next = if newest > next + room + EXCESS_FRAMES {
                newest - room
            } else {
                next
            };
            let frame = held.contains(&next).then(|| {
                let mut frame = vec![0; FRAME];
                g711::decode(Law::Mu, wire.payload(next), &mut frame);
                frame
            });
            missing = if frame.is_none() { missing + 1 } else { 0 };
            held = held.split_off(&(next + 1));
            position = Some(next + 1);
            if missing > RESTART_FRAMES {
                (start, position, missing) = (None, None, 0);
                held.clear();
            }
            frames.push(frame);
        }
        FixedBuffer { frames }
    }

    /// The sound, with the gaps filled.
    pub fn fill(&self, filling: Filling) -> Vec<i16> {
        let mut concealer = Concealer::default();
        let mut out = Vec::with_capacity(self.frames.len() * FRAME);
        let mut last = vec![0; FRAME];
        let mut gap = 0usize;
        for frame in &self.frames {
            let mut samples = frame.clone().unwrap_or_else(|| vec![0; FRAME]);
            match (filling, frame) {
                (Filling::Conceal, Some(_)) => concealer.good(&mut samples),
                (Filling::Conceal, None) => {
                    concealer.conceal(&mut samples);
                }
                (Filling::Repeat, None) => {
                    for (n, sample) in samples.iter_mut().enumerate() {
                        let left = (3 * FRAME).saturating_sub(gap * FRAME + n) as i32;
                        *sample = (i32::from(last[n]) * left / (3 * FRAME) as i32) as i16;
                    }
                }
                _ => {}
            }
            gap = if frame.is_some() { 0 } else { gap + 1 };
            if frame.is_some() {
                last.clone_from(&samples);
            }
            out.extend(samples);
        }
        out
    }
}
