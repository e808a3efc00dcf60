//! Phones and application of a run, in one thread on one core: every millisecond it sends the packets that are due, takes
//! what has come back, and echoes what the application got. When something arrived is told by the kernel's stamps, so
//! that a busy generator does not look like a late media server.

use std::io::{Error, ErrorKind, IoSliceMut, Result, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, RecvMsg, SockaddrIn, recvmsg, setsockopt, sockopt::ReceiveTimestampns,
};
use nix::sys::time::TimeSpec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::net::sockopt::set_socket_recv_buffer_size;

use crate::clock::{self, FRAME_NS, TICK_NS};
use crate::dialect::Dialect;
use crate::rtp;

/// Room for what arrives while the generator is held up.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Frames whose times are kept: more than are under way.
const RING: usize = 64;
/// After the measured time the phones go on for so many frames, so that the last of them come back.
const COME_BACK: u32 = 25;
/// A frame of this much or more of a call's messages begins no later than in this millisecond.
const PHASE_SHARE: usize = 50;

/// Who is loaded, which says where a message has its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The media server: audio in the dialect's encoding, frames on the session's ticks.
    Server,
    /// The floor: the packet's payload as it is, as soon as it comes.
    Floor,
}

/// What was seen in the measured time. Times are in microseconds, in no order.
#[derive(Default)]
pub struct Figures {
    /// Packets sent, and of their frames those that came back whole.
    pub sent: u64,
    pub returned: u64,
    /// From the tick that a frame was due at to its message at the application, and to its packet at the phone. On the
    /// floor, which has no frames, from the sending of the packet, and of the message.
    pub up_delay: Vec<u32>,
    pub down_delay: Vec<u32>,
    /// From the sending of a packet to the message with its sound, and from a message to its packet: buffers included.
    pub up_total: Vec<u32>,
    pub down_total: Vec<u32>,
    pub round_trip: Vec<u32>,
    /// How far the spacing of two packets is from that of their numbers.
    pub send_jitter: Vec<u32>,
    /// CPU time of the subject, and how long was measured.
    pub cpu_ns: u64,
    pub elapsed_ns: u64,
    /// The longest message of audio that came to the application.
    pub message_bytes: usize,
    /// The longest that the generator was held up.
    pub held_up_us: u64,
}

struct Call {
    to: SocketAddr,
    tcp: TcpStream,
    partial: Vec<u8>,
    /// Answers sent.
    answered: u32,
    /// When the frame of this number was sent, and its echo.
    sent_at: [u64; RING],
    echoed_at: [u64; RING],
    last_packet: Option<(u64, u16)>,
    /// When messages and packets came, in microseconds modulo a frame.
    up_phases: Vec<u16>,
    down_phases: Vec<u16>,
}

/// Before the message of an answer: no mask, and a length of two bytes.
const FRAME_HEAD: usize = 4;

/// All phones behind one socket, and the application.
pub struct Generator {
    subject: Subject,
    dialect: Dialect,
    udp: UdpSocket,
    epoll: std::os::fd::OwnedFd,
    calls: Vec<Call>,
    /// Port of the subject → call.
    call_of_port: Vec<u16>,
    answer: Vec<u8>,
    answer_audio_at: usize,
    wall_to_monotonic: i64,
    /// Frames that are measured, and the time in which they are sent.
    frames: std::ops::Range<u32>,
    window: std::ops::Range<u64>,
    figures: Figures,
}

impl Generator {
    /// The phones' socket alone: its address is needed to open calls.
    pub fn phones() -> Result<UdpSocket> {
        let udp = UdpSocket::bind("127.0.0.1:0")?;
        set_socket_recv_buffer_size(&udp, RECEIVE_BUFFER)?;
        udp.set_nonblocking(true)?;
        setsockopt(&udp, ReceiveTimestampns, &true)?;
        Ok(udp)
    }

