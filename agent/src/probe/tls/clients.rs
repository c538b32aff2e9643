//! One configuration for all monitors that speak TLS alike.
//!
//! A configuration lives as long as a prepared monitor holds it; the maps here
//! only find it again, by a digest of everything it depends on. So ten thousand
//! ordinary monitors share one, and no private key stays behind in a map.

use super::algorithms;
use super::groups;
use super::handshake::Handshake;
use super::options::{self, TlsOptionsError};
use super::recent::Recent;
use super::verifier::{Rules, Trust};
use crate::control_time::ControlTime;
use crate::probe::limits;
use hyperverge_protocol::monitor::TlsOptions;
use rustls::CipherSuite;
use rustls::client::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::ServerName;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Makes and finds [`TlsClient`]s.
pub struct TlsClients {
    provider: Arc<CryptoProvider>,
    time: Arc<ControlTime>,
    public: Arc<Trust>,
    anybody: Arc<Trust>,
    recent: Arc<Recent>,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    authorities: Kept<Trust>,
    clients: Kept<Common>,
}

/// How one monitor, or many alike, speak TLS. Cheap to clone.
#[derive(Clone)]
pub struct TlsClient {
    common: Arc<Common>,
    /// Asked for and verified instead of the target's host.
    server_name: Option<ServerName<'static>>,
}

/// What handshakes share.
pub(super) struct Common {
    pub(super) config: ClientConfig,
    pub(super) rules: Arc<Rules>,
}

/// Why TLS could not be set up for this process.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    #[error("the CA file must be certificates in PEM form: {0}")]
    CaPem(String),
    #[error("the CA file must hold 1 to {} certificates", limits::CA_CERTIFICATES)]
    CaCount,
}

/// What browsers offer first too: AES-128 with SHA-256, which most processors
/// have instructions for; SHA-384 costs a handshake some percent more.
fn provider() -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.signature_verification_algorithms = algorithms::all();
    provider.kx_groups = groups::all();
    let first = CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != first);
    provider
}

impl TlsClients {
    /// Trusts the public roots, and those in `ca_pem` beside them, as of `time`.
    pub fn new(ca_pem: Option<&[u8]>, time: &ControlTime) -> Result<Self, TlsSetupError> {
        let provider = Arc::new(provider());
        let public = Trust::public(&provider, ca_pem)?;
        let anybody = Trust::anybody(&provider);
        Ok(Self {
            provider,
            time: Arc::new(time.clone()),
            public: Arc::new(public),
            anybody: Arc::new(anybody),
            recent: Arc::default(),
            shared: Mutex::default(),
        })
    }

    /// The client of a monitor with the section `options`, which verifies if
    /// `verify` says so and offers `protocols` in ALPN (see [`super::alpn`]).
    /// `options.verify`, `.alpn` and `.starttls` are the caller's to honour.
    pub fn client(
        &self,
        options: &TlsOptions,
        verify: bool,
        protocols: &[&str],
    ) -> Result<TlsClient, TlsOptionsError> {
        let server_name = options.server_name.as_deref().map(options::server_name).transpose()?;
        let key = digest(&(
            verify,
            &options.ca,
            &options.certificate,
            &options.key,
            &options.pins,
            options.min_version,
            protocols,
        ));
        let mut shared = self.lock();
        if let Some(common) = shared.clients.find(&key) {
            return Ok(TlsClient { common, server_name });
        }
        let trust = match &options.ca {
            _ if !verify => Arc::clone(&self.anybody),
            None => Arc::clone(&self.public),
            Some(pem) => self.authorities(&mut shared.authorities, pem)?,
        };
        let rules = Arc::new(Rules::new(trust, options::pins(&options.pins)?, &self.recent));
        let config = options::config((&self.provider, &self.time), options, &rules, protocols)?;
        let common = Arc::new(Common { config, rules });
        shared.clients.keep(key, &common);
        Ok(TlsClient { common, server_name })
    }

