//! How often somebody may guess a password.
//!
//! Three brakes, all in the memory of this process and bounded:
//! - an account from one network waits 1 s after a failure, then 2, 4, … up to
//!   15 minutes. The network is part of the key, so that a stranger who guesses
//!   cannot lock out the owner;
//! - a network may try ten times a minute, over all accounts;
//! - an account may be tried thirty times a minute, from everywhere.
//!
//! An attempt counts before its password is looked at, so that a thousand at
//! once do not slip through; a success takes its own count back. A network is
//! one IPv4 address or one IPv6 /64.

use crate::limits;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(15 * 60);
/// After this long without a failure the delay begins anew.
const FORGET_AFTER: Duration = Duration::from_secs(60 * 60);
const NETWORK_PER_MINUTE: f64 = 10.0;
const ACCOUNT_PER_MINUTE: f64 = 30.0;

/// The brakes.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<Brakes>);

#[derive(Debug, Default)]
struct Brakes {
    delays: HashMap<(String, IpAddr), Delay>,
    networks: HashMap<IpAddr, Bucket>,
    accounts: HashMap<String, Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Delay {
    failures: u32,
    last: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Throttle {
    /// Counts an attempt. `Err` says how long to wait before the next.
    pub fn attempt(&self, account: &str, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let network = network(from);
        let mut brakes = self.lock();
        let key = (account.to_owned(), network);
        if let Some(delay) = brakes.delays.get(&key) {
            let until = delay.last + delay.wait();
            if now < until {
                return Err(until - now);
            }
        }
        let wait = peek(brakes.networks.get(&network), NETWORK_PER_MINUTE, now).max(peek(
            brakes.accounts.get(account),
            ACCOUNT_PER_MINUTE,
            now,
        ));
        if !wait.is_zero() {
            return Err(wait);
        }
        make_room(&mut brakes.networks, |bucket| bucket.at);
        make_room(&mut brakes.accounts, |bucket| bucket.at);
        make_room(&mut brakes.delays, |delay| delay.last);
        take(
            brakes.networks.entry(network).or_insert(full(NETWORK_PER_MINUTE, now)),
            NETWORK_PER_MINUTE,
            now,
        );
        take(
            brakes.accounts.entry(account.to_owned()).or_insert(full(ACCOUNT_PER_MINUTE, now)),
            ACCOUNT_PER_MINUTE,
            now,
        );
        let delay = brakes.delays.entry(key).or_insert(Delay { failures: 0, last: now });
        if now.duration_since(delay.last) > FORGET_AFTER {
            delay.failures = 0;
        }
        *delay = Delay { failures: delay.failures + 1, last: now };
        Ok(())
    }

    /// Takes back what a successful attempt had counted.
    pub fn succeeded(&self, account: &str, from: IpAddr) {
        let network = network(from);
        let mut brakes = self.lock();
        brakes.delays.remove(&(account.to_owned(), network));
        if let Some(bucket) = brakes.networks.get_mut(&network) {
            bucket.left = (bucket.left + 1.0).min(NETWORK_PER_MINUTE);
        }
        if let Some(bucket) = brakes.accounts.get_mut(account) {
            bucket.left = (bucket.left + 1.0).min(ACCOUNT_PER_MINUTE);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Brakes> {
        // Nothing in here panics half-way; a poisoned lock still guards sound numbers.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Delay {
    fn wait(self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        (FIRST_DELAY * 2u32.saturating_pow(doublings)).min(LONGEST_DELAY)
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let prefix = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
    }
}

fn full(per_minute: f64, now: Instant) -> Bucket {
    Bucket { left: per_minute, at: now }
}

fn refilled(bucket: Bucket, per_minute: f64, now: Instant) -> f64 {
    let since = now.saturating_duration_since(bucket.at).as_secs_f64();
    (bucket.left + since * per_minute / 60.0).min(per_minute)
}

/// How long until there is one to take.
fn peek(bucket: Option<&Bucket>, per_minute: f64, now: Instant) -> Duration {
    let left = bucket.map_or(per_minute, |bucket| refilled(*bucket, per_minute, now));
    Duration::from_secs_f64(((1.0 - left) * 60.0 / per_minute).max(0.0))
}

fn take(bucket: &mut Bucket, per_minute: f64, now: Instant) {
    *bucket = Bucket { left: refilled(*bucket, per_minute, now) - 1.0, at: now };
}

/// Keeps a map within its bound: the longest untouched goes first.
fn make_room<K: Clone + Eq + std::hash::Hash, V>(map: &mut HashMap<K, V>, at: fn(&V) -> Instant) {
    if map.len() < limits::THROTTLE_ENTRIES {
        return;
    }
    let mut by_age: Vec<(Instant, K)> = map.iter().map(|(k, v)| (at(v), k.clone())).collect();
    by_age.sort_by_key(|(age, _)| *age);
    for (_, key) in by_age.into_iter().take(limits::THROTTLE_ENTRIES / 4) {
        map.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const AWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

    fn second(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn each_failure_doubles_the_wait_and_a_success_ends_it() {
        let throttle = Throttle::default();
        let start = crate::clock::monotonic();
        assert_eq!(throttle.attempt("ann", HOME, start), Ok(()));
        assert_eq!(throttle.attempt("ann", HOME, start), Err(second(1)));
        assert_eq!(throttle.attempt("ann", HOME, start + second(1)), Ok(()));
        assert_eq!(throttle.attempt("ann", HOME, start + second(2)), Err(second(1)));
        assert_eq!(throttle.attempt("ann", HOME, start + second(3)), Ok(()));
        throttle.succeeded("ann", HOME);
        assert_eq!(throttle.attempt("ann", HOME, start + second(3)), Ok(()));
    }

    #[test]
    fn a_stranger_does_not_lock_out_the_owner() {
        let throttle = Throttle::default();
        let mut now = crate::clock::monotonic();
        for doubling in 0..8 {
            assert_eq!(throttle.attempt("ann", AWAY, now), Ok(()));
            now += second(1 << doubling) + second(6);
        }
        assert!(throttle.attempt("ann", AWAY, now).is_ok());
        assert!(throttle.attempt("ann", AWAY, now).is_err());
        assert_eq!(throttle.attempt("ann", HOME, now), Ok(()));
    }

    #[test]
    fn one_network_tries_ten_accounts_a_minute() {
        let throttle = Throttle::default();
        let now = crate::clock::monotonic();
        let refused = (0..20)
            .filter(|account| throttle.attempt(&format!("user{account}"), HOME, now).is_err())
            .count();
        assert_eq!(refused, 10);
        assert!(throttle.attempt("another", HOME, now + second(6)).is_ok());
        let v6 = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(network(v6("2001:db8::1")), network(v6("2001:db8::ffff:2")));
        assert_eq!(network(v6("::ffff:192.0.2.1")), HOME);
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        let now = crate::clock::monotonic();
        for n in 0..u32::try_from(limits::THROTTLE_ENTRIES).expect("small") + 500 {
            let from = IpAddr::V4(Ipv4Addr::from(n + (1 << 24)));
            assert!(
                throttle
                    .attempt(&n.to_string(), from, now + Duration::from_millis(n.into()))
                    .is_ok()
            );
        }
        let brakes = throttle.lock();
        for size in [brakes.delays.len(), brakes.networks.len(), brakes.accounts.len()] {
            assert!(size <= limits::THROTTLE_ENTRIES);
        }
    }
}
