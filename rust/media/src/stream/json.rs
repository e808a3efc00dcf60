//! What the JSON dialects share: text written without allocating, and values of whatever type an application sends.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::event::RefusedMessage;

/// Deepest nesting of a message. Rule: a deeper one is malformed.
pub const MAX_DEPTH: usize = 16;

/// A JSON string of this text.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The field `metadata` of a `start`, with the comma after it; nothing when there is none.
pub(super) fn metadata_field(metadata: &str) -> String {
    if metadata.is_empty() {
        return String::new();
    }
    format!(r#""metadata":{metadata},"#)
}

/// Whether this is what [`metadata_field`] may write.
pub(super) fn is_object_or_nothing(metadata: &str) -> bool {
    metadata.is_empty() || (metadata.starts_with('{') && serde_json::from_str::<IgnoredAny>(metadata).is_ok())
}

/// Appends a number in decimal.
pub(super) fn write_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

/// The text of a message that may be parsed: UTF-8 and not too deep.
pub(super) fn text(message: &[u8]) -> Result<&str, RefusedMessage> {
    let text = std::str::from_utf8(message).map_err(|_| RefusedMessage::MalformedJson)?;
    if too_deep(message) {
        return Err(RefusedMessage::MalformedJson);
    }
    Ok(text)
}

/// The fields of a JSON object. They could be read from an array too, by position; only an object is a message.
pub(super) fn object<'a, Fields: Deserialize<'a>>(text: &'a str) -> Option<Fields> {
    text.trim_start()
        .starts_with('{')
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

/// The text of a JSON string; `None` for any other value.
pub(super) fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(raw).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// A whole number, which may stand in a string.
pub(super) fn number(raw: &str) -> Option<u32> {
    match string(raw) {
        Some(text) => text.trim().parse().ok(),
        None => raw.parse().ok(),
    }
}

/// Counts brackets; only a message with many of them is looked at closely.
fn too_deep(text: &[u8]) -> bool {
    if opening_brackets(text) <= MAX_DEPTH {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// How many `{` and `[` there are, in strings too: counted in bytes, which the compiler does many at a time.
fn opening_brackets(text: &[u8]) -> usize {
    // The two differ in one bit.
    let is_bracket = |byte: &u8| u8::from(byte | 0x20 == b'{');
    text.chunks(255)
        .map(|part| usize::from(part.iter().map(is_bracket).sum::<u8>()))
        .sum()
}
