//! What a stand-in control plane needs to be spoken to by a real agent: the
//! server's side of QUIC with raw public keys. The agent's own tests use it too.

pub mod quic;
