//! The floor: the sockets of a media server, and nothing behind them.
//!
//! For each call one UDP socket and one TCP connection, of the media server's kind and options, on one thread with one
//! level-triggered epoll. The thread sleeps to the next millisecond and then serves all that is ready: a packet in is a
//! message out, a message in is a packet out, one `send` each. The payload is copied across so that the load generator
//! finds its numbers again; there is no codec, jitter buffer, JSON or clock. What a server costs above this is its own
//! doing.
//!
//! It prints the address of each call's UDP socket, one a line, and serves until it is killed or a connection ends.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream, UdpSocket};

use clap::Parser;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::net::sockopt;
use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The media server's tick.
const TICK_NS: i64 = 1_000_000;
/// RTP, payload type 0, 20 ms.
const RTP_HEADER: usize = 12;
const RTP_PAYLOAD: usize = 160;
/// The media server's socket options: `rust/runtime/src/udp.rs` and `tcp.rs`.
const UDP_RECEIVE_BUFFER: usize = 128 << 10;
const TCP_SEND_BUFFER: usize = 32 << 10;
const EXPEDITED_FORWARDING: u8 = 46 << 2;
/// The epoll data of a call's TCP connection is its number with this bit.
const IS_TCP: u64 = 1 << 32;

/// Moves packets to messages and back at the least possible cost.
#[derive(Parser)]
struct Args {
    /// Calls to serve.
    #[arg(long)]
    calls: usize,
    /// Where packets are sent.
    #[arg(long)]
    phone: SocketAddr,
    /// The WebSocket server to connect each call to.
    #[arg(long)]
    application: SocketAddr,
    /// The length of a message to the application.
    #[arg(long)]
    message_bytes: usize,
    /// Where its audio begins.
    #[arg(long)]
    audio_at: usize,
    /// Where the audio of an answer begins.
    #[arg(long)]
    answer_audio_at: usize,
    /// Whether messages are text (1) or binary (2).
    #[arg(long)]
    opcode: u8,
}

struct Call {
    udp: UdpSocket,
    tcp: TcpStream,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if args.message_bytes < args.audio_at + RTP_PAYLOAD || !(126..1 << 16).contains(&args.message_bytes) {
        let wrong = "--message-bytes: no room for a packet, or another header";
        return Err(Error::new(ErrorKind::InvalidInput, wrong));
    }
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut calls = Vec::with_capacity(args.calls);
    for number in 0..args.calls as u64 {
        let call = Call::open(args.application, number)?;
        epoll::add(&epoll, &call.udp, EventData::new_u64(number), EventFlags::IN)?;
        epoll::add(
            &epoll,
            &call.tcp,
            EventData::new_u64(number | IS_TCP),
            EventFlags::IN,
        )?;
        println!("{}", call.udp.local_addr()?);
        calls.push(call);
    }
    let mut floor = Floor {
        calls,
        phone: args.phone,
        frame_audio_at: FRAME_HEADER + args.audio_at,
        frame: frame(args.opcode, args.message_bytes),
        answer_audio_at: ANSWER_HEADER + args.answer_audio_at,
        packet: [0; RTP_HEADER + RTP_PAYLOAD],
        buffer: vec![0; 64 << 10].into(),
    };
    let mut events = [const { MaybeUninit::<Event>::uninit() }; 1024];
    loop {
        let (ready, _) = match epoll::wait(&epoll, &mut events, None) {
            Err(rustix::io::Errno::INTR) => continue,
            ready => ready?,
        };
        for event in ready.iter() {
            let data = event.data;
            let number = data.u64() as u32 as usize;
            if data.u64() & IS_TCP == 0 {
                floor.packet_in(number)?;
            } else {
                floor.messages_in(number)?;
            }
        }
        sleep_to_tick();
    }
}

