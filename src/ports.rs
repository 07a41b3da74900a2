//! Ports for clusters of this machine that live for a while: local runs, benchmarks, tests.
//!
//! Drawn from below those that the kernel hands out by itself: a port from among them, free while
//! its owner restarts, would go to whoever asks for any port.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

/// Ports of loopback that nobody listens on, `n` different ones. A process is given none twice:
/// who asked before may not listen yet.
pub fn free(n: usize) -> io::Result<Vec<u16>> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let end = first_of_kernel().max(FIRST + 1);
    // All are held until each is known, so that none is given twice.
    let mut listeners = Vec::with_capacity(n);
    let mut n_tries = 0;
    while listeners.len() < n {
        n_tries += 1;
        // Where most are taken, one that the kernel knows of is better than none.
        let port = match n_tries <= TRIES_MAX {
            true => fastrand::u16(FIRST..end),
            false => 0,
        };
        if given.contains(&port) {
            continue;
        }
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(listener) => listeners.push(listener),
            Err(error) if port == 0 => return Err(error),
            Err(_) => {}
        }
    }
    let port = |listener: &TcpListener| Ok(listener.local_addr()?.port());
    let ports: Vec<u16> = listeners.iter().map(port).collect::<io::Result<_>>()?;
    given.extend(&ports);
    Ok(ports)
}

/// Where the ports that the kernel hands out begin.
fn first_of_kernel() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_ascii_whitespace().next();
    first
        .and_then(|text| text.parse().ok())
        .unwrap_or(FIRST_OF_KERNEL)
}

/// What this process was given.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Those of well-known servers, and of Storm's daemons, are below.
const FIRST: u16 = 10_000;
/// Linux's own, where it does not say.
const FIRST_OF_KERNEL: u16 = 32_768;
const TRIES_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ_and_are_not_the_kernels() {
        let ports = free(20).unwrap();
        let distinct: BTreeSet<u16> = ports.iter().copied().collect();
        assert_eq!(distinct.len(), 20);
        assert!(ports.iter().all(|port| *port < first_of_kernel()));
        let listeners = ports
            .iter()
            .map(|port| TcpListener::bind(("127.0.0.1", *port)));
        assert!(listeners.into_iter().all(|bound| bound.is_ok()));
    }

    /// So many that two of them would be the same by chance in all but one run of a million.
    #[test]
    fn no_port_is_given_twice() {
        let ports: Vec<u16> = (0..1000).flat_map(|_| free(1).unwrap()).collect();
        let distinct: BTreeSet<u16> = ports.iter().copied().collect();
        assert_eq!(distinct.len(), ports.len());
    }
}
