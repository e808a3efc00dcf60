//! What a handshake carries beside what RFC 6455 asks for: header fields, subprotocols, and a signature that is made anew
//! for each request.
//!
//! All of it is checked before it is used: nothing here can end a line or take the place of a field of the handshake.

use std::fmt;
use std::fmt::Write as _;

use ring::hmac;

/// Header fields of one request.
pub const MAX_HEADERS: usize = 32;
/// All header fields together, names and values.
pub const MAX_HEADER_BYTES: usize = 16 << 10;
/// Subprotocols that may be offered.
pub const MAX_SUBPROTOCOLS: usize = 8;
/// The longest name of a subprotocol.
const MAX_SUBPROTOCOL_BYTES: usize = 64;
/// Secrets that sign: the present one and, after a rotation, the one before.
pub const MAX_SECRETS: usize = 2;
/// The longest secret.
const MAX_SECRET_BYTES: usize = 1024;

/// What is wrong with an upgrade, in words; never a value of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidUpgrade(pub &'static str);

/// The additions to a handshake, checked.
#[derive(Clone, Default)]
pub struct Upgrade {
    headers: Vec<(String, String)>,
    subprotocols: Vec<String>,
    signature: Option<Signature>,
}

impl fmt::Debug for Upgrade {
    /// Names only: values may be credentials.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.headers.iter().map(|(name, _)| name);
        formatter.debug_list().entries(names).finish()
    }
}

/// Who signs a handshake (longline.v1 §9), and for which stream.
#[derive(Clone)]
struct Signature {
    keys: Vec<hmac::Key>,
    stream_id: String,
}

impl Upgrade {
    /// These header fields and subprotocols, in this order.
    pub fn new(headers: Vec<(String, String)>, subprotocols: Vec<String>) -> Result<Self, InvalidUpgrade> {
        check_headers(&headers)?;
        check_subprotocols(&subprotocols)?;
        Ok(Self {
            headers,
            subprotocols,
            signature: None,
        })
    }

    /// Sign each request for this stream, once under each secret.
    pub fn signed(mut self, secrets: &[String], stream_id: &str) -> Result<Self, InvalidUpgrade> {
        if secrets.is_empty() {
            return Ok(self);
        }
        if secrets.len() > MAX_SECRETS {
            return Err(InvalidUpgrade("more than 2 secrets"));
        }
        if secrets
            .iter()
            .any(|secret| secret.is_empty() || secret.len() > MAX_SECRET_BYTES)
        {
            return Err(InvalidUpgrade("a secret has 1 to 1024 bytes"));
        }
        if !is_value(stream_id) || stream_id.is_empty() {
            return Err(InvalidUpgrade("the stream's id does not fit in a header field"));
        }
        let key = |secret: &String| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        self.signature = Some(Signature {
            keys: secrets.iter().map(key).collect(),
            stream_id: stream_id.to_string(),
        });
        Ok(self)
    }

    /// What may be chosen by the answer.
    pub fn subprotocols(&self) -> &[String] {
        &self.subprotocols
    }

    /// The application is told another name than ours.
    pub fn has_user_agent(&self) -> bool {
        self.headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("User-Agent"))
    }

    /// Append the lines of a request for `target` at this time.
    pub fn write(&self, target: &str, unix_seconds: u64, request: &mut String) {
        if !self.subprotocols.is_empty() {
            let offered = self.subprotocols.join(", ");
            let _ = write!(request, "Sec-WebSocket-Protocol: {offered}\r\n");
        }
        for (name, value) in &self.headers {
            let _ = write!(request, "{name}: {value}\r\n");
        }
        if let Some(signature) = &self.signature {
            signature.write(target, unix_seconds, request);
        }
    }
}

