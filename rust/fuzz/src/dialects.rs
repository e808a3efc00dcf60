//! Messages of the application, read as every dialect reads them: any bytes are a message or a refusal, and audio is
//! never longer than what it came in.

use media::stream::base64;
use media::stream::dialect::{Audio, Message, Play, TABLE};
use media::{Encoding, Form, StreamParams, StreamStart};

/// Asterisk joins half a sample of the message before.
const JOINED: usize = 1;

pub fn run(data: &[u8]) {
    for entry in TABLE {
        for form in [Form::Text, Form::Binary] {
            for text in ["json", "plain-text"] {
                let output = entry.output[0];
                let params = StreamParams {
                    dialect: entry.dialect,
                    encoding: output.encoding,
                    rate_hz: output.rate_hz,
                    stream_id: "stream".into(),
                    start: StreamStart {
                        ids: vec![("control_msg_format".into(), text.into())],
                        ..StreamStart::default()
                    },
                    ..StreamParams::default()
                };
                let mut wire = (entry.make)(&params);
                // Some have a state, so twice.
                for _ in 0..2 {
                    if let Ok(message) = wire.read(form, data) {
                        check(&message, data.len());
                    }
                }
            }
        }
    }
}

fn check(message: &Message<'_>, length: usize) {
    match message {
        Message::Audio(audio, _) | Message::AudioTo(_, audio) | Message::Play(Play { audio, .. }) => {
            match audio {
                Audio::Base64(text) => {
                    let mut audio = Vec::new();
                    if base64::decode(text.as_bytes(), &mut audio).is_ok() {
                        assert!(audio.len() <= text.len());
                    }
                }
                Audio::Raw(audio) => assert!(audio.len() <= length),
                Audio::Joined(audio) => assert!(audio.len() <= length + JOINED),
            }
        }
        Message::Mark(name) => assert!(name.len() <= length),
        _ => {}
    }
    if let Message::Play(Play {
        format: Some(format), ..
    }) = message
    {
        assert!(Encoding::ALL.contains(&format.encoding));
    }
}
