//! The opening handshake (RFC 6455 §4): the request of a client, and what a server may answer to it.
//!
//! A redirect is not followed and no authentication is answered: both are reported as the status they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::upgrade::Upgrade;
use super::url::WebSocketUrl;

/// The longest head of an answer.
pub const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// The GUID of §1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why the answer is not the start of a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// Another status than 101: "403 Forbidden".
    Status(String),
    /// A 101, or no HTTP at all, that breaks a rule.
    BadUpgrade(String),
}

fn bad(why: impl Into<String>) -> HandshakeError {
    HandshakeError::BadUpgrade(why.into())
}

/// A client's handshake: the request, and the answer it waits for.
pub struct Handshake {
    key: String,
    offered: Vec<String>,
    head: Vec<u8>,
}

/// An answer that is right.
#[derive(Debug, PartialEq, Eq)]
pub struct Upgraded {
    /// The subprotocol that the server has chosen of those that were offered.
    pub subprotocol: Option<String>,
    /// What came after the head.
    pub rest: Vec<u8>,
}

impl Handshake {
    /// A handshake with a fresh nonce (§4.1: 16 random bytes), and the subprotocols of which one may be chosen.
    pub fn new(nonce: [u8; 16], offered: &[String]) -> Self {
        Self {
            key: STANDARD.encode(nonce),
            offered: offered.to_vec(),
            head: Vec::new(),
        }
    }

    /// The whole request, made at this time.
    pub fn request(&self, url: &WebSocketUrl, upgrade: &Upgrade, unix_seconds: u64) -> Vec<u8> {
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n",
            url.target, url.authority, self.key,
        );
        if !upgrade.has_user_agent() {
            request.push_str(concat!(
                "User-Agent: longline/",
                env!("CARGO_PKG_VERSION"),
                "\r\n"
            ));
        }
        upgrade.write(&url.target, unix_seconds, &mut request);
        request.push_str("\r\n");
        request.into_bytes()
    }

    /// Take what arrived. `Some` when the head is whole and right.
    pub fn receive(&mut self, data: &[u8]) -> Result<Option<Upgraded>, HandshakeError> {
        self.head.extend_from_slice(data);
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&self.head) {
            Ok(httparse::Status::Complete(length)) => {
                let subprotocol = check(&response, &accept_of(&self.key), &self.offered)?;
                let rest = self.head.split_off(length);
                Ok(Some(Upgraded { subprotocol, rest }))
            }
            Ok(httparse::Status::Partial) if self.head.len() <= MAX_HEAD_BYTES => Ok(None),
            Ok(httparse::Status::Partial) => Err(bad("the head of the answer is over 16 KiB")),
            Err(httparse::Error::TooManyHeaders) => Err(bad("the answer has more than 64 header fields")),
            Err(error) => Err(bad(format!("the answer is not HTTP: {error}"))),
        }
    }
}

/// §4.2.2 item 5.4: what a server makes of our key.
pub fn accept_of(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(GUID);
    STANDARD.encode(hash.finalize())
}

/// What the fields of this name say, in turn (RFC 9110 §5.1: names are case-insensitive).
pub(super) fn values<'a>(headers: &[httparse::Header<'a>], name: &str) -> Vec<&'a str> {
    let fields = headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case(name));
    fields
        .map(|header| std::str::from_utf8(header.value).unwrap_or_default().trim())
        .collect()
}

