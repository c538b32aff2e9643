//! An agent that says what the test wants it to say.

use crate::site::soon;
use bytes::{Bytes, BytesMut};
use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::{SigningKey, VerifyingKey};
use hyperverge_control_plane::clock;
use hyperverge_protocol::envelope::{self, Purpose};
use hyperverge_protocol::wire::{
    AgentFrame, ControlFrame, EnrollRequest, Envelope, Hello, Lane, Refusal, RefusalCode,
    ResultBatch, Welcome, agent_frame, control_frame::Body,
};
use hyperverge_protocol::{frame, identity};
use prost::Message;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature_with_raw_key;
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use std::net::SocketAddr;
use std::sync::Arc;

/// A key and where to go with it.
#[derive(Clone)]
pub(crate) struct FakeAgent {
    pub(crate) key: SigningKey,
    pub(crate) address: SocketAddr,
    pub(crate) pin: VerifyingKey,
}

/// A connection with its one stream.
pub(crate) struct FakeLink {
    pub(crate) connection: Connection,
    send: SendStream,
    recv: RecvStream,
    _endpoint: Endpoint,
}

impl FakeAgent {
    pub(crate) fn new(address: SocketAddr, pin: VerifyingKey) -> Self {
        Self { key: SigningKey::generate(&mut clock::rng()), address, pin }
    }

    pub(crate) fn id(&self) -> String {
        identity::fingerprint(&self.key).to_string()
    }

    pub(crate) fn enroll_request(&self, secret: Vec<u8>) -> EnrollRequest {
        EnrollRequest {
            token_secret: secret.into(),
            host_name: "probe-1".into(),
            version: "0.1.0".into(),
        }
    }

    pub(crate) fn hello(&self) -> Hello {
        Hello {
            version: "0.1.0".into(),
            capabilities: vec!["probe:http".into()],
            boot_id: vec![1; 16].into(),
            process_id: vec![2; 16].into(),
            boot_time_ms: 77,
            wall_time_ms: clock::wall_ms(),
            host_name: "probe-1".into(),
            ..Hello::default()
        }
    }

    /// A sealed batch.
    pub(crate) fn batch(&self, lane: Lane, number: u64) -> Envelope {
        let batch = ResultBatch {
            agent_id: identity::fingerprint(&self.key).as_bytes().to_vec().into(),
            lane: lane.into(),
            number,
            ..ResultBatch::default()
        };
        envelope::seal(Purpose::ResultBatch, batch.encode_to_vec().into(), &self.key)
    }

    /// A connection without any stream.
    pub(crate) async fn handshake(
        &self,
        alpn: &[u8],
    ) -> Result<(Connection, Endpoint), ConnectionError> {
        let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let config = client_config(&self.key, &self.pin, alpn);
        let connecting = endpoint.connect_with(config, self.address, "test.invalid").unwrap();
        Ok((soon("the handshake", connecting).await?, endpoint))
    }

    /// A connection with a stream on which nothing was said yet.
    pub(crate) async fn connect(&self) -> FakeLink {
        let (connection, endpoint) = self.handshake(hyperverge_protocol::ALPN).await.unwrap();
        let (send, recv) = connection.open_bi().await.unwrap();
        FakeLink { connection, send, recv, _endpoint: endpoint }
    }

    /// A session that was welcomed.
    pub(crate) async fn session(&self) -> (FakeLink, Welcome) {
        let mut link = self.connect().await;
        link.send(agent_frame::Body::Hello(self.hello())).await;
        match link.receive().await {
            Some(Body::Welcome(welcome)) => (link, welcome),
            other => panic!("no Welcome but {other:?}"),
        }
    }
}

impl FakeLink {
    pub(crate) async fn send(&mut self, body: agent_frame::Body) {
        let bytes = frame::encode(&AgentFrame { body: Some(body) }).unwrap();
        self.send_bytes(&bytes).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        soon("sending", self.send.write_all(bytes)).await.unwrap();
    }

    /// As much of `bytes` as the gateway takes before it closes.
    pub(crate) async fn try_send_bytes(&mut self, bytes: &[u8]) -> bool {
        soon("sending", self.send.write_all(bytes)).await.is_ok()
    }

    /// Says that nothing more will come.
    pub(crate) fn finish(&mut self) {
        self.send.finish().ok();
    }

    /// The next frame; `None` once the gateway has ended the stream.
    pub(crate) async fn receive(&mut self) -> Option<Body> {
        soon("a frame", self.read()).await
    }

    async fn read(&mut self) -> Option<Body> {
        let mut prefix = [0; frame::PREFIX_BYTES];
        self.recv.read_exact(&mut prefix).await.ok()?;
        let mut body = BytesMut::zeroed(frame::length(prefix).unwrap());
        self.recv.read_exact(&mut body).await.ok()?;
        let frame: ControlFrame = frame::decode(Bytes::from(body)).unwrap();
        Some(frame.body.unwrap())
    }

    /// Expects a fatal refusal, then the end of the connection with a reason.
    pub(crate) async fn refused(&mut self, code: RefusalCode) -> Refusal {
        let Some(Body::Refusal(refusal)) = self.receive().await else { panic!("no refusal") };
        assert_eq!(refusal.code(), code, "{refusal:?}");
        assert!(refusal.fatal && !refusal.message.is_empty(), "{refusal:?}");
        assert_eq!(self.receive().await, None);
        let (_, reason) = self.closed().await;
        assert_eq!(reason, refusal.message);
        refusal
    }

    /// The code and reason with which the gateway closed.
    pub(crate) async fn closed(&self) -> (u64, String) {
        match soon("the close", self.connection.closed()).await {
            ConnectionError::ApplicationClosed(close) => {
                let reason = String::from_utf8(close.reason.to_vec()).unwrap();
                (close.error_code.into_inner(), reason)
            }
            other => panic!("not closed by the gateway: {other}"),
        }
    }
}

fn client_config(key: &SigningKey, pin: &VerifyingKey, alpn: &[u8]) -> ClientConfig {
    let der = key.to_pkcs8_der().unwrap();
    let der = PrivatePkcs8KeyDer::from(der.as_bytes());
    let signer = rustls::crypto::ring::sign::any_eddsa_type(&der).unwrap();
    let spki = CertificateDer::from(identity::to_spki(&key.verifying_key()));
    let certified = Arc::new(CertifiedKey::new(vec![spki], signer));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(identity::to_spki(pin))))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified)));
    config.alpn_protocols = vec![alpn.to_vec()];
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()))
}

#[derive(Debug)]
struct Pinned(Vec<u8>);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        assert_eq!(end_entity.as_ref(), self.0, "the gateway shows the pinned key");
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        panic!("the link speaks TLS 1.3 only")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = SubjectPublicKeyInfoDer::from(cert.as_ref());
        let provider = rustls::crypto::ring::default_provider();
        let algorithms = provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &spki, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
