//! The opening handshake as the server sees it (RFC 6455 §4.2): an application that comes by itself to go on with its
//! stream (longline.v1 §6). Its request is read here, and what it is answered is written; whose the stream is, is asked
//! elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::handshake::{accept_of, has_token, values};

/// The longest head of a request.
pub const MAX_REQUEST_BYTES: usize = 8 << 10;
const MAX_HEADERS: usize = 64;
/// What is spoken.
pub const SUBPROTOCOL: &str = "longline.v1";

/// A request that may be accepted.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    key: String,
    /// The application named [`SUBPROTOCOL`], and is told that it is spoken.
    offers: bool,
    /// What proves whose stream it is.
    pub token: String,
    /// What came after the head.
    pub rest: Vec<u8>,
}

/// The status that a request is turned away with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is no handshake.
    BadRequest,
    /// It has no token, or one that is wrong or used.
    Unauthorized,
    /// It wants another version of WebSocket.
    UpgradeRequired,
    /// Its head is too long.
    TooLong,
    /// There is no room for it now.
    Busy,
}

impl Refused {
    /// The whole answer.
    pub const fn answer(self) -> &'static str {
        match self {
            Self::BadRequest => "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            Self::Unauthorized => {
                "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\
                 Connection: close\r\n\r\n"
            }
            Self::UpgradeRequired => {
                "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Content-Length: 0\r\nConnection: close\r\n\r\n"
            }
            Self::TooLong => {
                "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            }
            Self::Busy => {
                "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\
                 Connection: close\r\n\r\n"
            }
        }
    }
}

/// A request that is not whole yet.
#[derive(Default)]
pub struct Reader {
    head: Vec<u8>,
}

impl Reader {
    /// Take what arrived; `Some` when the head is whole.
    pub fn receive(&mut self, data: &[u8]) -> Result<Option<Request>, Refused> {
        self.head.extend_from_slice(data);
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&self.head) {
            Ok(httparse::Status::Complete(length)) if length <= MAX_REQUEST_BYTES => {
                let mut request = read(&request)?;
                request.rest = self.head.split_off(length);
                Ok(Some(request))
            }
            Ok(httparse::Status::Partial) if self.head.len() <= MAX_REQUEST_BYTES => Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => Err(Refused::TooLong),
            Err(_) => Err(Refused::BadRequest),
        }
    }
}

/// §4.2.1.
fn read(request: &httparse::Request<'_, '_>) -> Result<Request, Refused> {
    let values = |name: &str| values(request.headers, name);
    let has_token = |name: &str, token: &str| has_token(request.headers, name, token);
    let one = |name: &str| match values(name).as_slice() {
        [value] => Ok((*value).to_string()),
        _ => Err(Refused::BadRequest),
    };
    let is_upgrade = request.method == Some("GET")
        && request.version == Some(1)
        && has_token("Upgrade", "websocket")
        && has_token("Connection", "upgrade");
    if !is_upgrade || values("Host").len() != 1 {
        return Err(Refused::BadRequest);
    }
    let key = one("Sec-WebSocket-Key")?;
    if STANDARD.decode(&key).map(|key| key.len()) != Ok(16) {
        return Err(Refused::BadRequest);
    }
    if one("Sec-WebSocket-Version")? != "13" {
        return Err(Refused::UpgradeRequired);
    }
    let offered = values("Sec-WebSocket-Protocol");
    let offers = has_token("Sec-WebSocket-Protocol", SUBPROTOCOL);
    if !offered.is_empty() && !offers {
        return Err(Refused::BadRequest);
    }
    let credentials = one("Authorization").map_err(|_| Refused::Unauthorized)?;
    // RFC 9110 §11.1: the name of a scheme is case-insensitive.
    let token = match credentials.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => token.trim().to_string(),
        _ => return Err(Refused::Unauthorized),
    };
    Ok(Request {
        key,
        offers,
        token,
        rest: Vec::new(),
    })
}

