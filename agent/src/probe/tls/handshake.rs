//! One handshake, over TCP here or inside QUIC elsewhere.

use super::alert;
use super::clients::Common;
use super::facts;
use super::verifier::Verifier;
use super::witness::{Asked, Witness};
use crate::probe::failure::Failure;
use hyperverge_protocol::outcome::TlsFacts;
use rustls::client::ClientConfig;
use rustls_pki_types::ServerName;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A handshake to be made, with its witness.
///
/// Over TCP: [`over`](Self::over), then [`facts`](Self::facts), and
/// [`failure`](Self::failure) where it failed. Inside QUIC: give
/// [`config`](Self::config) and [`name`](Self::name) to the QUIC library; afterwards
/// [`facts_in_quic`](Self::facts_in_quic) and [`failure_in_quic`](Self::failure_in_quic).
#[derive(Debug)]
pub struct Handshake {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    witness: Arc<Witness>,
}

/// A stream whose peer is who it says.
#[derive(Debug)]
pub struct Secured<S> {
    pub stream: TlsStream<S>,
    /// The server asked for a certificate of ours. In TLS 1.3 it says only
    /// after the handshake whether it likes what it got.
    pub asked: bool,
}

impl Handshake {
    pub(super) fn new(common: &Common, name: ServerName<'static>) -> Self {
        let witness = Arc::new(Witness::default());
        let mut config = common.config.clone();
        let verifier = Verifier::new(&common.rules, &witness);
        config.dangerous().set_certificate_verifier(Arc::new(verifier));
        let asked = Asked::new(&config.client_auth_cert_resolver, &witness);
        config.client_auth_cert_resolver = Arc::new(asked);
        Self { config: Arc::new(config), name, witness }
    }

    /// For this handshake alone.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// The name to ask for and to verify.
    pub fn name(&self) -> &ServerName<'static> {
        &self.name
    }

    /// Whether the server asked for a certificate of ours.
    pub fn asked(&self) -> bool {
        self.witness.asked()
    }

    /// Shakes hands over `stream`.
    pub async fn over<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsConnector::from(Arc::clone(&self.config)).connect(self.name.clone(), stream).await
    }

    /// The certificate's facts, once; with what was agreed on, if it came to that.
    pub fn facts<S>(&self, stream: Option<&TlsStream<S>>) -> Option<TlsFacts> {
        let mut facts = self.witness.take_facts()?;
        if let Some(stream) = stream {
            facts::negotiated(&mut facts, stream.get_ref().1);
        }
        Some(facts)
    }

    /// The same inside QUIC, which is always TLS 1.3 and keeps its cipher to itself.
    pub fn facts_in_quic(&self) -> Option<TlsFacts> {
        let facts = self.witness.take_facts()?;
        Some(TlsFacts { version: "1.3".to_owned(), ..facts })
    }

    /// Why the handshake with the server that people know as `shown` failed. A
    /// certificate that we refused counts before whatever became of the
    /// connection then.
    pub fn failure(&self, shown: &str, error: &io::Error) -> Failure {
        if let Some(refusal) = self.witness.take_refusal() {
            return refusal.failure(shown);
        }
        alert::judge_handshake(shown, error, &self.witness, &self.config.alpn_protocols)
    }

    /// The same inside QUIC, where a crypto error's code is 0x100 and an `alert`
    /// (RFC 9001, section 4.8).
    pub fn failure_in_quic(&self, shown: &str, alert: Option<u8>) -> Failure {
        if let Some(refusal) = self.witness.take_refusal() {
            return refusal.failure(shown);
        }
        alert::judge_alert(shown, alert, &self.witness, &self.config.alpn_protocols)
    }
}
