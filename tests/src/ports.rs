//! Ports nobody uses.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the kernel's ephemeral range (32768 on Linux), so that no outgoing connection takes a port between its choice here
/// and its use by the program it was chosen for.
const RANGE: std::ops::Range<u16> = 10_000..32_000;

/// Where this test process starts to look: another one, run at the same time, starts elsewhere.
static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(fastrand::u16(RANGE)));

/// A port of 127.0.0.1 on which nothing listens, given out once.
pub fn free_port() -> u16 {
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if !RANGE.contains(&port) {
            NEXT.store(RANGE.start, Ordering::Relaxed);
        } else if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
