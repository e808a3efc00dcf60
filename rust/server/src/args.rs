//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::Parser;
use runtime::listener::ListenConfig;
use runtime::node::{NodeConfig, StreamTimeouts};

/// More workers than this is a slip of the pen.
const MAX_WORKERS: usize = 256;

/// Carries the audio of telephone calls: RTP on one side, one WebSocket to the application for each stream on the other.
///
/// It does what control tells it over a Unix socket (docs/reference/control-protocol.md) and nothing by itself. It stops in order at
/// SIGTERM, SIGINT, the command `shutdown`, and, with --exit-with-parent, the end of its standard input.
#[derive(Debug, Parser)]
#[command(name = "longline-media", version)]
pub struct Args {
    /// The Unix socket to listen on for control; made with mode 0600
    #[arg(long, value_name = "PATH")]
    pub socket: PathBuf,

    /// The local address of RTP and RTCP; a second one of the other family (IPv4, IPv6) may be given
    #[arg(
        long = "rtp-address",
        value_name = "ADDRESS",
        default_value = "127.0.0.1",
        value_delimiter = ','
    )]
    pub rtp_addresses: Vec<IpAddr>,

    /// The ports of RTP and RTCP: a leg takes an even one and the next
    #[arg(long, value_name = "FIRST-LAST", default_value = "20000-29999", value_parser = parse_ports)]
    pub rtp_ports: RangeInclusive<u16>,

    /// Threads that carry sessions [default: one for each core]
    #[arg(long, value_name = "N", value_parser = parse_workers)]
    pub workers: Option<usize>,

    /// A file of certificate authorities (PEM) trusted beside the system's; may be given more than once
    #[arg(long = "ca-file", value_name = "FILE")]
    pub ca_files: Vec<PathBuf>,

    /// Where recordings with a relative path go [default: the working directory]
    #[arg(long, value_name = "DIR")]
    pub recordings_dir: Option<PathBuf>,

    /// The weights of the Silero voice detector, as scripts/fetch_silero.py makes them [default: none, and no such detector]
    #[arg(long, value_name = "PATH")]
    pub silero_weights: Option<PathBuf>,

    /// Exit when standard input ends, so that no orphan outlives the process that holds its other end
    #[arg(long)]
    pub exit_with_parent: bool,

    /// Seconds within which an application must be connected, TLS and upgrade included
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse_seconds)]
    pub stream_connect_timeout: u64,

    /// Seconds after which a stream ends whose application takes nothing of what waits for it
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    pub stream_stall_timeout: u64,

    /// Seconds between two pings of a stream; two without an answer end it
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = parse_seconds)]
    pub stream_ping_interval: u64,

    /// Where applications may dial in to go on with their streams (longline.v1) [default: nowhere]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub stream_listen: Option<SocketAddr>,

    /// The certificates that they are shown, PEM; without it they are spoken to without TLS
    #[arg(long, value_name = "FILE", requires = "stream_listen_key")]
    pub stream_listen_certificate: Option<PathBuf>,

    /// The private key of that, PEM
    #[arg(long, value_name = "FILE", requires = "stream_listen_certificate")]
    pub stream_listen_key: Option<PathBuf>,

    /// What is logged to standard error: error, warn, info, debug, or a tracing filter
    #[arg(
        long,
        value_name = "FILTER",
        default_value = "info",
        env = "LONGLINE_MEDIA_LOG"
    )]
    pub log: String,

    /// Allow commands that break things on purpose (debug.panic)
    #[arg(long)]
    pub debug_commands: bool,
}

impl Args {
    /// What the node is made of; times in milliseconds.
    pub fn node_config(&self) -> NodeConfig {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        NodeConfig {
            workers: self.workers.unwrap_or_else(cores),
            rtp_addresses: self.rtp_addresses.clone(),
            rtp_ports: self.rtp_ports.clone(),
            ca_files: self.ca_files.clone(),
            silero: None,
            timeouts: StreamTimeouts {
                connect_ms: self.stream_connect_timeout,
                stall_ms: self.stream_stall_timeout,
                ping_ms: self.stream_ping_interval,
            },
            stream_listen: self.stream_listen.map(|address| ListenConfig {
                address,
                tls: self
                    .stream_listen_certificate
                    .clone()
                    .zip(self.stream_listen_key.clone()),
            }),
        }
    }
}

fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let wanted = || "expected two ports, as in 20000-29999".to_string();
    let (first, last) = text.split_once('-').ok_or_else(wanted)?;
    let first: u16 = first.trim().parse().map_err(|_| wanted())?;
    let last: u16 = last.trim().parse().map_err(|_| wanted())?;
    if first == 0 || first > last {
        return Err("the first port must be at least 1 and not above the last".into());
    }
    Ok(first..=last)
}

fn parse_workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(workers) if (1..=MAX_WORKERS).contains(&workers) => Ok(workers),
        _ => Err(format!("expected a number from 1 to {MAX_WORKERS}")),
    }
}

/// Seconds, fractions allowed, as milliseconds.
fn parse_seconds(text: &str) -> Result<u64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.01..=3600.0).contains(&seconds) => Ok((seconds * 1000.0) as u64),
        _ => Err("expected seconds from 0.01 to 3600".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn wrong_values_are_refused_in_words() {
        for (option, value, word) in [
            ("--rtp-ports", "20000", "two ports"),
            ("--rtp-ports", "3-2", "not above"),
            ("--rtp-ports", "0-2", "at least 1"),
            ("--rtp-ports", "1-70000", "two ports"),
            ("--rtp-address", "localhost", "IP address"),
            ("--workers", "0", "1 to 256"),
            ("--stream-ping-interval", "-1", "seconds"),
        ] {
            let arguments = ["longline-media", "--socket", "/s", &format!("{option}={value}")];
            let error = Args::try_parse_from(arguments).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        assert!(
            Args::try_parse_from(["longline-media"])
                .unwrap_err()
                .to_string()
                .contains("--socket")
        );
    }

    #[test]
    fn defaults_are_those_of_the_node() {
        let args = Args::try_parse_from(["longline-media", "--socket", "/s"]).unwrap();
        assert_eq!(args.node_config().timeouts, StreamTimeouts::default());
        assert_eq!(args.rtp_ports, 20_000..=29_999);
    }
}
