//! Why a command was refused.

use std::fmt;

/// A refused command. The session it named, if there is one, is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommandError {
    /// The session is closed, or never was.
    UnknownSession,
    /// The leg is closed, or never was.
    UnknownLeg,
    /// The stream is closed, or never was.
    UnknownStream,
    /// The playback is finished, or never was.
    UnknownPlayback,
    /// The recording is finished, or never was.
    UnknownRecording,
    /// A bound is reached; the string names it.
    LimitReached(&'static str),
    /// A parameter is out of range; the string says which and what is allowed.
    BadParameter(&'static str),
}

impl CommandError {
    /// The code the control protocol gives this error.
    pub const fn code(self) -> &'static str {
        match self {
            CommandError::UnknownSession => "unknown_session",
            CommandError::UnknownLeg => "unknown_leg",
            CommandError::UnknownStream => "unknown_stream",
            CommandError::UnknownPlayback => "unknown_playback",
            CommandError::UnknownRecording => "unknown_recording",
            CommandError::LimitReached(_) => "limit_reached",
            CommandError::BadParameter(_) => "bad_request",
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandError::UnknownSession => f.write_str("no such session"),
            CommandError::UnknownLeg => f.write_str("no such leg"),
            CommandError::UnknownStream => f.write_str("no such stream"),
            CommandError::UnknownPlayback => f.write_str("no such playback"),
            CommandError::UnknownRecording => f.write_str("no such recording"),
            CommandError::LimitReached(what) => write!(f, "limit reached: {what}"),
            CommandError::BadParameter(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for CommandError {}
