//! `leg.connect`: what the far end is, how its payload types are encoded, and under which keys.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use media::{Bounds, Codec, LegRemote, OpusSettings, PayloadTypes, SrtpParams, Suite, TelephoneEvent};
use runtime::command::{Action, Command, Family, Refusal};
use serde::Deserialize;
use serde_json::Value;

use super::bad;
use super::name::Name;

/// Payload types have seven bits (RFC 3550 §5.1).
const MAX_PAYLOAD_TYPE: u8 = 127;

/// The fields of `leg.connect` that say what the far end is.
#[derive(Debug, Deserialize)]
pub struct LegConnect {
    session: Name,
    leg: Name,
    rtp: SocketAddr,
    rtcp: Option<SocketAddr>,
    payload_types: Vec<PayloadType>,
    telephone_event: Option<Events>,
    direction: Direction,
    #[serde(default = "default_ptime_ms")]
    ptime_ms: u32,
    #[serde(default)]
    opus: Opus,
    #[serde(default)]
    jitter: Jitter,
    #[serde(default)]
    rtcp_mux: bool,
    #[serde(default)]
    also_from: Option<IpAddr>,
    #[serde(default)]
    srtp: Option<Keys>,
    #[serde(default)]
    quality_interval_ms: u64,
}

/// The address family of a leg.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FamilyName {
    Ipv4,
    Ipv6,
}

impl From<FamilyName> for Family {
    fn from(name: FamilyName) -> Self {
        match name {
            FamilyName::Ipv4 => Self::Ipv4,
            FamilyName::Ipv6 => Self::Ipv6,
        }
    }
}

/// Our side of the media, as SDP says it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    /// Both.
    SendRecv,
    /// We send only.
    SendOnly,
    /// We receive only.
    RecvOnly,
    /// Neither: hold.
    Inactive,
}

/// What one payload type means.
#[derive(Debug, Deserialize)]
struct PayloadType {
    payload_type: u8,
    codec: String,
    /// For L16.
    rate_hz: Option<u32>,
}

/// Telephone-events as they were negotiated.
#[derive(Debug, Deserialize)]
struct Events {
    payload_type: u8,
    clock_hz: u32,
}

/// How Opus is encoded for the far end; what is left out has its default.
#[derive(Debug, Default, Deserialize)]
struct Opus {
    bitrate_bps: Option<u32>,
    fec: Option<bool>,
    dtx: Option<bool>,
}

/// Bounds of the jitter buffer's delay.
#[derive(Debug, Default, Deserialize)]
struct Jitter {
    min_ms: Option<u32>,
    max_ms: Option<u32>,
}

impl Jitter {
    /// One that is given alone moves the default of the other out of its way.
    fn check(self) -> Result<Bounds, Refusal> {
        let default = Bounds::default();
        let min_ms = self
            .min_ms
            .unwrap_or_else(|| default.min_ms.min(self.max_ms.unwrap_or(u32::MAX)));
        let max_ms = self.max_ms.unwrap_or_else(|| default.max_ms.max(min_ms));
        Bounds::new(min_ms, max_ms).ok_or_else(|| bad("jitter.min_ms is above max_ms, or that above 500"))
    }
}

const fn default_ptime_ms() -> u32 {
    media::FRAME_MS
}

/// The keys of SRTP. What is wrong with them is said without repeating them, and they are not printed.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
struct Keys(SrtpParams);

impl TryFrom<Value> for Keys {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let text = |field: &str| value.get(field).and_then(Value::as_str);
        let suite = text("suite").and_then(Suite::from_name);
        let suite = suite.ok_or("srtp.suite is not the name of a suite")?;
        let key = |field: &str| BASE64.decode(text(field)?).ok();
        let (send, receive) = (key("send_key"), key("receive_key"));
        let keys = send.zip(receive).ok_or("a key of srtp is not base64")?;
        let params = SrtpParams::new(suite, &keys.0, &keys.1);
        Ok(Self(
            params.ok_or("a key of srtp is not of the length of its suite")?,
        ))
    }
}

