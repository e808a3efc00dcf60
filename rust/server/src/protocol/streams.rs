//! `stream.open`: where the application is, what it speaks, and what it is told of the call.

use std::fmt;
use std::net::SocketAddr;

use media::{Dialect, Encoding, StreamParams};
use runtime::command::{Action, Command, Dial, Refusal};
use runtime::websocket::upgrade::Upgrade;
use runtime::websocket::url::WebSocketUrl;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::bad;
use super::name::Name;

/// Addresses that one stream may be dialled at.
const MAX_ADDRESSES: usize = 8;

/// The fields of `stream.open`.
#[derive(Deserialize)]
pub struct StreamOpen {
    session: Name,
    stream: Name,
    url: String,
    #[serde(default)]
    addresses: Option<Vec<SocketAddr>>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    subprotocols: Vec<String>,
    #[serde(default)]
    secrets: Vec<String>,
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

impl fmt::Debug for StreamOpen {
    /// Neither where it goes nor with which credentials.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("StreamOpen");
        shown
            .field("session", &self.session)
            .field("stream", &self.stream);
        shown.finish_non_exhaustive()
    }
}

impl StreamOpen {
    /// What this asks of its session.
    pub fn into_command(self) -> Result<Command, Refusal> {
        let url = WebSocketUrl::parse(&self.url).map_err(|error| bad(error.0))?;
        if let Some(addresses) = &self.addresses {
            check_addresses(addresses)?;
        }
        let upgrade = Upgrade::new(self.headers, self.subprotocols)
            .and_then(|upgrade| upgrade.signed(&self.secrets, &self.stream_id))
            .map_err(|error| bad(error.0))?;
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
                dial: Dial {
                    url,
                    addresses: self.addresses,
                    upgrade,
                },
                params,
            },
        })
    }
}

fn check_addresses(addresses: &[SocketAddr]) -> Result<(), Refusal> {
    if addresses.is_empty() || addresses.len() > MAX_ADDRESSES {
        return Err(bad("addresses are 1 to 8, or null"));
    }
    if addresses.iter().any(|address| address.port() == 0) {
        return Err(bad("an address has no port"));
    }
    Ok(())
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

    #[test]
    fn headers_are_checked_and_no_credential_is_repeated() {
        let open = |fields: serde_json::Value| {
            let mut whole = json!({"id": 1, "cmd": "stream.open", "session": "s", "stream": "t", "url": "ws://app/",
                "dialect": "teler", "chunk_ms": 20, "rate_hz": 8000,
                "account_id": "a", "call_app_id": "b", "call_id": "c", "stream_id": "d"});
            let fields = fields.as_object().unwrap().clone();
            whole.as_object_mut().unwrap().extend(fields);
            command(&whole)
        };
        let right = open(
            json!({"headers": [["Authorization", "Basic hidden"]], "subprotocols": ["media"],
            "secrets": ["hidden", "older"]}),
        );
        assert!(!format!("{:?}", right.unwrap()).contains("hidden"));
        for bad in [
            json!({"headers": [["Authorization", "hidden\r\nX: y"]]}),
            json!({"headers": [["Host", "hidden"]]}),
            json!({"headers": [["X"]]}),
            json!({"subprotocols": ["a b"]}),
            json!({"secrets": [""]}),
            json!({"secrets": ["a", "b", "c"]}),
        ] {
            let refusal = open(bad.clone()).unwrap_err();
            assert_eq!(refusal.code, "bad_request", "{bad}");
            assert!(!refusal.message.contains("hidden"), "{refusal:?}");
        }
    }

    #[test]
    fn addresses_are_few_and_have_a_port() {
        let open = |addresses: serde_json::Value| {
            command(
                &json!({"id": 1, "cmd": "stream.open", "session": "s", "stream": "t", "url": "ws://app/",
                "addresses": addresses, "dialect": "teler", "chunk_ms": 20, "rate_hz": 8000,
                "account_id": "a", "call_app_id": "b", "call_id": "c", "stream_id": "d"}),
            )
        };
        for good in [json!(null), json!(["192.0.2.1:80", "[2001:db8::1]:443"])] {
            assert!(open(good.clone()).is_ok(), "{good}");
        }
        let many = json!(vec!["192.0.2.1:80"; 9]);
        for bad in [
            json!([]),
            json!(["192.0.2.1:0"]),
            json!(["app:80"]),
            json!(["192.0.2.1"]),
            many,
        ] {
            assert_eq!(open(bad.clone()).unwrap_err().code, "bad_request", "{bad}");
        }
    }
}
