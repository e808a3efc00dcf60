//! Messages of the application, read as every dialect reads them: any bytes are a message or a refusal, and audio is
//! never longer than what it came in.

use media::stream::dialect::{Audio, Message};
use media::stream::{base64, binary, teler, twilio};

pub fn run(data: &[u8]) {
    for parse in [
        teler::parse,
        twilio::parse,
        binary::parse_text,
        binary::parse_audio,
    ] {
        match parse(data) {
            Ok(Message::Audio(Audio::Base64(text), _) | Message::AudioTo(_, Audio::Base64(text))) => {
                let mut audio = Vec::new();
                if base64::decode(text.as_bytes(), &mut audio).is_ok() {
                    assert!(audio.len() <= text.len());
                }
            }
            Ok(Message::Audio(Audio::Raw(audio), _) | Message::AudioTo(_, Audio::Raw(audio))) => {
                assert_eq!(audio.len() + binary::HEADER_BYTES, data.len());
            }
            Ok(Message::Mark(name)) => assert!(name.len() <= data.len()),
            Ok(_) | Err(_) => {}
        }
    }
}