    /// For calls that are open: where each is sent to, and its connection to the application.
    pub fn new(
        subject: Subject,
        dialect: Dialect,
        udp: UdpSocket,
        addresses: &[SocketAddr],
        sockets: Vec<TcpStream>,
    ) -> Result<Generator> {
        if sockets.len() != addresses.len() {
            return Err(Error::other("not every call has reached the application"));
        }
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut call_of_port = vec![u16::MAX; 1 << 16];
        let mut calls = Vec::with_capacity(addresses.len());
        for (number, (to, tcp)) in addresses.iter().zip(sockets).enumerate() {
            call_of_port[usize::from(to.port())] = u16::try_from(number).map_err(Error::other)?;
            setsockopt(&tcp, ReceiveTimestampns, &true)?;
            if let Some(hello) = dialect.hello().filter(|_| subject == Subject::Server) {
                (&tcp).write_all(&hello)?;
            }
            epoll::add(&epoll, &tcp, EventData::new_u64(number as u64), EventFlags::IN)?;
            calls.push(Call {
                to: *to,
                tcp,
                partial: Vec::new(),
                answered: 0,
                sent_at: [0; RING],
                echoed_at: [0; RING],
                last_packet: None,
                up_phases: Vec::new(),
                down_phases: Vec::new(),
            });
        }
        let (text, audio_at) = dialect.answer();
        let length = u16::try_from(text.len()).map_err(Error::other)?;
        // A server's frame has no mask (RFC 6455 §5.2).
        let mut answer = vec![0x80 | dialect.opcode(), 126];
        answer.extend_from_slice(&length.to_be_bytes());
        let answer_audio_at = answer.len() + audio_at;
        answer.extend_from_slice(&text);
        Ok(Generator {
            subject,
            dialect,
            udp,
            epoll,
            calls,
            call_of_port,
            answer,
            answer_audio_at,
            wall_to_monotonic: clock::wall_to_monotonic(),
            frames: 0..0,
            window: 0..0,
            figures: Figures::default(),
        })
    }

    /// Speaks and echoes for `warm_up` and then `measured` frames of each call; only the latter are in the figures.
    pub fn run(&mut self, warm_up: u32, measured: u32, cpu_ns: impl Fn() -> u64) -> Result<Figures> {
        let calls = self.calls.len() as u64;
        // Between two ticks of the subject, so that none of its ticks is a race with ours.
        let start = (clock::now() / TICK_NS + 2) * TICK_NS + TICK_NS / 2;
        let begin = start + u64::from(warm_up) * FRAME_NS;
        let end = begin + u64::from(measured) * FRAME_NS;
        self.frames = warm_up..warm_up + measured;
        self.window = begin..end;
        let (mut before, mut cpu) = (None, None);
        let mut next = 0;
        let mut tick = start;
        while next < (u64::from(warm_up + measured + COME_BACK)) * calls {
            clock::sleep_until(tick);
            let now = clock::now();
            if self.window.contains(&now) {
                self.figures.held_up_us = self.figures.held_up_us.max((now - tick) / 1_000);
            }
            tick = (tick + TICK_NS).max(now - now % TICK_NS + TICK_NS / 2);
            if now >= begin && before.is_none() {
                before = Some((now, cpu_ns()));
            }
            if now >= end && cpu.is_none() {
                cpu = Some((now, cpu_ns()));
            }
            while start + next * FRAME_NS / calls <= now {
                self.speak((next % calls) as usize, (next / calls) as u32)?;
                next += 1;
            }
            self.listen()?;
            self.echo()?;
        }
        if let (Some((from, cpu_before)), Some((to, cpu_after))) = (before, cpu) {
            self.figures.cpu_ns = cpu_after - cpu_before;
            self.figures.elapsed_ns = to - from;
        }
        if self.subject == Subject::Server {
            self.align();
        }
        Ok(std::mem::take(&mut self.figures))
    }

