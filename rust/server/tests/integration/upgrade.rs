//! What the request of a stream says beside the URL: header fields, subprotocols, and its signature.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::app::accept_of;
use crate::support::server::stream_open;
use crate::support::{App, Phone, Server};

/// Open a stream with these further fields, and answer its request with this further line.
fn upgrade(server: &mut Server, app: &App, stream: &str, fields: &Value, line: &str) -> (String, TcpStream) {
    let mut open = stream_open("call", stream, &app.url());
    for (name, value) in fields.as_object().unwrap() {
        open[name] = value.clone();
    }
    server.control.ok("stream.open", open);
    let mut tcp = app.accept_tcp();
    let mut head = vec![0; 4096];
    let length = tcp.read(&mut head).unwrap();
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{line}\r\n",
        accept_of(&head)
    );
    tcp.write_all(answer.as_bytes()).unwrap();
    (head, tcp)
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn headers_and_subprotocols_are_sent_and_the_chosen_one_is_told() {
    let mut server = Server::start(&[]);
    let app = App::listen();
    let _phone = Phone::call(&mut server.control, "call");
    let fields = json!({"headers": [["Authorization", "Basic YTpi"], ["X-Custom", "1"], ["X-Custom", "2"]],
        "subprotocols": ["audio.jambonz.org", "audio.drachtio.org"]});
    let chosen = "Sec-WebSocket-Protocol: audio.drachtio.org\r\n";
    let (head, _tcp) = upgrade(&mut server, &app, "stream", &fields, chosen);
    assert_eq!(field(&head, "Authorization"), Some("Basic YTpi"));
    assert!(head.contains("X-Custom: 1\r\nX-Custom: 2\r\n"), "{head}");
    assert_eq!(
        field(&head, "Sec-WebSocket-Protocol"),
        Some("audio.jambonz.org, audio.drachtio.org")
    );
    assert_eq!(field(&head, "Longline-Signature"), None);
    let connected = server.control.event("stream.connected");
    assert_eq!(connected["subprotocol"], "audio.drachtio.org");
}

#[test]
fn an_application_that_chooses_no_subprotocol_is_spoken_to_all_the_same() {
    let mut server = Server::start(&[]);
    let app = App::listen();
    let _phone = Phone::call(&mut server.control, "call");
    let (_, _tcp) = upgrade(
        &mut server,
        &app,
        "stream",
        &json!({"subprotocols": ["media"]}),
        "",
    );
    assert_eq!(
        server.control.event("stream.connected")["subprotocol"],
        Value::Null
    );
}

#[test]
fn a_subprotocol_that_was_not_offered_ends_the_stream() {
    let mut server = Server::start(&[]);
    let app = App::listen();
    let _phone = Phone::call(&mut server.control, "call");
    let wrong = "Sec-WebSocket-Protocol: chat\r\n";
    let (_, _tcp) = upgrade(
        &mut server,
        &app,
        "stream",
        &json!({"subprotocols": ["media"]}),
        wrong,
    );
    let closed = server.control.closed("stream");
    assert_eq!(closed["reason"], "bad_upgrade");
    assert!(
        closed["detail"].as_str().unwrap().contains("subprotocol"),
        "{closed}"
    );
}

#[test]
fn a_request_is_signed_at_the_time_at_which_it_is_made() {
    let mut server = Server::start(&[]);
    let app = App::listen();
    let _phone = Phone::call(&mut server.control, "call");
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let fields = json!({"secrets": ["new", "old"], "stream_id": "ms_7"});
    let (head, _tcp) = upgrade(&mut server, &app, "stream", &fields, "");
    let timestamp = field(&head, "Longline-Timestamp").unwrap();
    let age = timestamp.parse::<u64>().unwrap() - before;
    assert!(age < 60, "{timestamp}");
    assert_eq!(field(&head, "Longline-Stream-Id"), Some("ms_7"));
    let signatures: Vec<&str> = field(&head, "Longline-Signature").unwrap().split(", ").collect();
    let is_one = |value: &&str| value.starts_with("v1=") && value.len() == 3 + 64;
    assert!(
        signatures.len() == 2 && signatures.iter().all(is_one),
        "{signatures:?}"
    );
    assert_ne!(signatures[0], signatures[1]);
    assert!(!head.contains("new") && !head.contains("old"));
}
