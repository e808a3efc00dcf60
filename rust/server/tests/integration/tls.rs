//! wss: with an authority made here, and with everything that can be wrong about a certificate.

use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use serde_json::Value;

use crate::support::native::knock_over;
use crate::support::server::stream_open;
use crate::support::{App, Native, Phone, Server};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate as a file.
    fn file(&self, name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("longline-ca-{}-{name}.pem", std::process::id()));
        std::fs::write(&path, self.0.pem()).unwrap();
        path
    }

    /// Certificate and key of a server that is called so, as files.
    fn files(&self, name: &str) -> [PathBuf; 2] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_string()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let file = |kind: &str, text: &str| {
            let path =
                std::env::temp_dir().join(format!("longline-{kind}-{}-{name}.pem", std::process::id()));
            std::fs::write(&path, text).unwrap();
            path
        };
        [
            file("certificate", &certificate.pem()),
            file("key", &key.serialize_pem()),
        ]
    }

    /// The configuration of a client that trusts it.
    fn client(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// The configuration of a server that is called so.
    fn server(&self, name: &str) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_string()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }
}

fn end_of(server: &mut Server, app: App, host: &str) -> Value {
    let _phone = Phone::call(&mut server.control, "call");
    server
        .control
        .open_stream("call", "stream", &format!("wss://{host}:{}/", app.port()));
    let app = app.run(|app| app.try_accept().is_ok());
    let closed = server.control.closed("stream");
    assert!(!app.join().unwrap());
    closed
}

#[test]
fn audio_is_echoed_over_tls_with_an_authority_of_our_own() {
    let authority = Authority::new();
    let file = authority.file("echo");
    let mut server = Server::start(&["--ca-file", file.to_str().unwrap()]);
    let app = App::listen_tls(authority.server("localhost"));
    let mut phone = Phone::call(&mut server.control, "call");
    server
        .control
        .open_stream("call", "stream", &format!("wss://localhost:{}/talk", app.port()));
    app.echo();
    let packets = phone.speak(Duration::from_secs(2), 0x10);
    let audible = packets.iter().filter(|packet| !packet.is_silent()).count();
    assert!(audible > 60, "{audible} of {} are audible", packets.len());
    std::fs::remove_file(file).unwrap();
}

#[test]
fn addresses_that_are_given_are_dialled_and_the_name_is_still_who_must_answer() {
    let authority = Authority::new();
    let file = authority.file("pinned");
    let mut server = Server::start(&["--ca-file", file.to_str().unwrap()]);
    let app = App::listen_tls(authority.server("app.invalid"));
    let port = app.port();
    let _phone = Phone::call(&mut server.control, "call");
    let mut open = |stream: &str, name: &str| {
        let mut fields = stream_open("call", stream, &format!("wss://{name}:{port}/talk"));
        fields["addresses"] = serde_json::json!([format!("127.0.0.1:{port}")]);
        server.control.ok("stream.open", fields);
    };
    // No name server knows the names: were they looked up, the streams would end with dns_failed.
    open("right", "app.invalid");
    let mut socket = app.accept();
    assert_eq!(socket.message().unwrap()["type"], "start");
    open("wrong", "other.invalid");
    assert!(app.try_accept().is_err());
    let closed = server.control.closed("wrong");
    assert_eq!(closed["reason"], "tls_failed", "{closed}");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_certificate_of_an_unknown_authority_is_not_trusted() {
    let app = App::listen_tls(Authority::new().server("localhost"));
    let closed = end_of(&mut Server::start(&[]), app, "localhost");
    assert_eq!(closed["reason"], "tls_failed");
    assert!(
        closed["detail"].as_str().unwrap().contains("not trusted"),
        "{closed}"
    );
}

#[test]
fn a_certificate_for_another_name_is_not_trusted() {
    let authority = Authority::new();
    let file = authority.file("name");
    let mut server = Server::start(&["--ca-file", file.to_str().unwrap()]);
    let closed = end_of(
        &mut server,
        App::listen_tls(authority.server("elsewhere.example")),
        "localhost",
    );
    assert_eq!(closed["reason"], "tls_failed");
    assert!(
        closed["detail"].as_str().unwrap().contains("not trusted"),
        "{closed}"
    );
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_server_without_tls_is_told_as_such() {
    let app = App::listen();
    let mut server = Server::start(&[]);
    let _phone = Phone::call(&mut server.control, "call");
    server
        .control
        .open_stream("call", "stream", &format!("wss://127.0.0.1:{}/", app.port()));
    let mut tcp: TcpStream = app.accept_tcp();
    std::io::Write::write_all(&mut tcp, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    let closed = server.control.closed("stream");
    assert_eq!(closed["reason"], "tls_failed");
    assert!(
        closed["detail"].as_str().unwrap().contains("does not speak TLS"),
        "{closed}"
    );
}

#[test]
fn an_application_goes_on_with_its_stream_by_a_door_with_tls() {
    let authority = Authority::new();
    let [certificate, key] = authority.files("door.example");
    let mut server = Server::start(&[
        "--stream-listen",
        "127.0.0.1:0",
        "--stream-listen-certificate",
        certificate.to_str().unwrap(),
        "--stream-listen-key",
        key.to_str().unwrap(),
    ]);
    let stats = server.control.ok("stats", serde_json::json!({}));
    let door = stats["listener"]["address"].as_str().unwrap().to_string();
    let app = App::listen();
    let _phone = Phone::call(&mut server.control, "call");
    let mut open = stream_open("call", "stream", &app.url());
    open["dialect"] = serde_json::json!("longline");
    open["resume"] = serde_json::json!({"window_ms": 30_000});
    server.control.ok("stream.open", open);
    let first = Native::accept(&app, serde_json::json!({}));
    let token = first.token();

    let come = |token: &str| {
        let tcp = TcpStream::connect(&door).unwrap();
        let name = "door.example".try_into().unwrap();
        let tls = ClientConnection::new(Arc::new(authority.client()), name).unwrap();
        let stream = StreamOwned::new(tls, tcp.try_clone().unwrap());
        knock_over(Box::new(stream), tcp, token)
    };
    assert!(come("x").err().unwrap().starts_with("HTTP/1.1 401 "));
    let hello = serde_json::json!({"resume": {"token": token, "received": {}}});
    let mut second = Native::greet(come(&token).ok().unwrap(), hello);
    assert_eq!(second.ready["resumed"], true);
    assert!(
        second
            .hear(10, &mut Vec::new())
            .iter()
            .any(|frame| frame.flags == 0)
    );
    // Who does not speak TLS is not spoken to.
    let mut plain = TcpStream::connect(&door).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    std::io::Write::write_all(&mut plain, b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut plain, &mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    for file in [certificate, key] {
        std::fs::remove_file(file).unwrap();
    }
}