    /// Sends one packet of one phone.
    fn speak(&mut self, call: usize, number: u32) -> Result<()> {
        let mut packet = [0; rtp::HEADER + rtp::SAMPLES];
        rtp::write(&mut packet, number, call as u32 + 1);
        self.figures.sent += u64::from(self.frames.contains(&number));
        let call = &mut self.calls[call];
        call.sent_at[number as usize % RING] = clock::now();
        match self.udp.send_to(&packet, call.to) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes every packet that has come back.
    fn listen(&mut self) -> Result<()> {
        let mut buffer = [0; 2048];
        let mut control = cmsg_space!(TimeSpec);
        loop {
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let received = recvmsg::<SockaddrIn>(
                self.udp.as_raw_fd(),
                &mut slices,
                Some(&mut control),
                MsgFlags::empty(),
            );
            let (length, port, at) = match received {
                Err(nix::Error::EAGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
                Ok(message) => {
                    let port = message.address.map_or(0, |address| address.port());
                    (message.bytes, port, stamp(&message, self.wall_to_monotonic))
                }
            };
            let call = self.call_of_port[usize::from(port)];
            if length == rtp::HEADER + rtp::SAMPLES && call != u16::MAX {
                self.heard(usize::from(call), at, &buffer[..length]);
            }
        }
    }

    fn heard(&mut self, call: usize, at: u64, packet: &[u8]) {
        let call = &mut self.calls[call];
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let last = call.last_packet.replace((at, sequence));
        if self.window.contains(&at) {
            call.down_phases.push((at % FRAME_NS / 1_000) as u16);
            if let Some((before, number)) = last.filter(|_| self.subject == Subject::Server) {
                let expected = u64::from(sequence.wrapping_sub(number)) * FRAME_NS;
                self.figures
                    .send_jitter
                    .push(micros((at - before.min(at)).abs_diff(expected)));
            }
        }
        let Some(number) =
            rtp::whole_number(&packet[rtp::HEADER..]).filter(|number| self.frames.contains(number))
        else {
            return;
        };
        self.figures.returned += 1;
        let place = number as usize % RING;
        let down = micros(at.saturating_sub(call.echoed_at[place]));
        self.figures.down_total.push(down);
        self.figures
            .round_trip
            .push(micros(at.saturating_sub(call.sent_at[place])));
        if self.subject == Subject::Floor {
            self.figures.down_delay.push(down);
        }
    }

    /// Takes what has come to the application, and sends its audio back: one read and one write for each connection.
    fn echo(&mut self) -> Result<()> {
        let mut events = [const { MaybeUninit::<Event>::uninit() }; 512];
        loop {
            let no_time = rustix::time::Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let count = match epoll::wait(&self.epoll, &mut events, Some(&no_time)) {
                Err(rustix::io::Errno::INTR) => continue,
                ready => {
                    let (ready, _) = ready?;
                    let numbers: Vec<usize> = ready.iter().map(|event| event.data.u64() as usize).collect();
                    for &number in &numbers {
                        self.echo_one(number)?;
                    }
                    numbers.len()
                }
            };
            if count < 512 {
                return Ok(());
            }
        }
    }

    fn echo_one(&mut self, number: usize) -> Result<()> {
        let mut buffer = [0; 32 << 10];
        let mut control = cmsg_space!(TimeSpec);
        let call = &mut self.calls[number];
        let held = call.partial.len();
        buffer[..held].copy_from_slice(&call.partial);
        let mut slices = [IoSliceMut::new(&mut buffer[held..])];
        let received = recvmsg::<()>(
            call.tcp.as_raw_fd(),
            &mut slices,
            Some(&mut control),
            MsgFlags::empty(),
        );
        let (length, at) = match received {
            Err(nix::Error::EAGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
            Ok(message) if message.bytes == 0 => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(message) => (held + message.bytes, stamp(&message, self.wall_to_monotonic)),
        };
        let mut answers = Vec::with_capacity(2 * self.answer.len());
        let mut numbers = [None; 4];
        let mut messages = 0;
        let mut used = 0;
        while let Some(frame) = Frame::parse(&buffer[used..length]) {
            let message = &mut buffer[used + frame.start..used + frame.end];
            used += frame.end;
            messages += 1;
            let Some(audio_at) = self.dialect.audio_at(frame.opcode, message.len()) else {
                continue;
            };
            self.figures.message_bytes = self.figures.message_bytes.max(message.len());
            let audio = &mut message[audio_at..][..self.dialect.audio_bytes()];
            unmask(audio, frame.mask, audio_at);
            let found = match self.subject {
                Subject::Server => self.dialect.number(audio),
                Subject::Floor => rtp::number(audio),
            };
            // What waited since the calls were opened is silence: echoed, it would stand in the playout queues.
            if found.is_none() {
                continue;
            }
            let answer = answers.len();
            answers.extend_from_slice(&self.answer);
            answers[answer + self.answer_audio_at..][..audio.len()].copy_from_slice(audio);
            if let Some(at) = self.dialect.sequence_at() {
                let from = answer + FRAME_HEAD + at;
                answers[from..from + 4].copy_from_slice(&call.answered.to_le_bytes());
                call.answered += 1;
            }
            if let Some(place) = numbers.get_mut(messages - 1) {
                *place = found;
            }
        }
        call.partial.clear();
        call.partial.extend_from_slice(&buffer[used..length]);
        if !answers.is_empty() && (&call.tcp).write(&answers)? != answers.len() {
            return Err(Error::other("the media server does not read"));
        }
        let echoed_at = clock::now();
        for number in numbers.into_iter().flatten() {
            call.echoed_at[number as usize % RING] = echoed_at;
        }
        // The stamp is that of the last byte: it is the message's own only when it came alone.
        if messages == 1 && held == 0 && used == length {
            if self.window.contains(&at) {
                call.up_phases.push((at % FRAME_NS / 1_000) as u16);
            }
            if let [Some(number), ..] = numbers
                && self.frames.contains(&number)
            {
                let up = micros(at.saturating_sub(call.sent_at[number as usize % RING]));
                self.figures.up_total.push(up);
                if self.subject == Subject::Floor {
                    self.figures.up_delay.push(up);
                }
            }
        }
        Ok(())
    }

    /// From the times at which messages and packets came to how long after the tick of their frame that was.
    fn align(&mut self) {
        for call in &self.calls {
            let Some(due_us) = due_us(&call.up_phases, &call.down_phases) else {
                continue;
            };
            let late = |phase: &u16| {
                let late = (u32::from(*phase) + 20_000 - due_us) % 20_000;
                // The two clocks differ by a few microseconds: nothing is sent before its time.
                if late > 19_500 { 0 } else { late }
            };
            self.figures.up_delay.extend(call.up_phases.iter().map(late));
            self.figures.down_delay.extend(call.down_phases.iter().map(late));
        }
    }
}

/// The tick at which a call's frames are due: the first millisecond of the twenty in which anything but strays is sent.
fn due_us(up: &[u16], down: &[u16]) -> Option<u32> {
    let mut counts = [0; 20];
    for phase in up.iter().chain(down) {
        counts[usize::from(phase / 1_000) % 20] += 1;
    }
    let enough = (up.len() + down.len()) / PHASE_SHARE;
    let busiest = (0..20).max_by_key(|&at| counts[at])?;
    let mut first = busiest;
    for _ in 0..10 {
        let before = (first + 19) % 20;
        if counts[before] <= enough {
            break;
        }
        first = before;
    }
    (counts[busiest] > 0).then_some(first as u32 * 1_000)
}

fn micros(nanoseconds: u64) -> u32 {
    u32::try_from(nanoseconds / 1_000).unwrap_or(u32::MAX)
}

/// When the kernel got it, by the monotonic clock; now, if the kernel does not say.
fn stamp<S>(message: &RecvMsg<'_, '_, S>, wall_to_monotonic: i64) -> u64 {
    let stamps = message.cmsgs().into_iter().flatten();
    let mut found = stamps.filter_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(time.tv_sec() * 1_000_000_000 + time.tv_nsec()),
        _ => None,
    });
    found
        .next()
        .map_or_else(clock::now, |wall| (wall + wall_to_monotonic).cast_unsigned())
}

/// A client's frame (RFC 6455 §5.2) of less than 64 KiB.
struct Frame {
    opcode: u8,
    mask: [u8; 4],
    start: usize,
    end: usize,
}

impl Frame {
    fn parse(data: &[u8]) -> Option<Frame> {
        let (start, length) = match *data {
            [_, short, ..] if short & 0x7f < 126 => (6, usize::from(short & 0x7f)),
            [_, _, high, low, ..] => (8, usize::from(u16::from_be_bytes([high, low]))),
            _ => return None,
        };
        let end = start + length;
        let mask = data.get(..end)?.get(start - 4..start)?.try_into().ok()?;
        Some(Frame {
            opcode: data[0] & 0xf,
            mask,
            start,
            end,
        })
    }
}

/// Exclusive-or with the mask, which began `before` bytes earlier.
fn unmask(data: &mut [u8], mask: [u8; 4], before: usize) {
    let key: [u8; 4] = std::array::from_fn(|at| mask[(before + at) % 4]);
    let wide = u64::from_ne_bytes([key, key].concat().try_into().unwrap_or_default());
    let (words, rest) = data.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}
