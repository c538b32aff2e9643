//! Every limit of the control plane that is not part of the link's protocol.
//!
//! A number here bounds a queue, a body, a page or a wait. What an operator may
//! want to change is a setting instead (`[limits]`).

use std::time::Duration;

/// How long a shutdown may take before what is left is abandoned.
pub const SHUTDOWN: Duration = Duration::from_secs(10);
/// How long `/ready` waits for the database.
pub const READY_PROBE: Duration = Duration::from_secs(2);
/// How often a gateway looks for newer sets and revocations of its sessions.
pub const GATEWAY_POLL: Duration = Duration::from_secs(1);
/// Until the first frame of a session is there.
pub const FIRST_FRAME: Duration = Duration::from_secs(10);
/// How often an agent sends a heartbeat; after three missed it is lost.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);
/// A session with no frame at all for this long is closed.
pub const SESSION_SILENCE: Duration = Duration::from_secs(45);
/// Result batches of one session between arrival and answer.
pub const SESSION_BATCHES: usize = 4;
/// Backlog batches an agent may have under way.
pub const BACKLOG_CREDIT: u32 = 2;
/// Frames waiting to be sent to one session.
pub const SESSION_OUTBOX: usize = 32;
/// Connections whose handshake or first frame is under way.
pub const PENDING_SESSIONS: usize = 4_096;
/// Handshakes under way above which a client must prove its address first.
pub const RETRY_ABOVE: usize = 256;
/// Enrolment attempts with an unknown token that one address may make per minute.
pub const UNKNOWN_TOKENS_PER_MINUTE: u32 = 10;
/// Addresses that are remembered for that.
pub const UNKNOWN_TOKEN_ADDRESSES: usize = 4_096;
