//! The link to the control plane: QUIC with raw public keys on both sides, one
//! bidirectional stream of frames.
//!
//! [`connect`] finds a control plane and proves both identities, [`frames`]
//! reads and writes messages, [`drive`] does what the session machine
//! (`hyperverge_agent_core::session`) decides, [`task`] reconnects for ever.

pub mod connect;
pub mod drive;
pub mod frames;
pub mod task;
pub mod tls;
