//! Names that control chooses for sessions, legs, streams, playbacks and recordings.

use serde::Deserialize;

/// The longest name that control may choose.
const MAX_NAME_CHARS: usize = 64;
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
