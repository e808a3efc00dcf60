//! SRTP on standard input and output, for tests against another implementation (`tests/conformance/test_libsrtp.py`).
//!
//! The arguments are the suite and, in hexadecimal, the master key and salt. Each line is `protect`, `unprotect`,
//! `protect_rtcp` or `unprotect_rtcp` and a packet in hexadecimal; the answer is the packet, or why it is refused.

use std::io::{BufRead, Write};

use media::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [suite, key] = &arguments[..] else {
        return Err("srtp_lines SUITE KEY".into());
    };
    let suite = Suite::from_name(suite).ok_or("unknown suite")?;
    let key = unhex(key).and_then(|key| MasterKey::new(suite, &key));
    let key = key.ok_or("not a key of this suite")?;
    let (mut sender, mut receiver) = (SrtpSender::new(&key), SrtpReceiver::new(&key));
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (verb, packet) = line.split_once(' ').ok_or("a line is a verb and a packet")?;
        let mut packet = unhex(packet).ok_or("a packet is hexadecimal")?;
        let outcome = match verb {
            "protect" => sender
                .protect_rtp(&mut packet, 0)
                .map_err(|why| format!("{why:?}")),
            "protect_rtcp" => sender
                .protect_rtcp(&mut packet, 0)
                .map_err(|why| format!("{why:?}")),
            "unprotect" => receiver
                .unprotect_rtp(&mut packet)
                .map(|length| packet.truncate(length))
                .map_err(|why| format!("{why:?}")),
            "unprotect_rtcp" => receiver
                .unprotect_rtcp(&mut packet)
                .map(|length| packet.truncate(length))
                .map_err(|why| format!("{why:?}")),
            _ => return Err("unknown verb".into()),
        };
        match outcome {
            Ok(()) => {
                let digits: String = packet.iter().map(|byte| format!("{byte:02x}")).collect();
                writeln!(output, "{digits}")?;
            }
            Err(why) => writeln!(output, "{why}")?,
        }
        output.flush()?;
    }
    Ok(())
}