impl LegConnect {
    /// What this asks of its session.
    pub fn into_command(self) -> Result<Command, Refusal> {
        let (send, receive) = self.direction.send_and_receive();
        let remote = LegRemote {
            rtp: self.rtp,
            rtcp: self.rtcp,
            audio: parse_payload_types(&self.payload_types)?,
            telephone_event: self.telephone_event.map(Events::check).transpose()?,
            ptime_ms: self.ptime_ms,
            opus: self.opus.check()?,
            jitter: self.jitter.check()?,
            send,
            receive,
            rtcp_mux: self.rtcp_mux,
            also_from: self.also_from,
            srtp: self.srtp.map(|keys| keys.0),
        };
        Ok(Command {
            session: self.session.into_string(),
            action: Action::ConnectLeg {
                leg: self.leg.into_string(),
                remote,
                quality_interval_ms: self.quality_interval_ms,
            },
        })
    }
}

impl Direction {
    fn send_and_receive(self) -> (bool, bool) {
        match self {
            Self::SendRecv => (true, true),
            Self::SendOnly => (true, false),
            Self::RecvOnly => (false, true),
            Self::Inactive => (false, false),
        }
    }
}

impl Events {
    fn check(self) -> Result<TelephoneEvent, Refusal> {
        Ok(TelephoneEvent {
            payload_type: check_payload_type(self.payload_type)?,
            clock_hz: self.clock_hz,
        })
    }
}

fn parse_payload_types(types: &[PayloadType]) -> Result<PayloadTypes, Refusal> {
    let mut entries = Vec::with_capacity(types.len());
    for entry in types {
        entries.push((check_payload_type(entry.payload_type)?, parse_codec(entry)?));
    }
    PayloadTypes::new(&entries).ok_or_else(|| bad("payload_types has 1 to 8 entries"))
}

impl Opus {
    fn check(self) -> Result<OpusSettings, Refusal> {
        let default = OpusSettings::default();
        let settings = OpusSettings {
            bitrate_bps: self.bitrate_bps.unwrap_or(default.bitrate_bps),
            fec: self.fec.unwrap_or(default.fec),
            dtx: self.dtx.unwrap_or(default.dtx),
        };
        match settings.bitrate_bps {
            6_000..=510_000 => Ok(settings),
            _ => Err(bad("bitrate_bps of opus is 6000 to 510000")),
        }
    }
}

fn parse_codec(entry: &PayloadType) -> Result<Codec, Refusal> {
    match (&*entry.codec, entry.rate_hz) {
        ("PCMU", None) => Ok(Codec::Pcmu),
        ("PCMA", None) => Ok(Codec::Pcma),
        ("G722", None) => Ok(Codec::G722),
        ("opus", None) => Ok(Codec::Opus),
        ("L16", Some(rate_hz @ (8_000 | 16_000 | 24_000 | 48_000))) => Ok(Codec::L16(rate_hz)),
        ("L16", _) => Err(bad("the codec L16 has a rate_hz of 8000, 16000, 24000 or 48000")),
        ("PCMU" | "PCMA" | "G722" | "opus", Some(_)) => Err(bad("only the codec L16 has a rate_hz")),
        _ => Err(bad("codec is none of PCMU, PCMA, G722, opus and L16")),
    }
}

