//! The control protocol's commands: JSON in, checked values out. Specified in `docs/reference/control-protocol.md`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use media::dtmf::SendDigits;
use media::{
    Bounds, Codec, Dialect, Encoding, LegRemote, OpusSettings, PayloadTypes, SrtpParams, StreamParams, Suite,
    TelephoneEvent,
};
use runtime::command::{Action, Command, Mute, RecordingFile, Refusal};
use runtime::websocket::url::WebSocketUrl;
use serde::Deserialize;
use serde_json::Value;

use crate::recording::{Encryption, FormatName, LayoutName, Rate};
use crate::signals::VadName;

/// The version of the protocol.
pub const VERSION: u32 = 1;
/// The longest name that control may choose.
const MAX_NAME_CHARS: usize = 64;
/// Payload types have seven bits (RFC 3550 §5.1).
const MAX_PAYLOAD_TYPE: u8 = 127;

/// A name chosen by control.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.chars().count() {
            1..=MAX_NAME_CHARS => Ok(Self(text)),
            _ => Err(format!("an id has 1 to {MAX_NAME_CHARS} characters")),
        }
    }
}

/// Our side of the media, as SDP says it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
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
pub struct PayloadType {
    payload_type: u8,
    codec: String,
    /// For L16.
    rate_hz: Option<u32>,
}

/// Telephone-events as they were negotiated.
#[derive(Debug, Deserialize)]
pub struct Events {
    payload_type: u8,
    clock_hz: u32,
}

/// How Opus is encoded for the far end; what is left out has its default.
#[derive(Debug, Default, Deserialize)]
pub struct Opus {
    bitrate_bps: Option<u32>,
    fec: Option<bool>,
    dtx: Option<bool>,
}

/// Bounds of the jitter buffer's delay.
#[derive(Debug, Default, Deserialize)]
pub struct Jitter {
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
pub struct Keys(SrtpParams);

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

/// A command as it is on the wire, without its number.
#[derive(Debug, Deserialize)]
#[serde(tag = "cmd")]
pub enum Request {
    #[serde(rename = "hello")]
    Hello { version: u32 },
    #[serde(rename = "leg.open")]
    LegOpen { session: Name, leg: Name },
    #[serde(rename = "leg.connect")]
    LegConnect {
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
    },
    #[serde(rename = "leg.send_dtmf")]
    LegSendDtmf {
        session: Name,
        leg: Name,
        digits: String,
        tone_ms: Option<u32>,
        gap_ms: Option<u32>,
    },
    #[serde(rename = "leg.detect")]
    LegDetect {
        session: Name,
        leg: Name,
        #[serde(default)]
        inband_dtmf: bool,
        #[serde(default)]
        vad: VadName,
    },
    #[serde(rename = "leg.mute")]
    LegMute {
        session: Name,
        leg: Name,
        #[serde(rename = "in")]
        input: bool,
        #[serde(rename = "out")]
        output: bool,
    },
    #[serde(rename = "leg.close")]
    LegClose { session: Name, leg: Name },
    #[serde(rename = "session.close")]
    SessionClose { session: Name },
    #[serde(rename = "session.stats")]
    SessionStats { session: Name },
    #[serde(rename = "stream.open")]
    StreamOpen {
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
    },
    #[serde(rename = "stream.close")]
    StreamClose { session: Name, stream: Name },
    #[serde(rename = "playback.start")]
    PlaybackStart {
        session: Name,
        playback: Name,
        path: PathBuf,
        repeat: u32,
    },
    #[serde(rename = "playback.stop")]
    PlaybackStop { session: Name, playback: Name },
    #[serde(rename = "recording.start")]
    RecordingStart {
        session: Name,
        recording: Name,
        path: PathBuf,
        #[serde(default)]
        format: FormatName,
        #[serde(default)]
        layout: LayoutName,
        #[serde(default)]
        rate_hz: Option<Rate>,
        #[serde(default)]
        encryption: Option<Encryption>,
    },
    #[serde(rename = "recording.stop")]
    RecordingStop { session: Name, recording: Name },
    #[serde(rename = "stats")]
    Stats {},
    #[serde(rename = "shutdown")]
    Shutdown {},
    #[serde(rename = "debug.panic")]
    DebugPanic {
        worker: Option<usize>,
        session: Option<Name>,
    },
}

/// A command and its number.
#[derive(Debug)]
pub struct Numbered {
    /// What its answer refers to; null when it had none that can be read.
    pub id: Value,
    /// The command, or what is wrong with it.
    pub request: Result<Request, Refusal>,
}

fn bad(why: impl Into<String>) -> Refusal {
    Refusal::new("bad_request", why)
}

/// Read the JSON of one frame.
pub fn parse(body: &[u8]) -> Numbered {
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => {
            return Numbered {
                id: Value::Null,
                request: Err(bad(format!("not JSON: {error}"))),
            };
        }
    };
    let id = match value.get("id") {
        Some(id) if id.is_u64() => id.clone(),
        _ => {
            return Numbered {
                id: Value::Null,
                request: Err(bad("a command is an object with an integer id")),
            };
        }
    };
    let request = serde_json::from_value(value).map_err(|error| bad(error.to_string()));
    Numbered { id, request }
}

