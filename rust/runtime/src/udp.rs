//! The ports of legs: an even one for RTP and the next for RTCP (RFC 3550 §11), taken at random from a range.
//!
//! A port that was closed rests before it is used again, so that late packets of one call do not reach the next. When
//! nothing else is left, the port that has rested longest is used.

use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use media::Time;

use crate::clock;
use crate::command::Family;

/// How long a closed port rests.
pub const REST_MS: u64 = 30_000;
/// Ports another program holds are skipped, this many times.
const MAX_ATTEMPTS: usize = 64;
/// Kernel receive buffer of a leg: more than a second of telephone audio, small enough for thousands of legs.
const RECEIVE_BUFFER_BYTES: usize = 128 << 10;
/// DSCP EF (RFC 3246), shifted into the traffic class field.
const EXPEDITED_FORWARDING: u8 = 46 << 2;

struct Ports {
    /// Even ports ready for use, in no order.
    free: Vec<u16>,
    /// Closed ports, the longest resting first.
    resting: VecDeque<(u16, Time)>,
    /// Ports of open legs.
    used: HashSet<u16>,
}

/// The ports of the node; shared by the workers, and touched only when a leg opens or closes.
pub struct PortPool {
    address: IpAddr,
    ports: Mutex<Ports>,
}

/// A pool for each local address.
pub struct RtpPorts {
    pools: Vec<Arc<PortPool>>,
}

impl RtpPorts {
    /// Pools of `range` at each of the addresses, the one for legs that name no family first.
    pub fn new(addresses: &[IpAddr], range: &RangeInclusive<u16>) -> Self {
        let pools = addresses
            .iter()
            .map(|address| Arc::new(PortPool::new(*address, range.clone())));
        Self {
            pools: pools.collect(),
        }
    }

    /// Pairs that legs could get now, of all addresses.
    pub fn available(&self) -> usize {
        self.pools.iter().map(|pool| pool.available()).sum()
    }

    /// The pool of an address family, the first if it does not matter.
    pub fn of(&self, family: Option<Family>) -> Option<&Arc<PortPool>> {
        self.pools.iter().find(|pool| match family {
            None => true,
            Some(Family::Ipv4) => pool.address.is_ipv4(),
            Some(Family::Ipv6) => pool.address.is_ipv6(),
        })
    }
}

/// The sockets of one leg. Dropping them returns their ports to the pool.
pub struct LegSockets {
    /// The even port.
    pub rtp: UdpSocket,
    /// The odd port after it.
    pub rtcp: UdpSocket,
    /// Where RTP is received.
    pub rtp_address: SocketAddr,
    /// Where RTCP is received.
    pub rtcp_address: SocketAddr,
    pool: Arc<PortPool>,
}

impl Drop for LegSockets {
    fn drop(&mut self) {
        self.pool.give_back(self.rtp_address.port(), clock::now());
    }
}

impl PortPool {
    /// A pool of the pairs that lie wholly in `range`.
    pub fn new(address: IpAddr, range: RangeInclusive<u16>) -> Self {
        let pairs = range
            .clone()
            .filter(|port| port % 2 == 0 && *port > 0 && range.contains(&(port | 1)));
        let ports = Ports {
            free: pairs.collect(),
            resting: VecDeque::new(),
            used: HashSet::new(),
        };
        Self {
            address,
            ports: Mutex::new(ports),
        }
    }

    /// Pairs that a leg could get now.
    pub fn available(&self) -> usize {
        let ports = self.lock();
        ports.free.len() + ports.resting.len()
    }

    /// Bind a pair of sockets. `random` picks among the free ports. `None`: none is left.
    pub fn open(self: &Arc<Self>, now: Time, mut random: impl FnMut() -> u64) -> Option<LegSockets> {
        let mut refused = Vec::new();
        let mut opened = None;
        for _ in 0..MAX_ATTEMPTS {
            let Some(port) = self.lock().take(now, random()) else {
                break;
            };
            match self.bind(port) {
                Ok(sockets) => {
                    opened = Some(sockets);
                    break;
                }
                Err(_) => refused.push(port),
            }
        }
        let mut ports = self.lock();
        for port in refused {
            ports.used.remove(&port);
            ports.resting.push_back((port, now));
        }
        opened
    }

    fn bind(self: &Arc<Self>, port: u16) -> std::io::Result<LegSockets> {
        let rtp_address = SocketAddr::new(self.address, port);
        let rtcp_address = SocketAddr::new(self.address, port + 1);
        let rtp = bind_one(rtp_address)?;
        let rtcp = bind_one(rtcp_address)?;
        Ok(LegSockets {
            rtp,
            rtcp,
            rtp_address,
            rtcp_address,
            pool: self.clone(),
        })
    }

