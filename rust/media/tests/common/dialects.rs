//! What an application of each dialect says.

use media::{Dialect, Encoding, StreamKey, StreamParams};

use super::{Node, base64, stream_params};

/// One message.
#[derive(Clone, Debug)]
pub enum Said {
    Text(String),
    Binary(Vec<u8>),
}

/// Dialects whose audio is base64.
pub const WITH_BASE64: &[&str] = &["teler", "twilio", "telnyx", "plivo", "exotel", "jambonz"];
/// Dialects whose messages may name the stream.
pub const WITH_STREAM_ID: &[&str] = &["twilio", "telnyx", "plivo", "exotel"];

/// The words of one dialect.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    pub dialect: &'static str,
}

/// Of every dialect but our own, which begins with a conversation.
pub fn words() -> Vec<Words> {
    [
        "teler", "twilio", "telnyx", "plivo", "vonage", "exotel", "asterisk", "jambonz",
    ]
    .map(|dialect| Words { dialect })
    .to_vec()
}

/// A stream of this dialect: µ-law where it can be, else linear, at 8 kHz.
pub fn params(dialect: &str) -> StreamParams {
    let encoding = match dialect {
        "twilio" | "telnyx" | "plivo" | "asterisk" => Encoding::MuLaw,
        _ => Encoding::PcmS16le,
    };
    StreamParams {
        dialect: Dialect::named(dialect).unwrap(),
        encoding,
        ..stream_params(20, 8_000)
    }
}

impl Words {
    /// A payload as it is, which need not be base64.
    pub fn payload(&self, payload: &str) -> Said {
        Said::Text(match self.dialect {
            "teler" => format!(r#"{{"type":"audio","audio_b64":"{payload}","chunk_id":1}}"#),
            "plivo" => format!(
                r#"{{"event":"playAudio","media":{{"contentType":"audio/x-mulaw","sampleRate":8000,"payload":"{payload}"}}}}"#
            ),
            "jambonz" => format!(
                r#"{{"type":"playAudio","data":{{"audioContent":"{payload}","audioContentType":"raw","sampleRate":8000,"queuePlay":true}}}}"#
            ),
            _ => format!(r#"{{"event":"media","media":{{"payload":"{payload}"}}}}"#),
        })
    }

    /// Audio of these bytes.
    pub fn bytes(&self, bytes: &[u8]) -> Said {
        match self.dialect {
            "vonage" | "asterisk" | "jambonz" => Said::Binary(bytes.to_vec()),
            _ => self.payload(&base64(bytes)),
        }
    }

    /// Audio that is heard.
    pub fn tone(&self, millis: usize) -> Said {
        let encoding = params(self.dialect).encoding;
        let samples: Vec<i16> = (0..millis * 8)
            .map(|n| if n / 8 % 2 == 0 { 8_000 } else { -8_000 })
            .collect();
        let mut bytes = Vec::new();
        encoding.append(&samples, &mut bytes);
        self.bytes(&bytes)
    }

    /// 20 ms of audio for the stream of this id; `null`: the id is not a text.
    pub fn with_stream(&self, id: &str) -> Said {
        let Said::Text(text) = self.tone(20) else {
            panic!("{} names no stream", self.dialect)
        };
        let name = match self.dialect {
            "twilio" => "streamSid",
            "plivo" => "streamId",
            "telnyx" => "stream_id",
            _ => "stream_sid",
        };
        let id = if id == "null" {
            id.to_owned()
        } else {
            format!("\"{id}\"")
        };
        Said::Text(text.replacen('{', &format!(r#"{{"{name}":{id},"#), 1))
    }

    pub fn clear(&self) -> Said {
        let text = match self.dialect {
            "teler" => r#"{"type":"clear"}"#,
            "plivo" => r#"{"event":"clearAudio"}"#,
            "vonage" => r#"{"action":"clear"}"#,
            "asterisk" => "FLUSH_MEDIA",
            "jambonz" => r#"{"type":"killAudio"}"#,
            _ => r#"{"event":"clear"}"#,
        };
        Said::Text(text.to_owned())
    }

    pub fn mark(&self, name: &str) -> Option<Said> {
        let text = match self.dialect {
            "teler" => return None,
            "plivo" => format!(r#"{{"event":"checkpoint","name":"{name}"}}"#),
            "vonage" => format!(r#"{{"action":"notify","payload":{{"name":"{name}"}}}}"#),
            "asterisk" => format!("MARK_MEDIA {name}"),
            "jambonz" => format!(r#"{{"type":"mark","data":{{"name":"{name}"}}}}"#),
            _ => format!(r#"{{"event":"mark","mark":{{"name":"{name}"}}}}"#),
        };
        Some(Said::Text(text))
    }
}

impl Node {
    pub fn say(&mut self, stream: StreamKey, said: &Said) {
        match said {
            Said::Text(text) => self.message(stream, text),
            Said::Binary(bytes) => {
                self.engine
                    .receive(self.now, media::Source::StreamBinary(stream), bytes);
                self.drain();
            }
        }
    }
}
