//! The control protocol's commands: JSON in, checked values out. Specified in `docs/reference/control-protocol.md`.

mod legs;
mod name;
mod recordings;
mod streams;

use std::path::PathBuf;

use media::dtmf::SendDigits;
use runtime::command::{Action, Command, Label, Mute, RecordingFile, Refusal};
use serde::Deserialize;
use serde_json::Value;

use crate::signals::VadName;
use legs::{FamilyName, LegConnect};
use name::Name;
use recordings::{Encryption, FormatName, LayoutName, Rate};
use streams::{StreamOpen, WayFields};

/// The version of the protocol.
pub const VERSION: u32 = 2;

/// A command as it is on the wire, without its number.
#[derive(Debug, Deserialize)]
#[serde(tag = "cmd")]
pub enum Request {
    #[serde(rename = "hello")]
    Hello { version: u32 },
    #[serde(rename = "leg.open")]
    LegOpen {
        session: Name,
        leg: Name,
        family: Option<FamilyName>,
        #[serde(default)]
        leg_id: String,
        #[serde(default)]
        role: String,
    },
    #[serde(rename = "leg.connect")]
    LegConnect(LegConnect),
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
    StreamOpen(Box<StreamOpen>),
    #[serde(rename = "stream.urls")]
    StreamUrls {
        session: Name,
        stream: Name,
        urls: Vec<WayFields>,
    },
    #[serde(rename = "stream.answer")]
    StreamAnswer {
        session: Name,
        stream: Name,
        request_id: Option<String>,
        ok: bool,
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
        #[serde(default)]
        fields: serde_json::Map<String, serde_json::Value>,
    },
    #[serde(rename = "stream.close")]
    StreamClose { session: Name, stream: Name },
    #[serde(rename = "playback.start")]
    PlaybackStart {
        session: Name,
        playback: Name,
        path: PathBuf,
        repeat: u32,
        #[serde(default)]
        leg: Option<Name>,
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
            Self::LegConnect(connect) => return connect.into_command().map(Some),
            Self::StreamOpen(open) => return open.into_command().map(Some),
            Self::LegOpen {
                session,
                leg,
                family,
                leg_id,
                role,
            } => (
                session,
                Action::OpenLeg {
                    leg: leg.into_string(),
                    family: family.map(Into::into),
                    label: Label { leg_id, role },
                },
            ),
            Self::LegMute {
                session,
                leg,
                input,
                output,
            } => {
                let mute = Mute { input, output };
                (
                    session,
                    Action::MuteLeg {
                        leg: leg.into_string(),
                        mute,
                    },
                )
            }
            Self::LegClose { session, leg } => (
                session,
                Action::CloseLeg {
                    leg: leg.into_string(),
                },
            ),
            Self::LegSendDtmf {
                session,
                leg,
                digits,
                tone_ms,
                gap_ms,
            } => {
                let digits = SendDigits::new(&digits, tone_ms, gap_ms).map_err(bad)?;
                (
                    session,
                    Action::SendDigits {
                        leg: leg.into_string(),
                        digits,
                    },
                )
            }
            Self::LegDetect {
                session,
                leg,
                inband_dtmf,
                vad,
            } => (
                session,
                Action::Detect {
                    leg: leg.into_string(),
                    inband_dtmf,
                    vad: vad.into(),
                },
            ),
            Self::SessionClose { session } => (session, Action::CloseSession),
            Self::SessionStats { session } => (session, Action::SessionStats),
            Self::StreamUrls {
                session,
                stream,
                urls,
            } => (
                session,
                Action::SetWays {
                    stream: stream.into_string(),
                    ways: streams::ways(urls.into_iter())?,
                },
            ),
            Self::StreamAnswer {
                session,
                stream,
                request_id,
                ok,
                code,
                message,
                fields,
            } => (
                session,
                Action::AnswerStream {
                    stream: stream.into_string(),
                    request_id: request_id.map(|id| serde_json::Value::from(id).to_string()),
                    error: (!ok).then_some((code, message)),
                    fields: serde_json::Value::from(fields).to_string(),
                },
            ),
            Self::StreamClose { session, stream } => (
                session,
                Action::CloseStream {
                    stream: stream.into_string(),
                },
            ),
            Self::PlaybackStart {
                session,
                playback,
                path,
                repeat,
                leg,
            } => (
                session,
                Action::StartPlayback {
                    playback: playback.into_string(),
                    path,
                    repeat,
                    leg: leg.map(Name::into_string),
                },
            ),
            Self::PlaybackStop { session, playback } => (
                session,
                Action::StopPlayback {
                    playback: playback.into_string(),
                },
            ),
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
                        recording: recording.into_string(),
                        file,
                    },
                )
            }
            Self::RecordingStop { session, recording } => (
                session,
                Action::StopRecording {
                    recording: recording.into_string(),
                },
            ),
        };
        Ok(Some(Command {
            session: session.into_string(),
            action,
        }))
    }
}

/// What a command on the wire comes to.
#[cfg(test)]
fn command(value: &Value) -> Result<Option<Command>, Refusal> {
    parse(value.to_string().as_bytes()).request?.into_command()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn digits_are_checked_and_not_repeated_in_the_error() {
        let send = |digits: &str, tone_ms: u32| {
            command(
                &json!({"id": 1, "cmd": "leg.send_dtmf", "session": "s", "leg": "l", "digits": digits,
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
}
