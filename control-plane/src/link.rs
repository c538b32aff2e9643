//! The agents' link: QUIC with raw public keys, enrolment, sessions.
//!
//! | file | is |
//! |---|---|
//! | `endpoint` | the UDP listener, its limits, who is let in |
//! | `tls` | RFC 7250 keys on both sides; any well-formed key passes here, the database decides |
//! | `frames` | frames on a stream |
//! | `arrival` | the first frame: an enrolment or a Hello |
//! | `enrolment`, `throttle` | a token becomes an agent, once |
//! | `admission` | a Hello becomes a session, or is told why not |
//! | `session` | one agent's session: frames in, answers out, in order |
//! | `registry` | the sessions of this gateway |
//! | `rounds` | once a second: heartbeats written, revocations and newer sets noticed |
//! | `clock` | control-plane time between two looks at the database |
//! | `refusal` | what an agent is told when something is not taken |
//!
//! A gateway keeps nothing that another replica would need: who is enrolled,
//! which set is newest and which session is an agent's newest is in the
//! database, and every replica looks once a second.

mod admission;
mod arrival;
mod clock;
mod endpoint;
mod enrolment;
mod frames;
mod input;
mod refusal;
mod registry;
mod reset;
mod rounds;
mod session;
mod throttle;
mod tls;

pub use crate::ingest::Source as BatchSource;
pub use endpoint::{BindError, Gateway, bind};
pub use tls::TlsSetupError;

use futures_util::future::BoxFuture;
use hyperverge_protocol::wire::{Envelope, control_frame};
use std::sync::Arc;

/// Takes a batch and answers, after the commit, with `Acknowledged` or `Refusal`.
/// Batches of one session are submitted in the order in which they arrived.
pub type Submit =
    Arc<dyn Fn(BatchSource, Envelope) -> BoxFuture<'static, control_frame::Body> + Send + Sync>;
