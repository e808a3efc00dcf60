//! Applications that come by themselves to go on with their streams, and everybody else who comes to that door.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::Server;
use crate::support::server::PATIENCE;

/// A server with a door, and where it is.
fn with_door(arguments: &[&str]) -> (Server, SocketAddr) {
    let all = [&["--stream-listen", "127.0.0.1:0"], arguments].concat();
    let mut server = Server::start(&all);
    let address = door(&mut server)["address"].as_str().unwrap().parse().unwrap();
    (server, address)
}

/// What the door has seen.
fn door(server: &mut Server) -> Value {
    server.control.ok("stats", serde_json::json!({}))["listener"].clone()
}

fn come(address: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp
}

/// A request with this further line.
fn request(line: &str) -> String {
    format!(
        "GET /streams HTTP/1.1\r\nHost: door\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: longline.v1\r\n{line}\r\n"
    )
}

/// What is answered before the connection ends.
fn answer(address: SocketAddr, text: &[u8]) -> String {
    let mut tcp = come(address);
    tcp.write_all(text).unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is an end like any other.
    let _ = tcp.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn who_has_no_token_of_a_stream_is_turned_away() {
    let (mut server, address) = with_door(&[]);
    let unknown = format!("Authorization: Bearer {}\r\n", "0".repeat(56));
    for line in [
        "",
        "Authorization: Basic YTpi\r\n",
        "Authorization: Bearer x\r\n",
        &unknown,
    ] {
        let answer = answer(address, request(line).as_bytes());
        assert!(answer.starts_with("HTTP/1.1 401 "), "{line}: {answer}");
    }
    for (text, status) in [
        ("GET / HTTP/1.1\r\nHost: door\r\n\r\n".to_string(), "400"),
        (request("").replace("13", "12"), "426"),
        (format!("GET / HTTP/1.1\r\nX: {}\r\n", "a".repeat(9_000)), "431"),
        ("SSH-2.0-OpenSSH\r\n".to_string(), "400"),
    ] {
        let answer = answer(address, text.as_bytes());
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{text}: {answer}"
        );
    }
    let seen = door(&mut server);
    assert_eq!(
        (&seen["refused"], &seen["handed_on"]),
        (&8.into(), &0.into()),
        "{seen}"
    );
}

#[test]
fn who_says_nothing_does_not_stay_and_nobody_fills_the_door() {
    let (mut server, address) = with_door(&[]);
    let begun = Instant::now();
    let mut silent: Vec<TcpStream> = (0..40).map(|_| come(address)).collect();
    // Of one address so many may be here; what comes after them is closed at once.
    let mut late = silent.split_off(32);
    for tcp in &mut late {
        assert!(matches!(tcp.read(&mut [0; 16]), Ok(0) | Err(_)));
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    for (position, tcp) in silent.iter_mut().enumerate() {
        // One letter now and then is no request either.
        let _ = tcp.write_all(b"G");
        assert!(matches!(tcp.read(&mut [0; 16]), Ok(0) | Err(_)), "{position}");
    }
    assert!(begun.elapsed() > Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(door(&mut server)["dropped"], 40);
    let answer = answer(address, request("").as_bytes());
    assert!(
        answer.starts_with("HTTP/1.1 401 "),
        "there is room again: {answer}"
    );
}

#[test]
fn without_the_option_there_is_no_door() {
    let mut server = Server::start(&[]);
    assert_eq!(door(&mut server), Value::Null);
}
