//! Host names to addresses, on threads of their own: the system's resolver blocks.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Look-ups at once; one slow name server shall not hold up the names of others.
const THREADS: usize = 4;
/// Look-ups that may wait. Rule when full: the look-up fails at once, and says so.
const MAX_WAITING: usize = 256;
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// The addresses of a name, or why there are none.
pub type Resolved = Result<Vec<SocketAddr>, String>;

struct Lookup {
    host: String,
    port: u16,
    then: Box<dyn FnOnce(Resolved) + Send>,
}

/// A handle to the resolver's threads; they end with the last handle.
#[derive(Clone)]
pub struct Resolver {
    lookups: SyncSender<Lookup>,
}

impl Resolver {
    /// Start the threads.
    pub fn start() -> std::io::Result<Self> {
        let (lookups, waiting) = sync_channel::<Lookup>(MAX_WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..THREADS {
            let waiting = waiting.clone();
            thread::Builder::new()
                .name(format!("resolver-{number}"))
                .spawn(move || run(&waiting))?;
        }
        Ok(Self { lookups })
    }

    /// Look `host` up and tell `then`, on another thread. An error is told at once: too many look-ups wait.
    pub fn resolve(
        &self,
        host: &str,
        port: u16,
        then: impl FnOnce(Resolved) + Send + 'static,
    ) -> Result<(), String> {
        let lookup = Lookup {
            host: host.to_string(),
            port,
            then: Box::new(then),
        };
        self.lookups.try_send(lookup).map_err(|error| match error {
            TrySendError::Full(_) => format!("{MAX_WAITING} look-ups are waiting"),
            TrySendError::Disconnected(_) => "the resolver has ended".into(),
        })
    }
}

/// The address that `host` itself is, if it is one: it needs no look-up.
pub fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    host.parse::<IpAddr>()
        .ok()
        .map(|address| SocketAddr::new(address, port))
}

fn run(waiting: &Mutex<Receiver<Lookup>>) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(lookup) = next else { return };
        (lookup.then)(look_up(&lookup.host, lookup.port));
    }
}

fn look_up(host: &str, port: u16) -> Resolved {
    match (host, port).to_socket_addrs() {
        Ok(addresses) => {
            let addresses: Vec<SocketAddr> = addresses.take(MAX_ADDRESSES).collect();
            if addresses.is_empty() {
                Err(format!("{host} has no address"))
            } else {
                Ok(addresses)
            }
        }
        Err(error) => Err(format!("{host}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn an_address_needs_no_lookup_and_a_name_is_found() {
        assert_eq!(literal("::1", 80), Some("[::1]:80".parse().unwrap()));
        assert_eq!(literal("localhost", 80), None);
        let resolver = Resolver::start().unwrap();
        let (found, results) = channel();
        resolver
            .resolve("localhost", 80, move |resolved| found.send(resolved).unwrap())
            .unwrap();
        let addresses = results.recv().unwrap().unwrap();
        assert!(
            addresses
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 80)
        );
    }

    #[test]
    fn a_name_without_an_address_says_so() {
        let resolver = Resolver::start().unwrap();
        let (found, results) = channel();
        resolver
            .resolve("no-such-host.invalid", 80, move |resolved| {
                found.send(resolved).unwrap()
            })
            .unwrap();
        assert!(
            results
                .recv()
                .unwrap()
                .unwrap_err()
                .contains("no-such-host.invalid")
        );
    }
}
