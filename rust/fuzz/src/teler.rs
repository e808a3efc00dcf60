//! Teler's messages: any text is a message or a refusal, and audio is never longer than its base64.

use media::stream::teler::{Message, decode_audio, parse};

pub fn run(data: &[u8]) {
    let Ok(message) = parse(data) else { return };
    if let Message::Audio(base64, _) = message {
        let mut audio = Vec::new();
        if decode_audio(&base64, &mut audio).is_ok() {
            assert!(audio.len() <= base64.len());
        }
    }
}