fn check_payload_type(payload_type: u8) -> Result<u8, Refusal> {
    match payload_type {
        0..=MAX_PAYLOAD_TYPE => Ok(payload_type),
        _ => Err(bad("a payload type is at most 127")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::command;
    use serde_json::json;

    fn connect() -> Value {
        json!({"id": 1, "cmd": "leg.connect", "session": "s", "leg": "l", "rtp": "192.0.2.1:4000", "rtcp": null,
               "payload_types": [{"payload_type": 8, "codec": "PCMA"}],
               "telephone_event": {"payload_type": 101, "clock_hz": 8000}, "direction": "sendonly", "rtcp_mux": true})
    }

    #[test]
    fn a_connect_is_read_field_by_field() {
        let Ok(Some(Command {
            session,
            action: Action::ConnectLeg { leg, remote, .. },
        })) = command(&connect())
        else {
            panic!("not a connect")
        };
        assert_eq!((&*session, &*leg), ("s", "l"));
        let expected = LegRemote {
            rtp: "192.0.2.1:4000".parse().unwrap(),
            rtcp: None,
            audio: PayloadTypes::new(&[(8, Codec::Pcma)]).unwrap(),
            telephone_event: Some(TelephoneEvent {
                payload_type: 101,
                clock_hz: 8_000,
            }),
            ptime_ms: 20,
            opus: OpusSettings::default(),
            jitter: Bounds::default(),
            send: true,
            receive: false,
            rtcp_mux: true,
            also_from: None,
            srtp: None,
        };
        assert_eq!(remote, expected);
    }

    #[test]
    fn a_wrong_field_is_a_bad_request_that_says_which() {
        for (field, wrong, word) in [
            ("session", json!(""), "1 to 64"),
            ("leg", json!("l".repeat(65)), "1 to 64"),
            ("rtp", json!("nowhere"), "socket address"),
            (
                "payload_types",
                json!([{"payload_type": 18, "codec": "G729"}]),
                "codec",
            ),
            (
                "payload_types",
                json!([{"payload_type": 128, "codec": "PCMU"}]),
                "payload type",
            ),
            (
                "payload_types",
                json!([{"payload_type": 96, "codec": "L16"}]),
                "rate_hz",
            ),
            ("payload_types", json!([]), "1 to 8"),
            (
                "telephone_event",
                json!({"payload_type": 200, "clock_hz": 8000}),
                "payload type",
            ),
            ("direction", json!("both"), "both"),
            ("cmd", json!("leg.fly"), "leg.fly"),
        ] {
            let mut value = connect();
            value[field] = wrong;
            let refusal = command(&value).unwrap_err();
            assert_eq!(refusal.code, "bad_request");
            assert!(refusal.message.contains(word), "{field}: {}", refusal.message);
        }
    }

    #[test]
    fn keys_are_read_and_neither_printed_nor_repeated_in_an_error() {
        let (send, receive) = (BASE64.encode([7; 30]), BASE64.encode([9; 30]));
        let mut value = connect();
        value["srtp"] = json!({"suite": "AES_CM_128_HMAC_SHA1_80", "send_key": send, "receive_key": receive});
        let read = command(&value).unwrap();
        let printed = format!("{read:?}");
        assert!(printed.contains("redacted") && !printed.contains("7, 7") && !printed.contains("9, 9"));
        let Some(Command {
            action: Action::ConnectLeg { remote, .. },
            ..
        }) = read
        else {
            panic!("not a connect")
        };
        let params = remote.srtp.unwrap();
        assert_eq!(params.send.key_and_salt(), [7; 30]);
        assert_eq!(params.receive.key_and_salt(), [9; 30]);
        for wrong in [
            json!("SECRETSECRET"),
            json!({"suite": "SECRETSECRET", "send_key": "", "receive_key": ""}),
            json!({"suite": "AEAD_AES_256_GCM", "send_key": send, "receive_key": receive}),
            json!({"suite": "AES_CM_128_HMAC_SHA1_80", "send_key": "SECRET!", "receive_key": receive}),
            json!({"suite": "AES_CM_128_HMAC_SHA1_80", "send_key": send}),
        ] {
            value["srtp"] = wrong;
            let refusal = command(&value).unwrap_err();
            assert_eq!(refusal.code, "bad_request");
            assert!(refusal.message.contains("srtp"), "{}", refusal.message);
            assert!(!refusal.message.contains("SECRET") && !refusal.message.contains(&send));
        }
    }
}
