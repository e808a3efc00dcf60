//! The phones of a run: one UDP socket sends a numbered frame per call every 20 ms, phases spread evenly, and takes the
//! time of what comes back.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const FRAME: Duration = Duration::from_millis(20);
/// A frame that is not back after this is lost.
const COME_BACK: Duration = Duration::from_millis(500);
const HEADER: usize = 12;
const SAMPLES: usize = 160;
/// µ-law codes 0x10 to 0x1F carry one hexadecimal digit each: loud, far from silence, and exact through linear samples.
const DIGIT_BASE: u8 = 0x10;

/// What the phones heard during the measured time.
pub struct Heard {
    /// Round trips, in microseconds, sorted.
    pub round_trips_us: Vec<u64>,
    /// Frames sent in the measured time.
    pub sent: u64,
    /// Of these, frames that came back.
    pub returned: u64,
    /// Packets that held speech but not one whole frame of ours.
    pub torn: u64,
    /// CPU time of the media server in the measured time.
    pub cpu: Duration,
    /// How long was measured.
    pub elapsed: Duration,
}

/// All phones, behind one socket.
pub struct Phones {
    socket: UdpSocket,
}

/// When each frame of each call was sent, and what has come back of them.
#[derive(Default)]
struct Ledger {
    sent_at: HashMap<(SocketAddr, u32), Instant>,
    round_trips_us: Vec<u64>,
    torn: u64,
}

impl Phones {
    /// Binds the phones' socket on loopback.
    pub fn new() -> std::io::Result<Phones> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        Ok(Phones { socket })
    }

    /// Where the media server sends the calls' audio.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket has an address")
    }

    /// Sends and listens for `warm_up` and then `measured`; only the latter is in the answer.
    pub fn run(
        &self,
        calls: &[SocketAddr],
        warm_up: Duration,
        measured: Duration,
        cpu_time: impl Fn() -> Duration,
    ) -> std::io::Result<Heard> {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let listener = {
            let (socket, ledger, stop) = (self.socket.try_clone()?, ledger.clone(), stop.clone());
            std::thread::spawn(move || listen(&socket, &ledger, &stop))
        };
        self.send(calls, 0, warm_up, None)?;
        let (cpu_before, started) = (cpu_time(), Instant::now());
        let first = frames_in(warm_up);
        let sent = self.send(calls, first, measured, Some(&ledger))?;
        let (cpu, elapsed) = (cpu_time() - cpu_before, started.elapsed());
        // They go on talking while the last measured frames come back: a phone that falls silent is a loss to conceal.
        self.send(calls, first + frames_in(measured), COME_BACK, None)?;
        stop.store(true, Ordering::Relaxed);
        listener.join().expect("the listener does not panic");
        let mut ledger = ledger.lock().expect("not poisoned");
        let mut round_trips_us = std::mem::take(&mut ledger.round_trips_us);
        round_trips_us.sort_unstable();
        let returned = round_trips_us.len() as u64;
        Ok(Heard {
            round_trips_us,
            sent,
            returned,
            torn: ledger.torn,
            cpu,
            elapsed,
        })
    }

    /// Sends the frames `first…` of every call at their times; answers how many packets that were.
    fn send(
        &self,
        calls: &[SocketAddr],
        first: u32,
        duration: Duration,
        ledger: Option<&Mutex<Ledger>>,
    ) -> std::io::Result<u64> {
        let started = Instant::now();
        let step = FRAME / u32::try_from(calls.len()).expect("fewer than 2^32 calls");
        let mut packet = [0; HEADER + SAMPLES];
        let frames = frames_in(duration);
        for frame in 0..frames {
            for (index, &call) in calls.iter().enumerate() {
                let due =
                    started + FRAME * frame + step * u32::try_from(index).expect("fewer than 2^32 calls");
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                write_packet(&mut packet, first + frame, u32::from(call.port()));
                if let Some(ledger) = ledger {
                    ledger
                        .lock()
                        .expect("not poisoned")
                        .sent_at
                        .insert((call, first + frame), Instant::now());
                }
                self.socket.send_to(&packet, call)?;
            }
        }
        std::thread::sleep((started + duration).saturating_duration_since(Instant::now()));
        Ok(u64::from(frames) * calls.len() as u64)
    }
}

fn frames_in(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis() / FRAME.as_millis()).expect("less than years")
}

fn listen(socket: &UdpSocket, ledger: &Mutex<Ledger>, stop: &AtomicBool) {
    let mut packet = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut packet) else {
            continue;
        };
        let now = Instant::now();
        if length != HEADER + SAMPLES {
            continue;
        }
        let mut ledger = ledger.lock().expect("not poisoned");
        match read_number(&packet[HEADER..length]) {
            Content::Silence => {}
            Content::Torn => ledger.torn += 1,
            Content::Frame(number) => {
                if let Some(sent_at) = ledger.sent_at.remove(&(from, number)) {
                    ledger
                        .round_trips_us
                        .push(u64::try_from((now - sent_at).as_micros()).unwrap_or(u64::MAX));
                }
            }
        }
    }
}

/// RTP, payload type 0 (RFC 3551), whose payload is the frame's number over and over.
fn write_packet(packet: &mut [u8; HEADER + SAMPLES], number: u32, ssrc: u32) {
    packet[0] = 0x80;
    packet[1] = 0;
    packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&number.wrapping_mul(SAMPLES as u32).to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    for (index, byte) in packet[HEADER..].iter_mut().enumerate() {
        let digit = (number >> (28 - 4 * (index % 8))) & 0xF;
        *byte = DIGIT_BASE | digit as u8;
    }
}

enum Content {
    Silence,
    Torn,
    Frame(u32),
}

fn read_number(payload: &[u8]) -> Content {
    let (first, rest) = payload.split_at(8);
    if payload.iter().all(|byte| byte & 0x7F > 0x60) {
        return Content::Silence;
    }
    let whole =
        first.iter().all(|byte| byte & 0xF0 == DIGIT_BASE) && rest.chunks(8).all(|chunk| chunk == first);
    if !whole {
        return Content::Torn;
    }
    Content::Frame(
        first
            .iter()
            .fold(0, |number, byte| number << 4 | u32::from(byte & 0xF)),
    )
}
