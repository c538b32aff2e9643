//! Every limit of the agent's shell. What decides is in `hyperverge_agent_core::limits`.

use std::time::Duration;

/// Results on their way from probes to the engine.
pub const RESULTS_QUEUE: usize = 4_096;
/// Results taken from that queue at once.
pub const RESULTS_AT_ONCE: usize = 512;
/// Rows in memory that wait for the disk; past that, slots are counted as missed.
pub const ROWS_WAITING: usize = 50_000;
/// Messages to the engine under way.
pub const ENGINE_QUEUE: usize = 64;
/// Orders of bursts that wait for a set that is being prepared.
pub const BURSTS_WAITING: usize = 256;
/// Commands to the spool's thread under way.
pub const SPOOL_QUEUE: usize = 256;
/// Sealed batches kept in memory until they are acknowledged, so that the
/// normal case reads nothing back from the disk.
pub const SPOOL_CACHE_BYTES: usize = 8 * 1024 * 1024;
/// The largest record that is believed when reading a segment.
pub const RECORD_BYTES: usize = hyperverge_protocol::limits::FRAME_BYTES + 1_024;
/// The spool's meta file is brought up to date this often.
pub const SPOOL_META_EVERY_MS: i64 = 10_000;
/// Frames from the control plane that wait to be handled.
pub const FRAMES_RECEIVED: usize = 64;
/// Frames that wait to be written; two places are kept for heartbeats.
pub const FRAMES_SENDING: usize = 16;
/// See [`FRAMES_SENDING`].
pub const FRAMES_RESERVED: usize = 2;

/// How long one address may take to answer a handshake.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long looking up one address may take.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses one name may give.
pub const ADDRESSES_PER_NAME: usize = 8;
/// How long an answer to an enrolment may take.
pub const ENROLL_TIMEOUT: Duration = Duration::from_secs(15);
/// The wait before the first reconnect, and the longest.
pub const RECONNECT_FIRST: Duration = Duration::from_millis(200);
/// See [`RECONNECT_FIRST`].
pub const RECONNECT_CAP: Duration = Duration::from_secs(15);
/// The wait after the control plane refused this agent itself.
pub const REJECTED_WAIT: Duration = Duration::from_secs(300);
/// A session that lived this long starts the backoff anew.
pub const SESSION_STABLE_MS: i64 = 30_000;

/// QUIC: pings keep address translations open that forget UDP after 20 to 30 s.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// QUIC: three keep-alives without an answer.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// QUIC: bytes of one stream under way to us.
pub const STREAM_WINDOW: u32 = 1024 * 1024;
/// QUIC: bytes of a connection under way to us.
pub const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
/// QUIC: bytes under way from us.
pub const SEND_WINDOW: u64 = 4 * 1024 * 1024;

/// Running probes may finish for this long after a stop.
pub const STOP_PROBES: Duration = Duration::from_secs(5);
/// Acknowledgements are awaited for this long after a stop.
pub const STOP_LINK: Duration = Duration::from_secs(3);
/// How much longer than its timeout a probe may take before it is given up as
/// the agent's own fault.
pub const PROBE_OVERTIME: Duration = Duration::from_secs(2);
/// The engine looks around at least this often.
pub const ENGINE_TICK_MS: i64 = 500;
/// The clock's offset and the set's consumed life are written this often.
pub const PERSIST_EVERY_MS: i64 = 30_000;
/// The longest life of an assignment set.
pub const SET_LIFETIME_MS: u64 = 7 * 24 * 3600 * 1000;
/// The largest cached assignment set that is read back.
pub const SET_FILE_BYTES: u64 = 160 * 1024 * 1024;
/// Anchors, slots and times beyond this are nonsense (about the year 144 000).
pub const TIME_MS: i64 = 1 << 52;
/// The largest configuration, token or state file that is read.
pub const SMALL_FILE_BYTES: u64 = 1024 * 1024;
/// Requests on the local listener must end by then.
pub const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(3);