/// Whether the list that this field is has this token, in whatever case.
pub(super) fn has_token(headers: &[httparse::Header<'_>], name: &str, token: &str) -> bool {
    let values = values(headers, name);
    let mut items = values.iter().flat_map(|value| value.split(','));
    items.any(|item| item.trim().eq_ignore_ascii_case(token))
}

/// §4.1, "the client MUST validate the server's response". The subprotocol that was chosen.
fn check(
    response: &httparse::Response<'_, '_>,
    accept: &str,
    offered: &[String],
) -> Result<Option<String>, HandshakeError> {
    let status = response.code.unwrap_or_default();
    if status != 101 {
        return Err(HandshakeError::Status(status_line(
            status,
            response.reason.unwrap_or_default(),
        )));
    }
    let values = |name: &str| values(response.headers, name);
    if !has_token(response.headers, "Upgrade", "websocket") {
        return Err(bad("the answer has no Upgrade: websocket"));
    }
    if !has_token(response.headers, "Connection", "upgrade") {
        return Err(bad("the answer has no Connection: Upgrade"));
    }
    match values("Sec-WebSocket-Accept").as_slice() {
        [value] if *value == accept => {}
        [_] => return Err(bad("Sec-WebSocket-Accept is not the answer to our key")),
        [] => return Err(bad("the answer has no Sec-WebSocket-Accept")),
        _ => return Err(bad("the answer has more than one Sec-WebSocket-Accept")),
    }
    if values("Sec-WebSocket-Extensions")
        .iter()
        .any(|value| !value.is_empty())
    {
        return Err(bad("the answer has an extension that was not offered"));
    }
    // A server need not choose one: the dialects are told apart by what is dialled, not by the answer.
    match values("Sec-WebSocket-Protocol").as_slice() {
        [] => Ok(None),
        [chosen] if offered.iter().any(|name| name == chosen) => Ok(Some((*chosen).to_string())),
        [_] => Err(bad("the answer has a subprotocol that was not offered")),
        _ => Err(bad("the answer has more than one subprotocol")),
    }
}

/// "403 Forbidden", with the server's own phrase when it is printable and short.
fn status_line(status: u16, reason: &str) -> String {
    let reason: String = reason
        .chars()
        .filter(|letter| !letter.is_control())
        .take(100)
        .collect();
    format!("{status} {reason}").trim_end().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nonce of the RFC's example: its key is "dGhlIHNhbXBsZSBub25jZQ==".
    const NONCE: [u8; 16] = *b"the sample nonce";
    const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    const UPGRADE: &str = "Upgrade: websocket\r\n";
    const CONNECTION: &str = "Connection: Upgrade\r\n";

    fn answer(lines: &[&str]) -> Result<Option<Upgraded>, HandshakeError> {
        let text = format!("HTTP/1.1 101 Switching Protocols\r\n{}\r\n", lines.concat());
        Handshake::new(NONCE, &[]).receive(text.as_bytes())
    }

    #[test]
    fn the_request_asks_for_an_upgrade_and_offers_nothing_else() {
        let url = WebSocketUrl::parse("ws://app:8080/talk?call=1").unwrap();
        let request =
            String::from_utf8(Handshake::new(NONCE, &[]).request(&url, &Upgrade::default(), 0)).unwrap();
        assert!(request.starts_with("GET /talk?call=1 HTTP/1.1\r\nHost: app:8080\r\n"));
        assert!(request.contains("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"));
        assert!(request.contains("Sec-WebSocket-Version: 13\r\n"));
        assert!(request.ends_with("\r\n\r\n"));
        assert!(!request.contains("Extensions"));
    }

    #[test]
    fn a_right_answer_is_accepted_split_at_every_byte_and_what_follows_is_kept() {
        let text = format!(
            "HTTP/1.1 101 Whatever\r\nupgrade: WebSocket\r\nCONNECTION: keep-alive, upgrade\r\n{ACCEPT}\r\n\x01\x02"
        );
        for split in 0..text.len() {
            let mut handshake = Handshake::new(NONCE, &[]);
            let mut rest = Vec::new();
            let mut is_done = false;
            for piece in [&text.as_bytes()[..split], &text.as_bytes()[split..]] {
                if is_done {
                    rest.extend_from_slice(piece);
                } else if let Some(after) = handshake.receive(piece).unwrap() {
                    is_done = true;
                    rest.extend(after.rest);
                }
            }
            assert!(is_done);
            assert_eq!(rest, [1, 2]);
        }
    }

    #[test]
    fn every_wrong_answer_is_refused_with_its_reason() {
        for (lines, word) in [
            (&[CONNECTION, ACCEPT][..], "Upgrade: websocket"),
            (&["Upgrade: h2c\r\n", CONNECTION, ACCEPT], "Upgrade: websocket"),
            (&[UPGRADE, ACCEPT], "Connection: Upgrade"),
            (&[UPGRADE, CONNECTION], "no Sec-WebSocket-Accept"),
            (&[UPGRADE, CONNECTION, ACCEPT, ACCEPT], "more than one"),
            (
                &[UPGRADE, CONNECTION, "Sec-WebSocket-Accept: AAAA\r\n"],
                "not the answer",
            ),
            (
                &[
                    UPGRADE,
                    CONNECTION,
                    ACCEPT,
                    "Sec-WebSocket-Extensions: permessage-deflate\r\n",
                ],
                "extension",
            ),
            (
                &[UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: chat\r\n"],
                "subprotocol",
            ),
        ] {
            let Err(HandshakeError::BadUpgrade(why)) = answer(lines) else {
                panic!("accepted {lines:?}")
            };
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn what_is_added_stands_in_the_request_and_may_name_another_user_agent() {
        let url = WebSocketUrl::parse("ws://app/talk").unwrap();
        let upgrade = Upgrade::new(
            vec![("user-agent".into(), "Twilio.TmeWs/1.0".into())],
            vec!["media".into()],
        );
        let request = Handshake::new(NONCE, &[]).request(&url, &upgrade.unwrap(), 0);
        let request = String::from_utf8(request).unwrap();
        assert!(request.ends_with("Sec-WebSocket-Protocol: media\r\nuser-agent: Twilio.TmeWs/1.0\r\n\r\n"));
        assert!(!request.contains("longline"));
    }

    #[test]
    fn a_subprotocol_is_one_of_those_offered_or_none() {
        let offered = ["audio.jambonz.org".to_string(), "audio.drachtio.org".to_string()];
        let choose = |lines: &str| {
            let text = format!("HTTP/1.1 101 OK\r\n{UPGRADE}{CONNECTION}{ACCEPT}{lines}\r\n");
            Handshake::new(NONCE, &offered).receive(text.as_bytes())
        };
        let chosen = choose("sec-websocket-protocol: audio.drachtio.org\r\n")
            .unwrap()
            .unwrap();
        assert_eq!(chosen.subprotocol.as_deref(), Some("audio.drachtio.org"));
        assert_eq!(choose("").unwrap().unwrap().subprotocol, None);
        for wrong in [
            "Sec-WebSocket-Protocol: chat\r\n",
            "Sec-WebSocket-Protocol: audio.jambonz.org, audio.drachtio.org\r\n",
            "Sec-WebSocket-Protocol: audio.jambonz.org\r\nSec-WebSocket-Protocol: audio.jambonz.org\r\n",
        ] {
            assert!(
                matches!(choose(wrong), Err(HandshakeError::BadUpgrade(_))),
                "{wrong}"
            );
        }
    }

    #[test]
    fn another_status_is_told_as_it_is() {
        for (line, expected) in [
            ("HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden"),
            (
                "HTTP/1.1 301 Moved Permanently\r\nLocation: /x\r\n\r\n",
                "301 Moved Permanently",
            ),
            ("HTTP/1.0 200 OK\r\n\r\n", "200 OK"),
            ("HTTP/1.1 500\r\n\r\n", "500"),
        ] {
            let found = Handshake::new(NONCE, &[]).receive(line.as_bytes());
            assert_eq!(found, Err(HandshakeError::Status(expected.into())));
        }
    }

    #[test]
    fn a_head_without_end_or_without_http_is_refused() {
        let mut endless = Handshake::new(NONCE, &[]);
        assert_eq!(endless.receive(b"HTTP/1.1 101 OK\r\nX: "), Ok(None));
        assert!(endless.receive(&vec![b'a'; MAX_HEAD_BYTES]).is_err());

        assert!(
            Handshake::new(NONCE, &[])
                .receive(b"SSH-2.0-OpenSSH\r\n")
                .is_err()
        );

        let many = "X: y\r\n".repeat(MAX_HEADERS + 1);
        let text = format!("HTTP/1.1 101 OK\r\n{many}\r\n");
        assert!(Handshake::new(NONCE, &[]).receive(text.as_bytes()).is_err());
    }
}
