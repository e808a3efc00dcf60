//! `stream.open`: where the application is, what it speaks, and what it is told of the call.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use media::stream::comfort::Comfort;
use media::stream::dialect;
use media::stream::uplink::MAX_RING_MS;
use media::{Dialect, Direction, Encoding, Format, StreamParams, StreamStart, Together, tracks};
use runtime::command::{Action, Command, Dial, Refusal, ResumeWish, Way};
use runtime::websocket::upgrade::Upgrade;
use runtime::websocket::url::{MAX_URL_BYTES, WebSocketUrl};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::bad;
use super::name::Name;

/// Addresses that one stream may be dialled at.
const MAX_ADDRESSES: usize = 8;
/// URLs of one stream.
const MAX_WAYS: usize = 8;
/// The longest time without a connection.
const MAX_WINDOW_MS: u32 = 3_600_000;
/// How much of what is heard is kept, unless it is said; and if the stream is not resumed.
const DEFAULT_RING_MS: u32 = 10_000;
const SHORT_RING_MS: u32 = 2_000;

/// The fields of `stream.open`.
#[derive(Deserialize)]
pub struct StreamOpen {
    session: Name,
    stream: Name,
    url: String,
    #[serde(default)]
    addresses: Option<Vec<SocketAddr>>,
    #[serde(default)]
    alternatives: Vec<WayFields>,
    #[serde(default)]
    resume: Option<ResumeFields>,
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
    input_encoding: Option<String>,
    #[serde(default)]
    input_rate_hz: Option<u32>,
    #[serde(default)]
    direction: Option<String>,
    #[serde(default)]
    from_number: String,
    #[serde(default)]
    to_number: String,
    #[serde(default)]
    call_direction: Option<String>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    #[serde(default)]
    ids: BTreeMap<String, String>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    #[serde(default = "all_parties")]
    tracks: Vec<u8>,
    #[serde(default)]
    together: TogetherName,
    #[serde(default)]
    speak_to: u8,
}

/// What is heard when nothing is said.
fn all_parties() -> Vec<u8> {
    vec![tracks::ALL]
}

/// How tracks come together.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TogetherName {
    #[default]
    Apart,
    Stereo,
    Mixed,
}

impl From<TogetherName> for Together {
    fn from(name: TogetherName) -> Together {
        match name {
            TogetherName::Apart => Together::Apart,
            TogetherName::Stereo => Together::Stereo,
            TogetherName::Mixed => Together::Mixed,
        }
    }
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
        let first = WayFields {
            url: self.url,
            addresses: self.addresses,
        };
        let ways = ways(std::iter::once(first).chain(self.alternatives))?;
        let upgrade = Upgrade::new(self.headers, self.subprotocols)
            .and_then(|upgrade| upgrade.signed(&self.secrets, &self.stream_id))
            .map_err(|error| bad(error.0))?;
        let dialect = Dialect::named(&self.dialect).ok_or_else(|| bad("there is no such dialect"))?;
        let resume = resume(self.resume, dialect)?;
        let encoding = match &self.encoding {
            Some(name) => parse_encoding(name)?,
            None => dialect::entry(dialect).output[0].encoding,
        };
        let input_encoding = self.input_encoding.as_deref().map(parse_encoding).transpose()?;
        let input = (input_encoding.is_some() || self.input_rate_hz.is_some()).then(|| Format {
            encoding: input_encoding.unwrap_or(encoding),
            rate_hz: self.input_rate_hz.unwrap_or(self.rate_hz),
        });
        let params = StreamParams {
            dialect,
            chunk_ms: self.chunk_ms,
            encoding,
            rate_hz: self.rate_hz,
            input,
            direction: parse_direction(self.direction.as_deref())?,
            tracks: self.tracks,
            together: self.together.into(),
            speak_to: self.speak_to,
            account_id: self.account_id,
            call_app_id: self.call_app_id,
            call_id: self.call_id,
            stream_id: self.stream_id,
            start: StreamStart {
                from: self.from_number,
                to: self.to_number,
                is_inbound: self.call_direction.as_deref() == Some("inbound"),
                parameters: self.parameters.into_iter().collect(),
                ids: self.ids.into_iter().collect(),
            },
            resume: None,
            metadata: self
                .metadata
                .map_or_else(String::new, |object| Value::Object(object).to_string()),
            ..StreamParams::default()
        };
        Ok(Command {
            session: self.session.into_string(),
            action: Action::OpenStream {
                stream: self.stream.into_string(),
                dial: Dial {
                    ways,
                    upgrade,
                    resume,
                },
                params,
            },
        })
    }
}

/// Where an application is.
#[derive(Deserialize)]
pub struct WayFields {
    url: String,
    #[serde(default)]
    addresses: Option<Vec<SocketAddr>>,
}

impl fmt::Debug for WayFields {
    /// Not where: path and query may carry a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WayFields")
    }
}

/// How a lost connection is made again.
#[derive(Deserialize)]
struct ResumeFields {
    window_ms: u32,
    #[serde(default)]
    ring_ms: Option<u32>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    comfort: Option<String>,
}

/// All of these, checked.
pub fn ways(fields: impl Iterator<Item = WayFields>) -> Result<Vec<Way>, Refusal> {
    let ways: Vec<Way> = fields.map(WayFields::into_way).collect::<Result<_, _>>()?;
    if ways.len() > MAX_WAYS {
        return Err(bad("a stream has at most 8 URLs"));
    }
    Ok(ways)
}

impl WayFields {
    fn into_way(self) -> Result<Way, Refusal> {
        let url = WebSocketUrl::parse(&self.url).map_err(|error| bad(error.0))?;
        if let Some(addresses) = &self.addresses {
            check_addresses(addresses)?;
        }
        Ok(Way {
            url,
            addresses: self.addresses,
        })
    }
}

/// A dialect whose messages have numbers has a ring in any case, for a connection that is slow.
fn resume(fields: Option<ResumeFields>, dialect: Dialect) -> Result<Option<ResumeWish>, Refusal> {
    let Some(fields) = fields.filter(|fields| fields.window_ms > 0) else {
        return Ok(dialect.greets().then_some(ResumeWish {
            window_ms: 0,
            ring_ms: SHORT_RING_MS,
            url: None,
            comfort: Comfort::Silence,
        }));
    };
    let ring_ms = fields.ring_ms.unwrap_or(DEFAULT_RING_MS);
    if fields.window_ms > MAX_WINDOW_MS || ring_ms > MAX_RING_MS {
        return Err(bad(
            "resume: window_ms is at most 3600000 and ring_ms at most 60000",
        ));
    }
    if fields.url.as_ref().is_some_and(|url| url.len() > MAX_URL_BYTES) {
        return Err(bad("resume: url is longer than 2083 bytes"));
    }
    let comfort = fields.comfort.as_deref().unwrap_or(Comfort::Silence.as_str());
    let comfort = Comfort::named(comfort).ok_or_else(|| bad("resume: there is no such comfort"))?;
    Ok(Some(ResumeWish {
        window_ms: fields.window_ms,
        ring_ms,
        url: fields.url,
        comfort,
    }))
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

fn parse_encoding(name: &str) -> Result<Encoding, Refusal> {
    Encoding::named(name).ok_or_else(|| bad("there is no such encoding"))
}

fn parse_direction(name: Option<&str>) -> Result<Direction, Refusal> {
    match name {
        None | Some("both") => Ok(Direction::Both),
        Some("listen") => Ok(Direction::Listen),
        Some(_) => Err(bad("direction is neither both nor listen")),
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
