//! The URL of a WebSocket (RFC 6455 §3): `ws://` or `wss://`, taken apart and checked.
//!
//! What is sent in the request line and the `Host` field is what the caller wrote; nothing is normalised, and nothing
//! that could end a line gets through. Left out: user information (refused) and internationalised names (punycode
//! is the caller's business).

use std::fmt;

/// The longest URL accepted.
pub const MAX_URL_BYTES: usize = 2083;

/// A checked `ws` or `wss` URL.
#[derive(Clone, PartialEq, Eq)]
pub struct WebSocketUrl {
    /// `wss`: TLS first.
    pub is_secure: bool,
    /// The host name or address, without brackets.
    pub host: String,
    /// The port, the scheme's own when none was written.
    pub port: u16,
    /// The `Host` field: with brackets, and with a port when it is not the scheme's own.
    pub authority: String,
    /// Path and query, at least `/`.
    pub target: String,
}

impl fmt::Debug for WebSocketUrl {
    /// Scheme and authority only: path and query may carry a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}://{}/…",
            if self.is_secure { "wss" } else { "ws" },
            self.authority
        )
    }
}

/// What is wrong with a URL, in words; never the URL itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidUrl(pub &'static str);

impl WebSocketUrl {
    /// Parse and check.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        if text.len() > MAX_URL_BYTES {
            return Err(InvalidUrl("the URL is longer than 2083 bytes"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidUrl("the URL has a character that must be percent-encoded"));
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or(InvalidUrl("the URL has no scheme"))?;
        let (is_secure, own_port) = match scheme.to_ascii_lowercase().as_str() {
            "ws" => (false, 80),
            "wss" => (true, 443),
            _ => return Err(InvalidUrl("the scheme is neither ws nor wss")),
        };
        if rest.contains('#') {
            return Err(InvalidUrl("a WebSocket URL has no fragment"));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (host, port) = parse_authority(authority, own_port)?;
        let shown = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_string()
        };
        Ok(Self {
            is_secure,
            host: host.to_string(),
            port,
            authority: if port == own_port {
                shown
            } else {
                format!("{shown}:{port}")
            },
            target: if target.starts_with('/') {
                target.to_string()
            } else {
                format!("/{target}")
            },
        })
    }
}

fn parse_authority(authority: &str, own_port: u16) -> Result<(&str, u16), InvalidUrl> {
    if authority.contains('@') {
        return Err(InvalidUrl("user information in a URL is not supported"));
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest
                .split_once(']')
                .ok_or(InvalidUrl("a bracket is not closed"))?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(InvalidUrl("the brackets do not hold an IPv6 address"));
            }
            match after {
                "" => (host, None),
                after => (
                    host,
                    Some(
                        after
                            .strip_prefix(':')
                            .ok_or(InvalidUrl("text after a bracket"))?,
                    ),
                ),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err(InvalidUrl("the URL has no host"));
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    if !host.bytes().all(is_name) {
        return Err(InvalidUrl("the host has a character that no host name has"));
    }
    match port {
        None | Some("") => Ok((host, own_port)),
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port != 0 => Ok((host, port)),
            _ => Err(InvalidUrl("the port is not a number from 1 to 65535")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, is_secure, host, port, authority, target) in [
            ("ws://app", false, "app", 80, "app", "/"),
            ("WS://app:80/a", false, "app", 80, "app", "/a"),
            (
                "wss://app.example/a/b?c=d&e=%20",
                true,
                "app.example",
                443,
                "app.example",
                "/a/b?c=d&e=%20",
            ),
            ("wss://app:8443?x", true, "app", 8443, "app:8443", "/?x"),
            (
                "ws://127.0.0.1:9000/",
                false,
                "127.0.0.1",
                9000,
                "127.0.0.1:9000",
                "/",
            ),
            ("ws://[::1]:9000/x", false, "::1", 9000, "[::1]:9000", "/x"),
            (
                "wss://[2001:db8::1]/x",
                true,
                "2001:db8::1",
                443,
                "[2001:db8::1]",
                "/x",
            ),
            ("ws://app:/x", false, "app", 80, "app", "/x"),
        ] {
            let url = WebSocketUrl::parse(text).unwrap();
            let found = (url.is_secure, &*url.host, url.port, &*url.authority, &*url.target);
            assert_eq!(found, (is_secure, host, port, authority, target), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, word) in [
            ("app/x", "scheme"),
            ("http://app/x", "neither"),
            ("ws://", "no host"),
            ("ws:///x", "no host"),
            ("ws://u:p@app/", "user information"),
            ("ws://app/#f", "fragment"),
            ("ws://app:0/", "port"),
            ("ws://app:65536/", "port"),
            ("ws://app:x/", "port"),
            ("ws://[::1/", "bracket"),
            ("ws://[app]/", "IPv6"),
            ("ws://[::1]x/", "bracket"),
            ("ws://app/a b", "percent-encoded"),
            ("ws://app/\r\nX: y", "percent-encoded"),
            ("ws://bücher/", "percent-encoded"),
            ("ws://a\\b/", "host name"),
        ] {
            let InvalidUrl(why) = WebSocketUrl::parse(text).expect_err(text);
            assert!(why.contains(word), "{text}: {why}");
        }
        let long = format!("ws://app/{}", "x".repeat(MAX_URL_BYTES));
        assert!(WebSocketUrl::parse(&long).is_err());
    }

    #[test]
    fn a_url_in_a_log_shows_no_path() {
        let url = WebSocketUrl::parse("wss://app/secret?token=1").unwrap();
        assert_eq!(format!("{url:?}"), "wss://app/…");
    }
}