    /// Many monitors of one house trust the same authority.
    fn authorities(
        &self,
        kept: &mut Kept<Trust>,
        pem: &str,
    ) -> Result<Arc<Trust>, TlsOptionsError> {
        let key = digest(&pem);
        if let Some(trust) = kept.find(&key) {
            return Ok(trust);
        }
        let trust = Arc::new(Trust::private(&self.provider, pem.as_bytes())?);
        kept.keep(key, &trust);
        Ok(trust)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Nothing in the maps can be half-written.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TlsClient {
    /// A handshake with the target's host `host`, or with whom section `tls`
    /// names in its place.
    pub fn begin(&self, host: &ServerName<'static>) -> Handshake {
        Handshake::new(&self.common, self.server_name.as_ref().unwrap_or(host).clone())
    }

    /// Whether ALPN offers anything.
    pub fn offers_protocols(&self) -> bool {
        !self.common.config.alpn_protocols.is_empty()
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl fmt::Debug for TlsClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClients").finish_non_exhaustive()
    }
}

type Key = [u8; 32];

fn digest(parts: &impl serde::Serialize) -> Key {
    // Text and lists of text always have a JSON form.
    let bytes = serde_json::to_vec(parts).unwrap_or_default();
    Sha256::digest(bytes).into()
}

/// Values that others own, found by a key. Entries whose value is gone are
/// swept out when their number has doubled, so the map stays within twice
/// what is alive.
struct Kept<T> {
    entries: BTreeMap<Key, Weak<T>>,
    sweep_at: usize,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), sweep_at: limits::TLS_SWEEP }
    }
}

impl<T> Kept<T> {
    fn find(&self, key: &Key) -> Option<Arc<T>> {
        self.entries.get(key)?.upgrade()
    }

    fn keep(&mut self, key: Key, value: &Arc<T>) {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, value| value.strong_count() > 0);
            self.sweep_at = (self.entries.len() * 2).max(limits::TLS_SWEEP);
        }
        self.entries.insert(key, Arc::downgrade(value));
    }
}

#[cfg(test)]
mod tests {
    use super::super::alpn;
    use super::*;

    fn pinned(number: usize) -> TlsOptions {
        TlsOptions { pins: vec![format!("{number:064x}")], ..TlsOptions::default() }
    }

    #[test]
    fn monitors_alike_share_one_configuration() {
        let clients = TlsClients::new(None, &ControlTime::default()).expect("TLS");
        let of = |options: &TlsOptions, verify, protocols| {
            clients.client(options, verify, protocols).expect("a client")
        };
        let plain = TlsOptions::default();
        let named = TlsOptions { server_name: Some("a.test".to_owned()), ..plain.clone() };
        let one = of(&plain, true, alpn::HTTP_1);
        let same = |other: &TlsClient| Arc::ptr_eq(&one.common, &other.common);
        assert!(same(&of(&plain, true, alpn::HTTP_1)));
        assert!(same(&of(&named, true, alpn::HTTP_1)), "the name is not in the configuration");
        assert!(!same(&of(&plain, false, alpn::HTTP_1)));
        assert!(!same(&of(&plain, true, alpn::HTTP_2)));
        assert!(!same(&of(&pinned(1), true, alpn::HTTP_1)));
    }

    #[test]
    fn configurations_go_with_their_monitors() {
        let clients = TlsClients::new(None, &ControlTime::default()).expect("TLS");
        for number in 0..limits::TLS_SWEEP * 10 {
            clients.client(&pinned(number), true, alpn::NONE).expect("a client");
        }
        assert!(clients.lock().clients.entries.len() <= limits::TLS_SWEEP);
        let held: Vec<_> = (0..limits::TLS_SWEEP * 3)
            .map(|number| clients.client(&pinned(number), true, alpn::NONE).expect("a client"))
            .collect();
        let again = clients.client(&pinned(0), true, alpn::NONE).expect("a client");
        assert!(Arc::ptr_eq(&again.common, &held[0].common));
    }
}
