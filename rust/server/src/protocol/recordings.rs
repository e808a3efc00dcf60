//! `recording.start`: what the file is made of.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use runtime::command::{DataKey, Format, Layout, MAX_WRAPPED_BYTES};
use serde::Deserialize;
use serde_json::Value;

/// How it is encoded.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FormatName {
    #[default]
    Wav,
    Ogg,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Wav => Self::Wav,
            FormatName::Ogg => Self::Ogg,
        }
    }
}

/// Who is in which channel or file.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayoutName {
    #[default]
    Stereo,
    Mono,
    Parties,
}

impl From<LayoutName> for Layout {
    fn from(name: LayoutName) -> Self {
        match name {
            LayoutName::Stereo => Self::Stereo,
            LayoutName::Mono => Self::Mono,
            LayoutName::Parties => Self::Parties,
        }
    }
}

/// A rate that a recording may have.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u32")]
pub struct Rate(pub u32);

impl TryFrom<u32> for Rate {
    type Error = &'static str;

    fn try_from(rate_hz: u32) -> Result<Self, Self::Error> {
        match media::session::RECORDING_RATES_HZ.contains(&rate_hz) {
            true => Ok(Self(rate_hz)),
            false => Err("rate_hz is not 8000, 16000, 24000 or 48000"),
        }
    }
}

/// The key it is sealed with. What is wrong with it is said without repeating it, and it is not printed.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub struct Encryption(pub DataKey);

impl TryFrom<Value> for Encryption {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let field = |name: &str| BASE64.decode(value.get(name)?.as_str()?).ok();
        let key = field("data_key").and_then(|key| key.try_into().ok());
        let wrapped = field("wrapped_key").filter(|wrapped| (1..=MAX_WRAPPED_BYTES).contains(&wrapped.len()));
        Ok(Self(DataKey {
            key: key.ok_or("encryption.data_key is not 32 bytes in base64")?,
            wrapped: wrapped.ok_or("encryption.wrapped_key is not 1 to 1024 bytes in base64")?,
        }))
    }
}