impl Request {
    /// What this asks of a session; `None` when it asks something of the server itself.
    pub fn into_command(self) -> Result<Option<Command>, Refusal> {
        let (session, action) = match self {
            Self::Hello { .. } | Self::Stats {} | Self::Shutdown {} | Self::DebugPanic { .. } => {
                return Ok(None);
            }
            Self::LegOpen { session, leg } => (session, Action::OpenLeg { leg: leg.0 }),
            Self::LegConnect {
                session,
                leg,
                rtp,
                rtcp,
                payload_types,
                telephone_event,
                direction,
                ptime_ms,
                opus,
                jitter,
                rtcp_mux,
                also_from,
                srtp,
                quality_interval_ms,
            } => {
                let (send, receive) = direction.send_and_receive();
                let remote = LegRemote {
                    rtp,
                    rtcp,
                    audio: parse_payload_types(&payload_types)?,
                    telephone_event: telephone_event.map(Events::check).transpose()?,
                    ptime_ms,
                    opus: opus.check()?,
                    jitter: jitter.check()?,
                    send,
                    receive,
                    rtcp_mux,
                    also_from,
                    srtp: srtp.map(|keys| keys.0),
                };
                (
                    session,
                    Action::ConnectLeg {
                        leg: leg.0,
                        remote,
                        quality_interval_ms,
                    },
                )
            }
            Self::LegMute {
                session,
                leg,
                input,
                output,
            } => {
                let mute = Mute { input, output };
                (session, Action::MuteLeg { leg: leg.0, mute })
            }
            Self::LegClose { session, leg } => (session, Action::CloseLeg { leg: leg.0 }),
            Self::LegSendDtmf {
                session,
                leg,
                digits,
                tone_ms,
                gap_ms,
            } => {
                let digits = SendDigits::new(&digits, tone_ms, gap_ms).map_err(bad)?;
                (session, Action::SendDigits { leg: leg.0, digits })
            }
            Self::LegDetect {
                session,
                leg,
                inband_dtmf,
                vad,
            } => (
                session,
                Action::Detect {
                    leg: leg.0,
                    inband_dtmf,
                    vad: vad.into(),
                },
            ),
            Self::SessionClose { session } => (session, Action::CloseSession),
            Self::SessionStats { session } => (session, Action::SessionStats),
            Self::StreamOpen {
                session,
                stream,
                url,
                dialect,
                encoding,
                chunk_ms,
                rate_hz,
                account_id,
                call_app_id,
                call_id,
                stream_id,
            } => {
                let url = WebSocketUrl::parse(&url).map_err(|error| bad(error.0))?;
                let dialect = parse_dialect(&dialect)?;
                let params = StreamParams {
                    dialect,
                    encoding: parse_encoding(dialect, encoding.as_deref())?,
                    chunk_ms,
                    rate_hz,
                    account_id,
                    call_app_id,
                    call_id,
                    stream_id,
                };
                (
                    session,
                    Action::OpenStream {
                        stream: stream.0,
                        url,
                        params,
                    },
                )
            }
            Self::StreamClose { session, stream } => (session, Action::CloseStream { stream: stream.0 }),
            Self::PlaybackStart {
                session,
                playback,
                path,
                repeat,
            } => (
                session,
                Action::StartPlayback {
                    playback: playback.0,
                    path,
                    repeat,
                },
            ),
            Self::PlaybackStop { session, playback } => {
                (session, Action::StopPlayback { playback: playback.0 })
            }
            Self::RecordingStart {
                session,
                recording,
                path,
                format,
                layout,
                rate_hz,
                encryption,
            } => {
                let file = RecordingFile {
                    path,
                    format: format.into(),
                    layout: layout.into(),
                    rate_hz: rate_hz.map(|rate| rate.0),
                    data_key: encryption.map(|encryption| encryption.0),
                };
                (
                    session,
                    Action::StartRecording {
                        recording: recording.0,
                        file,
                    },
                )
            }
            Self::RecordingStop { session, recording } => (
                session,
                Action::StopRecording {
                    recording: recording.0,
                },
            ),
        };
        Ok(Some(Command {
            session: session.0,
            action,
        }))
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

fn check_payload_type(payload_type: u8) -> Result<u8, Refusal> {
    match payload_type {
        0..=MAX_PAYLOAD_TYPE => Ok(payload_type),
        _ => Err(bad("a payload type is at most 127")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn command(value: Value) -> Result<Option<Command>, Refusal> {
        parse(value.to_string().as_bytes()).request?.into_command()
    }

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
        })) = command(connect())
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
            let refusal = command(value).unwrap_err();
            assert_eq!(refusal.code, "bad_request");
            assert!(refusal.message.contains(word), "{field}: {}", refusal.message);
        }
    }

    #[test]
    fn keys_are_read_and_neither_printed_nor_repeated_in_an_error() {
        let (send, receive) = (BASE64.encode([7; 30]), BASE64.encode([9; 30]));
        let mut value = connect();
        value["srtp"] = json!({"suite": "AES_CM_128_HMAC_SHA1_80", "send_key": send, "receive_key": receive});
        let read = command(value.clone()).unwrap();
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
            let refusal = command(value.clone()).unwrap_err();
            assert_eq!(refusal.code, "bad_request");
            assert!(refusal.message.contains("srtp"), "{}", refusal.message);
            assert!(!refusal.message.contains("SECRET") && !refusal.message.contains(&send));
        }
    }

    #[test]
    fn digits_are_checked_and_not_repeated_in_the_error() {
        let send = |digits: &str, tone_ms: u32| {
            command(
                json!({"id": 1, "cmd": "leg.send_dtmf", "session": "s", "leg": "l", "digits": digits,
                "tone_ms": tone_ms}),
            )
        };
        assert!(matches!(
            send("12w#", 40),
            Ok(Some(Command {
                action: Action::SendDigits { .. },
                ..
            }))
        ));
        for (digits, tone_ms) in [("4711x", 100), ("", 100), ("4711", 39)] {
            let refusal = send(digits, tone_ms).unwrap_err();
            assert_eq!(refusal.code, "bad_request");
            assert!(!refusal.message.contains("4711"), "{}", refusal.message);
        }
    }

    #[test]
    fn a_command_without_a_number_is_answered_to_null() {
        for body in [
            &b"nonsense"[..],
            b"[]",
            b"{}",
            br#"{"id": "one", "cmd": "stats"}"#,
            b"\xff",
        ] {
            let numbered = parse(body);
            assert_eq!(numbered.id, Value::Null);
            assert_eq!(numbered.request.unwrap_err().code, "bad_request");
        }
    }

    #[test]
    fn a_url_is_checked_and_not_repeated_in_the_error() {
        let refusal = command(
            json!({"id": 1, "cmd": "stream.open", "session": "s", "stream": "t",
            "url": "http://user:secret@app/", "dialect": "teler", "chunk_ms": 20, "rate_hz": 8000,
            "account_id": "a", "call_app_id": "b", "call_id": "c", "stream_id": "d"}),
        )
        .unwrap_err();
        assert_eq!(refusal.code, "bad_request");
        assert!(!refusal.message.contains("secret"));
    }
}