impl Request {
    /// The answer that makes it a WebSocket.
    pub fn accept(&self) -> String {
        let subprotocol = if self.offers {
            format!("Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n")
        } else {
            String::new()
        };
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n{subprotocol}\r\n",
            accept_of(&self.key)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOST: &str = "Host: a\r\n";
    const UPGRADE: &str = "Upgrade: websocket\r\n";
    const CONNECTION: &str = "Connection: keep-alive, Upgrade\r\n";
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
    const PROTOCOL: &str = "Sec-WebSocket-Protocol: chat, longline.v1\r\n";
    const TOKEN: &str = "Authorization: bearer abc\r\n";
    const ALL: [&str; 7] = [HOST, UPGRADE, CONNECTION, KEY, VERSION, PROTOCOL, TOKEN];

    fn ask(lines: &[&str]) -> Result<Option<Request>, Refused> {
        let text = format!("GET /streams HTTP/1.1\r\n{}\r\n", lines.concat());
        Reader::default().receive(text.as_bytes())
    }

    #[test]
    fn a_right_request_is_read_split_at_every_byte_and_answered() {
        let text = format!("GET /streams HTTP/1.1\r\n{}\r\n\x01\x02", ALL.concat());
        for split in 0..text.len() {
            let mut reader = Reader::default();
            let first = reader.receive(&text.as_bytes()[..split]).unwrap();
            let request = first.or_else(|| reader.receive(&text.as_bytes()[split..]).unwrap());
            let request = request.unwrap();
            assert_eq!(request.token, "abc");
            assert!([1, 2].starts_with(&request.rest));
            assert!(
                request
                    .accept()
                    .contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")
            );
            assert!(
                request
                    .accept()
                    .ends_with("Sec-WebSocket-Protocol: longline.v1\r\n\r\n")
            );
        }
    }

    #[test]
    fn a_request_without_any_of_its_fields_is_refused() {
        for (position, missing) in ALL.iter().enumerate() {
            let mut lines = ALL.to_vec();
            lines.remove(position);
            let expected = match *missing {
                PROTOCOL => {
                    let request = ask(&lines).unwrap().unwrap();
                    assert!(
                        !request.accept().contains("Sec-WebSocket-Protocol"),
                        "none was offered, none is chosen"
                    );
                    continue;
                }
                TOKEN => Refused::Unauthorized,
                _ => Refused::BadRequest,
            };
            assert_eq!(ask(&lines).err(), Some(expected), "{missing}");
            lines.extend([*missing, missing]);
            if !matches!(*missing, UPGRADE | CONNECTION) {
                assert_eq!(ask(&lines).err(), Some(expected), "twice: {missing}");
            }
        }
    }

    #[test]
    fn what_is_no_handshake_of_ours_is_refused() {
        let with = |line: &'static str, instead: &'static str| {
            let lines: Vec<&str> = ALL
                .iter()
                .map(|one| if *one == line { instead } else { one })
                .collect();
            ask(&lines).err()
        };
        for (line, instead, expected) in [
            (VERSION, "Sec-WebSocket-Version: 8\r\n", Refused::UpgradeRequired),
            (KEY, "Sec-WebSocket-Key: c2hvcnQ=\r\n", Refused::BadRequest),
            (KEY, "Sec-WebSocket-Key: ?\r\n", Refused::BadRequest),
            (PROTOCOL, "Sec-WebSocket-Protocol: chat\r\n", Refused::BadRequest),
            (TOKEN, "Authorization: Basic abc\r\n", Refused::Unauthorized),
            (TOKEN, "Authorization: Bearer\r\n", Refused::Unauthorized),
        ] {
            assert_eq!(with(line, instead), Some(expected), "{instead}");
        }
        for text in ["POST / HTTP/1.1\r\n", "GET / HTTP/1.0\r\n"] {
            let text = format!("{text}{}\r\n", ALL.concat());
            assert_eq!(
                Reader::default().receive(text.as_bytes()).err(),
                Some(Refused::BadRequest)
            );
        }
        for text in [&b"\x16\x03\x01\x02"[..], b"SSH-2.0-x\r\n", b"\0\0\0\0"] {
            assert_eq!(Reader::default().receive(text).err(), Some(Refused::BadRequest));
        }
    }

    #[test]
    fn a_head_has_a_bound() {
        let mut reader = Reader::default();
        assert_eq!(reader.receive(b"GET / HTTP/1.1\r\nX: ").err(), None);
        assert_eq!(
            reader.receive(&vec![b'a'; MAX_REQUEST_BYTES]).err(),
            Some(Refused::TooLong)
        );
        let many = "X: y\r\n".repeat(MAX_HEADERS + 1);
        assert_eq!(ask(&[&many]).err(), Some(Refused::TooLong));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(data in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Reader::default().receive(&data);
            let mut text = b"GET / HTTP/1.1\r\n".to_vec();
            text.extend_from_slice(&data);
            let _ = Reader::default().receive(&text);
        }
    }
}
