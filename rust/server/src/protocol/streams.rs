//! `stream.open`: where the application is, what it speaks, and what it is told of the call.

use media::{Dialect, Encoding, StreamParams};
use runtime::command::{Action, Command, Refusal};
use runtime::websocket::url::WebSocketUrl;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::bad;
use super::name::Name;

/// The fields of `stream.open`.
#[derive(Debug, Deserialize)]
pub struct StreamOpen {
    session: Name,
    stream: Name,
    url: String,
    dialect: String,
    #[serde(default)]
    encoding: Option<String>,
    chunk_ms: u32,
    rate_hz: u32,
    account_id: String,
    call_app_id: String,
    call_id: String,
    stream_id: String,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
}

impl StreamOpen {
    /// What this asks of its session.
    pub fn into_command(self) -> Result<Command, Refusal> {
        let url = WebSocketUrl::parse(&self.url).map_err(|error| bad(error.0))?;
        let dialect = parse_dialect(&self.dialect)?;
        let params = StreamParams {
            dialect,
            encoding: parse_encoding(dialect, self.encoding.as_deref())?,
            chunk_ms: self.chunk_ms,
            rate_hz: self.rate_hz,
            account_id: self.account_id,
            call_app_id: self.call_app_id,
            call_id: self.call_id,
            stream_id: self.stream_id,
            metadata: self
                .metadata
                .map_or_else(String::new, |object| Value::Object(object).to_string()),
        };
        Ok(Command {
            session: self.session.into_string(),
            action: Action::OpenStream {
                stream: self.stream.into_string(),
                url,
                params,
            },
        })
    }
}

fn parse_dialect(name: &str) -> Result<Dialect, Refusal> {
    match name {
        "teler" => Ok(Dialect::Teler),
        "twilio" => Ok(Dialect::Twilio),
        "binary" => Ok(Dialect::Binary),
        _ => Err(bad("dialect is none of teler, twilio and binary")),
    }
}

/// The encoding, or the one that the dialect has when none is named.
fn parse_encoding(dialect: Dialect, name: Option<&str>) -> Result<Encoding, Refusal> {
    match (name, dialect) {
        (Some("pcm_s16le"), _) | (None, Dialect::Teler | Dialect::Binary) => Ok(Encoding::PcmS16le),
        (Some("mulaw"), _) | (None, Dialect::Twilio) => Ok(Encoding::MuLaw),
        (Some(_), _) => Err(bad("encoding is neither pcm_s16le nor mulaw")),
    }
}

#[cfg(test)]
mod tests {
    use crate::protocol::command;
    use serde_json::json;

    #[test]
    fn a_url_is_checked_and_not_repeated_in_the_error() {
        let refusal = command(
            &json!({"id": 1, "cmd": "stream.open", "session": "s", "stream": "t",
            "url": "http://user:secret@app/", "dialect": "teler", "chunk_ms": 20, "rate_hz": 8000,
            "account_id": "a", "call_app_id": "b", "call_id": "c", "stream_id": "d"}),
        )
        .unwrap_err();
        assert_eq!(refusal.code, "bad_request");
        assert!(!refusal.message.contains("secret"));
    }
}
