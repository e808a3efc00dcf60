//! What a WebSocket of a stranger sends: frames mean the same however they are cut, what is held back has its bound, and
//! no head of an answer is more than refused.

use runtime::websocket::handshake::Handshake;
use runtime::websocket::receiver::{Incoming, MAX_MESSAGE_BYTES, Receiver};

pub fn run(data: &[u8]) {
    let Some((&step, data)) = data.split_first() else {
        return;
    };
    let whole = told(data, data.len());
    assert_eq!(whole, told(data, 1 + usize::from(step)));

    let mut handshake = Handshake::new([7; 16], &["one".into(), "two".into()]);
    for part in data.chunks(1 + usize::from(step)) {
        if !matches!(handshake.receive(part), Ok(None)) {
            break;
        }
    }
}

/// What frames say when they come in pieces of this length; the last line is the violation, if there is one.
fn told(data: &[u8], step: usize) -> Vec<String> {
    let mut receiver = Receiver::default();
    let mut lines = Vec::new();
    for part in data.chunks(step.max(1)) {
        let outcome = receiver.receive(part, |incoming| {
            lines.push(match incoming {
                Incoming::Text(text) => format!("text {text}"),
                Incoming::Binary(bytes) => format!("binary {bytes:?}"),
                Incoming::Ping(payload) => format!("ping {payload:?}"),
                Incoming::Pong => "pong".into(),
                Incoming::Close { code, reason } => format!("close {code:?} {reason}"),
            });
        });
        if let Err(violation) = outcome {
            lines.push(format!("{} {}", violation.close_code, violation.detail));
            break;
        }
        assert!(receiver.pending_bytes() <= 2 * MAX_MESSAGE_BYTES);
    }
    lines
}
