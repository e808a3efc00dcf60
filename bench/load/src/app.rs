//! The application of a run: a WebSocket server that sends every chunk of audio straight back (Teler dialect).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

/// The application, on a thread of its own.
pub struct Application {
    /// Where it listens.
    pub address: SocketAddr,
    sample: Sample,
}

/// A message as it came.
type Sample = Arc<Mutex<Option<String>>>;

/// Which message of a connection is kept as a sample: one with a number of as many digits as most have.
const SAMPLE: u64 = 100;

impl Application {
    /// Starts the application.
    pub fn start() -> std::io::Result<Application> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let sample = Sample::default();
        let samples = sample.clone();
        std::thread::spawn(move || {
            runtime.block_on(async move {
                while let Ok((socket, _)) = listener.accept().await {
                    tokio::spawn(echo(socket, samples.clone()));
                }
            });
        });
        Ok(Application { address, sample })
    }

    /// A message of audio as it came in.
    pub fn sample(&self) -> Option<String> {
        self.sample.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn echo(socket: TcpStream, sample: Sample) {
    let _ = socket.set_nodelay(true);
    let Ok(mut socket) = tokio_tungstenite::accept_async(socket).await else {
        return;
    };
    let mut chunk_id = 0_u64;
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let Some(audio) = audio_of(&text) else { continue };
        chunk_id += 1;
        let answer = format!(r#"{{"type":"audio","audio_b64":"{audio}","chunk_id":{chunk_id}}}"#);
        if chunk_id == SAMPLE {
            let mut sample = sample.lock().unwrap_or_else(PoisonError::into_inner);
            sample.get_or_insert_with(|| text.to_string());
        }
        if socket.send(Message::text(answer)).await.is_err() {
            return;
        }
    }
}

/// The base64 of an `audio` message, found without parsing the rest: this application must cost little.
fn audio_of(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(r#""audio_b64":""#)?;
    rest.split('"').next()
}
