//! What one handshake showed, whether it went through or not.

use super::refusal::Refusal;
use hyperverge_protocol::outcome::TlsFacts;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Stands beside one handshake. rustls owns the verifier and answers with a
/// bare error, QUIC even with a mere text; so what was seen is left here.
#[derive(Debug, Default)]
pub struct Witness(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// A certificate came.
    certificate: bool,
    facts: Option<TlsFacts>,
    refusal: Option<Refusal>,
    asked: bool,
}

impl Witness {
    /// The server showed its certificate.
    pub(super) fn certificate(&self, facts: Option<TlsFacts>) {
        let mut seen = self.lock();
        seen.certificate = true;
        seen.facts = facts;
    }

    /// We refused it.
    pub(super) fn refuse(&self, refusal: Refusal) {
        self.lock().refusal = Some(refusal);
    }

    /// Whether the server got as far as its certificate.
    pub(super) fn showed_certificate(&self) -> bool {
        self.lock().certificate
    }

    /// Whether the server asked for a certificate of ours.
    pub fn asked(&self) -> bool {
        self.lock().asked
    }

    /// The certificate's facts, once; without version and cipher, which only
    /// the connection knows.
    pub fn take_facts(&self) -> Option<TlsFacts> {
        self.lock().facts.take()
    }

    pub(super) fn take_refusal(&self) -> Option<Refusal> {
        self.lock().refusal.take()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Fields are written one by one; none can be half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands out the certificate that `inner` has, and tells the witness.
#[derive(Debug)]
pub(super) struct Asked {
    inner: Arc<dyn ResolvesClientCert>,
    witness: Arc<Witness>,
}

impl Asked {
    pub(super) fn new(inner: &Arc<dyn ResolvesClientCert>, witness: &Arc<Witness>) -> Self {
        Self { inner: Arc::clone(inner), witness: Arc::clone(witness) }
    }
}

impl ResolvesClientCert for Asked {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.witness.lock().asked = true;
        self.inner.resolve(root_hint_subjects, sigschemes)
    }

    fn only_raw_public_keys(&self) -> bool {
        self.inner.only_raw_public_keys()
    }

    fn has_certs(&self) -> bool {
        self.inner.has_certs()
    }
}