impl Signature {
    fn write(&self, target: &str, unix_seconds: u64, request: &mut String) {
        let signed = format!("{unix_seconds}.{}.{target}", self.stream_id);
        let values: Vec<String> = self
            .keys
            .iter()
            .map(|key| format!("v1={}", hex(hmac::sign(key, signed.as_bytes()).as_ref())))
            .collect();
        let _ = write!(
            request,
            "Longline-Timestamp: {unix_seconds}\r\nLongline-Stream-Id: {}\r\nLongline-Signature: {}\r\n",
            self.stream_id,
            values.join(", ")
        );
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn check_headers(headers: &[(String, String)]) -> Result<(), InvalidUpgrade> {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(InvalidUpgrade(
            "more than 32 header fields, or more than 16 KiB of them",
        ));
    }
    for (name, value) in headers {
        if !is_token(name) {
            return Err(InvalidUpgrade(
                "the name of a header field is not a token of RFC 9110",
            ));
        }
        if is_own(name) {
            return Err(InvalidUpgrade("a header field belongs to the handshake itself"));
        }
        if !is_value(value) {
            return Err(InvalidUpgrade(
                "the value of a header field has a character that is not visible ASCII",
            ));
        }
    }
    Ok(())
}

fn check_subprotocols(names: &[String]) -> Result<(), InvalidUpgrade> {
    if names.len() > MAX_SUBPROTOCOLS {
        return Err(InvalidUpgrade("more than 8 subprotocols"));
    }
    for (position, name) in names.iter().enumerate() {
        if !is_token(name) || name.len() > MAX_SUBPROTOCOL_BYTES {
            return Err(InvalidUpgrade(
                "a subprotocol is not a token of at most 64 characters",
            ));
        }
        // RFC 6455 §4.1: "the elements that comprise this value MUST … be unique strings".
        if names[..position].contains(name) {
            return Err(InvalidUpgrade("a subprotocol is named twice"));
        }
    }
    Ok(())
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// RFC 9110 §5.5 without obs-text; no space at either end, which a receiver would take away.
fn is_value(text: &str) -> bool {
    let is_visible = |byte: u8| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic();
    text.bytes().all(is_visible) && text.trim() == text
}

/// What the handshake writes itself, and what would make its request another one.
fn is_own(name: &str) -> bool {
    const OWN: [&str; 9] = [
        "host",
        "upgrade",
        "connection",
        "content-length",
        "transfer-encoding",
        "te",
        "trailer",
        "expect",
        "keep-alive",
    ];
    const PREFIXES: [&str; 2] = ["sec-websocket-", "longline-"];
    let name = name.to_ascii_lowercase();
    OWN.contains(&&*name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.into(), value.into())]
    }

    fn written(upgrade: &Upgrade) -> String {
        let mut request = String::new();
        upgrade.write("/talk?x=1", 1_700_000_000, &mut request);
        request
    }

    #[test]
    fn headers_and_subprotocols_are_written_as_they_are() {
        let upgrade = Upgrade::new(
            header("X-Key", "a, b=\"c\""),
            vec!["audio.jambonz.org".into(), "audio.drachtio.org".into()],
        );
        assert_eq!(
            written(&upgrade.unwrap()),
            "Sec-WebSocket-Protocol: audio.jambonz.org, audio.drachtio.org\r\nX-Key: a, b=\"c\"\r\n"
        );
        assert_eq!(written(&Upgrade::default()), "");
    }

    /// The value is that of `printf '1700000000.ms_1./talk?x=1' | openssl dgst -sha256 -hmac whsec_abc`.
    #[test]
    fn a_signature_is_over_time_stream_and_target() {
        let secrets = ["whsec_abc".to_string(), "old".to_string()];
        let upgrade = Upgrade::default().signed(&secrets[..1], "ms_1").unwrap();
        let one = "6b1740a0c40050379afa398e7286c4ece26934322a3b927a82741b7a1a0107a5";
        let lines = written(&upgrade);
        assert!(
            lines.starts_with("Longline-Timestamp: 1700000000\r\nLongline-Stream-Id: ms_1\r\n"),
            "{lines}"
        );
        assert!(
            lines.ends_with(&format!("Longline-Signature: v1={one}\r\n")),
            "{lines}"
        );

        let both = written(&Upgrade::default().signed(&secrets, "ms_1").unwrap());
        assert!(
            both.contains(&format!("Longline-Signature: v1={one}, v1=")),
            "{both}"
        );
    }

    #[test]
    fn what_could_change_the_request_is_refused() {
        for (name, value) in [
            ("X Y", "a"),
            ("", "a"),
            ("X:", "a"),
            ("X", "a\r\nHost: b"),
            ("X", "a\n"),
            ("X", "\0"),
            ("X", "ä"),
            ("X", " a"),
            ("Host", "a"),
            ("HOST", "a"),
            ("Upgrade", "h2c"),
            ("Content-Length", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Sec-WebSocket-Key", "a"),
            ("sec-websocket-protocol", "a"),
            ("Longline-Signature", "v1=0"),
        ] {
            assert!(
                Upgrade::new(header(name, value), Vec::new()).is_err(),
                "{name}: {value:?}"
            );
        }
        for names in [&["a b"][..], &["a,b"], &[""], &["a", "a"], &["a"; 9]] {
            let names = names.iter().map(ToString::to_string).collect();
            assert!(Upgrade::new(Vec::new(), names).is_err());
        }
        assert!(Upgrade::new(header("X", &"a".repeat(MAX_HEADER_BYTES)), Vec::new()).is_err());
        assert!(Upgrade::default().signed(&[String::new()], "ms_1").is_err());
        assert!(Upgrade::default().signed(&["a".into()], "ms\r\n").is_err());
    }

    #[test]
    fn a_log_shows_no_value() {
        let upgrade = Upgrade::new(header("Authorization", "Bearer secret"), Vec::new()).unwrap();
        assert_eq!(format!("{upgrade:?}"), "[\"Authorization\"]");
    }
}