/// A client's frame of 126 to 65,535 bytes: four bytes of header and a mask of zeros (RFC 6455 §5.2).
const FRAME_HEADER: usize = 8;
/// A server's, which has no mask.
const ANSWER_HEADER: usize = 4;

fn frame(opcode: u8, length: usize) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode, 0x80 | 126];
    frame.extend_from_slice(&(length as u16).to_be_bytes());
    frame.resize(FRAME_HEADER, 0);
    frame.resize(FRAME_HEADER + length, b'-');
    frame
}

struct Floor {
    calls: Vec<Call>,
    phone: SocketAddr,
    frame: Vec<u8>,
    frame_audio_at: usize,
    answer_audio_at: usize,
    packet: [u8; RTP_HEADER + RTP_PAYLOAD],
    buffer: Box<[u8]>,
}

impl Floor {
    /// The payload goes into the message as it is: the phones of the load generator speak in bytes that UTF-8 has too.
    fn packet_in(&mut self, number: usize) -> Result<()> {
        let call = &mut self.calls[number];
        let (length, _) = call.udp.recv_from(&mut self.buffer)?;
        if length == RTP_HEADER + RTP_PAYLOAD {
            self.frame[self.frame_audio_at..][..RTP_PAYLOAD]
                .copy_from_slice(&self.buffer[RTP_HEADER..length]);
            send(&mut call.tcp, &self.frame)?;
        }
        Ok(())
    }

    fn messages_in(&mut self, number: usize) -> Result<()> {
        let call = &mut self.calls[number];
        let length = call.tcp.read(&mut self.buffer)?;
        if length == 0 {
            std::process::exit(0);
        }
        let mut rest = &self.buffer[..length];
        while let [_, 126, high, low, ..] = *rest {
            let end = ANSWER_HEADER + usize::from(u16::from_be_bytes([high, low]));
            let Some(answer) = rest.get(..end) else { break };
            let audio = answer.get(self.answer_audio_at..self.answer_audio_at + RTP_PAYLOAD);
            self.packet[RTP_HEADER..].copy_from_slice(audio.ok_or(ErrorKind::InvalidData)?);
            call.udp.send_to(&self.packet, self.phone)?;
            rest = &rest[end..];
        }
        if rest.is_empty() {
            return Ok(());
        }
        // Loopback hands a message over whole; anything else would be another measurement.
        Err(Error::other("a message came in pieces"))
    }
}

/// One `send`; a kernel that takes less is more than this program can be told.
fn send(tcp: &mut TcpStream, frame: &[u8]) -> Result<()> {
    if tcp.write(frame)? == frame.len() {
        Ok(())
    } else {
        Err(Error::other("the application does not read"))
    }
}

impl Call {
    fn open(application: SocketAddr, number: u64) -> Result<Call> {
        let udp = UdpSocket::bind("127.0.0.1:0")?;
        udp.set_nonblocking(true)?;
        sockopt::set_socket_recv_buffer_size(&udp, UDP_RECEIVE_BUFFER)?;
        sockopt::set_ip_tos(&udp, EXPEDITED_FORWARDING)?;
        let mut tcp = TcpStream::connect(application)?;
        sockopt::set_tcp_nodelay(&tcp, true)?;
        sockopt::set_socket_send_buffer_size(&tcp, TCP_SEND_BUFFER)?;
        write!(
            tcp,
            "GET /{number} HTTP/1.1\r\nHost: {application}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            tcp.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        tcp.set_nonblocking(true)?;
        Ok(Call { udp, tcp })
    }
}

fn sleep_to_tick() {
    let now = clock_gettime(ClockId::Monotonic);
    let tick = (now.tv_nsec / TICK_NS + 1) * TICK_NS;
    let wanted = Timespec {
        tv_sec: now.tv_sec + tick / 1_000_000_000,
        tv_nsec: tick % 1_000_000_000,
    };
    while clock_nanosleep_absolute(ClockId::Monotonic, &wanted) == Err(rustix::io::Errno::INTR) {}
}
