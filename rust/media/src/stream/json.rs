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

/// One JSON object being appended, field by field, without allocating.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    has_fields: bool,
}

impl<'a> Object<'a> {
    /// An object without fields.
    pub fn new(out: &'a mut Vec<u8>) -> Object<'a> {
        out.push(b'{');
        Object {
            out,
            has_fields: false,
        }
    }

    fn name(&mut self, name: &str) {
        if std::mem::replace(&mut self.has_fields, true) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A field of JSON as it is.
    pub fn raw(mut self, name: &str, json: &str) -> Object<'a> {
        self.name(name);
        self.out.extend_from_slice(json.as_bytes());
        self
    }

    /// A number.
    pub fn number(mut self, name: &str, number: u64) -> Object<'a> {
        self.name(name);
        write_number(number, self.out);
        self
    }

    /// A number that may be below zero.
    pub fn signed(mut self, name: &str, number: i64) -> Object<'a> {
        self.name(name);
        if number < 0 {
            self.out.push(b'-');
        }
        write_number(number.unsigned_abs(), self.out);
        self
    }

    /// A number; nothing when there is none.
    pub fn number_if(self, name: &str, number: Option<u64>) -> Object<'a> {
        match number {
            Some(number) => self.number(name, number),
            None => self,
        }
    }

    /// True or false.
    pub fn truth(self, name: &str, truth: bool) -> Object<'a> {
        self.raw(name, if truth { "true" } else { "false" })
    }

    /// A text of any kind.
    pub fn text(mut self, name: &str, text: &str) -> Object<'a> {
        self.name(name);
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(&mut *self.out, text);
        self
    }

    /// A list of numbers.
    pub fn numbers(mut self, name: &str, numbers: impl IntoIterator<Item = u64>) -> Object<'a> {
        self.name(name);
        self.list(numbers, write_number);
        self
    }

    /// A list of what `write` appends of each.
    pub fn all<T>(
        mut self,
        name: &str,
        list: impl IntoIterator<Item = T>,
        write: impl FnMut(T, &mut Vec<u8>),
    ) -> Object<'a> {
        self.name(name);
        self.list(list, write);
        self
    }

    fn list<T>(&mut self, list: impl IntoIterator<Item = T>, mut write: impl FnMut(T, &mut Vec<u8>)) {
        self.out.push(b'[');
        for (at, item) in list.into_iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            write(item, self.out);
        }
        self.out.push(b']');
    }

    /// An object of its own.
    pub fn object(mut self, name: &str, write: impl FnOnce(Object<'_>)) -> Object<'a> {
        self.name(name);
        write(Object::new(self.out));
        self
    }

    /// The members of another object, given as JSON.
    pub fn members(mut self, object: &str) -> Object<'a> {
        let inner = object
            .trim()
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let inner = inner.map(str::trim).filter(|inner| !inner.is_empty());
        if let Some(inner) = inner {
            if std::mem::replace(&mut self.has_fields, true) {
                self.out.push(b',');
            }
            self.out.extend_from_slice(inner.as_bytes());
        }
        self
    }

    /// Base64 of these bytes.
    pub fn base64(mut self, name: &str, bytes: &[u8]) -> Object<'a> {
        self.name(name);
        self.out.push(b'"');
        super::base64::append(bytes, self.out);
        self.out.push(b'"');
        self
    }

    /// The object is complete.
    pub fn end(self) {
        self.out.push(b'}');
    }
}
