//! Guessing tokens is hopeless (256 bits), but each guess costs a query: an
//! address that keeps presenting unknown tokens has to wait.

use crate::limits::{UNKNOWN_TOKEN_ADDRESSES, UNKNOWN_TOKENS_PER_MINUTE};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);

/// Unknown tokens per address and minute.
#[derive(Debug, Default)]
pub(super) struct UnknownTokens(Mutex<BTreeMap<IpAddr, Window>>);

#[derive(Debug)]
struct Window {
    began: Instant,
    count: u32,
}

impl UnknownTokens {
    /// How long `address` has to wait, if it does.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = seen.get(&network(address))?;
        let age = now.saturating_duration_since(window.began);
        (window.count >= UNKNOWN_TOKENS_PER_MINUTE && age < WINDOW).then(|| WINDOW - age)
    }

    /// `address` presented a token nobody made.
    pub(super) fn count(&self, address: IpAddr, now: Instant) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let address = network(address);
        if seen.len() >= UNKNOWN_TOKEN_ADDRESSES && !seen.contains_key(&address) {
            seen.retain(|_, window| now.saturating_duration_since(window.began) < WINDOW);
        }
        if seen.len() >= UNKNOWN_TOKEN_ADDRESSES && !seen.contains_key(&address) {
            let oldest = seen.iter().min_by_key(|(_, w)| w.began).map(|(address, _)| *address);
            seen.remove(&oldest.unwrap_or(address));
        }
        let window = seen.entry(address).or_insert(Window { began: now, count: 0 });
        if now.saturating_duration_since(window.began) >= WINDOW {
            *window = Window { began: now, count: 0 };
        }
        window.count += 1;
    }
}

/// Whoever has an IPv6 address has a /64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_waits_and_nobody_else_does() {
        let tokens = UnknownTokens::default();
        let now = crate::clock::monotonic();
        let guesser: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::ffff".parse().unwrap();
        let other: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        while tokens.wait(guesser, now).is_none() {
            tokens.count(guesser, now);
        }
        assert!(tokens.wait(neighbour, now).is_some());
        assert!(tokens.wait(other, now).is_none());
        assert!(tokens.wait(guesser, now + WINDOW).is_none());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let tokens = UnknownTokens::default();
        let now = crate::clock::monotonic();
        for n in 0..(UNKNOWN_TOKEN_ADDRESSES as u32 + 100) {
            tokens.count(IpAddr::V4(n.into()), now);
        }
        assert_eq!(tokens.0.lock().unwrap().len(), UNKNOWN_TOKEN_ADDRESSES);
    }
}
