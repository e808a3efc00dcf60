//! The message by which an application of each dialect says a frame.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use media::Form;

/// Of the dialect of this name; these are the samples as they stand in the message. `None`: a dialect that is not known here.
pub fn said(dialect: &str, number: u32, samples: &[u8]) -> Option<(Form, Vec<u8>)> {
    let base64 = || STANDARD.encode(samples);
    let text = match dialect {
        "teler" => format!(r#"{{"type":"audio","audio_b64":"{}","chunk_id":7}}"#, base64()),
        "twilio" => format!(
            r#"{{"event":"media","streamSid":"ms_1","media":{{"payload":"{}"}}}}"#,
            base64()
        ),
        "telnyx" => format!(r#"{{"event":"media","media":{{"payload":"{}"}}}}"#, base64()),
        "plivo" => format!(
            r#"{{"event":"playAudio","media":{{"contentType":"audio/x-mulaw","sampleRate":8000,"payload":"{}"}}}}"#,
            base64()
        ),
        "exotel" => format!(
            r#"{{"event":"media","stream_sid":"ms_1","media":{{"payload":"{}"}}}}"#,
            base64()
        ),
        "longline" => {
            let mut header = [0; 16];
            header[0] = 0x10;
            header[4..8].copy_from_slice(&number.to_le_bytes());
            return Some((Form::Binary, [&header, samples].concat()));
        }
        "vonage" | "jambonz" | "asterisk" => return Some((Form::Binary, samples.to_vec())),
        _ => return None,
    };
    Some((Form::Text, text.into_bytes()))
}