    fn give_back(&self, port: u16, now: Time) {
        let mut ports = self.lock();
        if ports.used.remove(&port) {
            ports.resting.push_back((port, now));
        }
    }

    /// The lists are whole even if a thread died while it held them: every change is one step.
    fn lock(&self) -> MutexGuard<'_, Ports> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ports {
    fn take(&mut self, now: Time, random: u64) -> Option<u16> {
        while let Some(&(port, since)) = self.resting.front() {
            if now.millis_since(since) < REST_MS {
                break;
            }
            self.resting.pop_front();
            self.free.push(port);
        }
        let port = if self.free.is_empty() {
            self.resting.pop_front()?.0
        } else {
            self.free.swap_remove((random % self.free.len() as u64) as usize)
        };
        self.used.insert(port);
        Some(port)
    }
}

fn bind_one(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    // Both are wishes: a smaller buffer or an unmarked packet still carries the call.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER_BYTES);
    let _ = match address {
        SocketAddr::V4(_) => rustix::net::sockopt::set_ip_tos(&socket, EXPEDITED_FORWARDING),
        SocketAddr::V6(_) => rustix::net::sockopt::set_ipv6_tclass(&socket, EXPEDITED_FORWARDING.into()),
    };
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn ports(range: RangeInclusive<u16>) -> Ports {
        PortPool::new(HOST, range).ports.into_inner().unwrap()
    }

    #[test]
    fn only_whole_even_pairs_are_in_the_pool() {
        let mut found = ports(20001..=20006).free;
        found.sort_unstable();
        assert_eq!(found, [20002, 20004]);
        assert!(ports(65535..=65535).free.is_empty());
        assert_eq!(ports(65534..=65535).free, [65534]);
    }

    #[test]
    fn a_leg_gets_the_address_of_its_family() {
        let both = RtpPorts::new(&[HOST, std::net::Ipv6Addr::LOCALHOST.into()], &(20000..=20003));
        assert_eq!(both.available(), 4);
        let address = |family| both.of(family).map(|pool| pool.address.to_string());
        assert_eq!(address(None).as_deref(), Some("127.0.0.1"));
        assert_eq!(address(Some(Family::Ipv4)).as_deref(), Some("127.0.0.1"));
        assert_eq!(address(Some(Family::Ipv6)).as_deref(), Some("::1"));
        assert!(
            RtpPorts::new(&[HOST], &(20000..=20003))
                .of(Some(Family::Ipv6))
                .is_none()
        );
    }

    #[test]
    fn a_closed_port_rests_as_long_as_others_are_free() {
        let mut ports = ports(20000..=20003);
        let first = ports.take(Time(0), 0).unwrap();
        ports.used.remove(&first);
        ports.resting.push_back((first, Time(0)));
        let second = ports.take(Time::from_millis(1), 0).unwrap();
        assert_ne!(first, second);
        // Nothing else is left: the resting one is used after all, then there is none.
        assert_eq!(ports.take(Time::from_millis(2), 0), Some(first));
        assert_eq!(ports.take(Time::from_millis(3), 0), None);
    }

    #[test]
    fn a_port_that_has_rested_is_free_again() {
        let mut ports = ports(20000..=20003);
        ports.free.clear();
        ports.resting.push_back((20000, Time(0)));
        ports.resting.push_back((20002, Time::from_millis(1)));
        assert_eq!(ports.take(Time::from_millis(REST_MS), 7), Some(20000));
        assert_eq!(ports.resting.len(), 1);
    }

    #[test]
    fn a_leg_gets_neighbouring_ports_and_returns_them() {
        let pool = Arc::new(PortPool::new(HOST, 18_000..=18_099));
        let before = pool.available();
        let leg = pool.open(clock::now(), || 5).unwrap();
        assert_eq!(leg.rtp_address.port() % 2, 0);
        assert_eq!(leg.rtcp_address.port(), leg.rtp_address.port() + 1);
        assert_eq!(pool.available(), before - 1);
        drop(leg);
        assert_eq!(pool.available(), before);
    }

    #[test]
    fn a_port_of_another_program_is_passed_over() {
        let pool = Arc::new(PortPool::new(HOST, 18_100..=18_103));
        let _other = UdpSocket::bind((HOST, 18_101)).unwrap();
        let leg = pool.open(clock::now(), || 0).unwrap();
        assert_eq!(leg.rtp_address.port(), 18_102);
        assert!(pool.open(clock::now(), || 0).is_none());
    }
}
