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
/// A connection on the link on which nothing arrives for this long is gone.
pub const LINK_IDLE: Duration = Duration::from_secs(45);
/// A session with no frame at all for this long is closed.
pub const SESSION_SILENCE: Duration = Duration::from_secs(45);
/// How long an agent may leave a frame of ours unread.
pub const FRAME_WRITE: Duration = Duration::from_secs(20);
/// How long the last frames of a session may take to be received.
pub const FAREWELL: Duration = Duration::from_millis(1_500);
/// Tries of a transaction that met another.
pub const TRANSACTION_ATTEMPTS: u32 = 5;
/// Result batches of one session between arrival and answer.
pub const SESSION_BATCHES: usize = 4;
/// Backlog batches an agent may have under way.
pub const BACKLOG_CREDIT: u32 = 4;
/// Connections whose handshake or first frame is under way.
pub const PENDING_SESSIONS: usize = 4_096;
/// Handshakes under way above which a client must prove its address first.
pub const RETRY_ABOVE: usize = 256;
/// Enrolment attempts with an unknown token that one address may make per minute.
pub const UNKNOWN_TOKENS_PER_MINUTE: u32 = 10;
/// Addresses that are remembered for that.
pub const UNKNOWN_TOKEN_ADDRESSES: usize = 4_096;
/// How long a request may take before it is given up.
pub const REQUEST: Duration = Duration::from_secs(30);
/// Items on a page of a list, when nobody says, and at most.
pub const PAGE_DEFAULT: i64 = 50;
/// See [`PAGE_DEFAULT`].
pub const PAGE_MAX: i64 = 200;
/// The longest cursor that is looked at.
pub const CURSOR_BYTES: usize = 512;
/// A password, from and to.
pub const PASSWORD_MIN_CHARS: usize = 8;
/// See [`PASSWORD_MIN_CHARS`].
pub const PASSWORD_MAX_BYTES: usize = 1_024;
/// Password hashes at once, each 19 MiB and a core.
pub const PARALLEL_PASSWORD_HASHES: usize = 4;
/// How long a sign-in waits for its turn to be hashed.
pub const PASSWORD_HASH_WAIT: Duration = Duration::from_secs(5);
/// Accounts, and networks, whose failed sign-ins are remembered.
pub const THROTTLE_ENTRIES: usize = 10_000;
/// How long somebody stays signed in without coming back.
pub const REFRESH_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Regions of one organisation.
pub const REGIONS_PER_ORGANISATION: i64 = 256;
/// Enrolment tokens of one organisation that could still be used.
pub const OPEN_ENROLLMENT_TOKENS: i64 = 1_000;
/// An enrolment token's life, when nobody says, at least and at most.
pub const ENROLLMENT_TOKEN_DEFAULT: Duration = Duration::from_secs(3_600);
/// See [`ENROLLMENT_TOKEN_DEFAULT`].
pub const ENROLLMENT_TOKEN_MIN: Duration = Duration::from_secs(60);
/// See [`ENROLLMENT_TOKEN_DEFAULT`].
pub const ENROLLMENT_TOKEN_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Connections on the tcp listener.
pub const HTTP_CONNECTIONS: usize = 4_096;
/// Until a TLS handshake, or the head of a request, is complete.
pub const HTTP_HEAD: Duration = Duration::from_secs(15);
/// How long a claimed delivery is its claimer's, from the attempt's start.
pub const DELIVERY_LEASE: Duration = Duration::from_secs(60);
/// The hard end of one delivery attempt; well within the lease.
pub const DELIVERY_ATTEMPT: Duration = Duration::from_secs(30);
/// How often the outbox is looked at when nobody hints.
pub const DELIVERY_POLL: Duration = Duration::from_secs(1);
/// How long a shutdown lets attempts finish; less than [`SHUTDOWN`], so that the rest can be given back.
pub const DELIVERY_GRACE: Duration = Duration::from_secs(6);
/// Attempts under way in one process, and to one channel of it.
pub const DELIVERIES: usize = 64;
/// See [`DELIVERIES`].
pub const CHANNEL_DELIVERIES: usize = 4;
/// Channels with due deliveries that one look at the outbox takes up.
pub const DUE_CHANNELS: i64 = 256;
/// How long recording an attempt's outcome is tried again while the database fails.
pub const DELIVERY_RECORD: Duration = Duration::from_secs(20);
/// Until one address of a receiver has taken the connection.
pub const DELIVERY_CONNECT: Duration = Duration::from_secs(10);
/// Addresses of one receiver that are tried.
pub const DELIVERY_ADDRESSES: usize = 4;
/// Bytes of a webhook's body (Standard Webhooks: under 20 KB).
pub const WEBHOOK_BODY_BYTES: usize = 20_000;
/// Bytes of a receiver's answer that are read.
pub const RECEIVER_ANSWER_BYTES: usize = 64 * 1024;
/// Characters of an error that are kept with a delivery.
pub const DELIVERY_ERROR_CHARS: usize = 200;
/// How long trying a channel out may take; less than [`REQUEST`].
pub const CHANNEL_TEST: Duration = Duration::from_secs(20);
/// Channels tried out at once by one process.
pub const CHANNEL_TESTS: usize = 8;
/// How often the outbox is counted for the metrics.
pub const OUTBOX_COUNT: Duration = Duration::from_secs(10);
/// Channels of one organisation.
pub const CHANNELS: i64 = 200;
/// Routes of one organisation.
pub const ROUTES: i64 = 200;
/// Silences of one organisation that are not over.
pub const SILENCES: i64 = 500;
/// Maintenance windows of one organisation that are not over.
pub const MAINTENANCE_WINDOWS: i64 = 500;
/// Comments of one incident, and the characters of one.
pub const COMMENTS: i64 = 500;
/// See [`COMMENTS`].
pub const COMMENT_CHARS: usize = 4_000;
/// Members of a group that are shown with it, and in a list of groups.
pub const GROUP_MEMBERS: i64 = 200;
/// See [`GROUP_MEMBERS`].
pub const GROUP_MEMBERS_IN_LIST: i64 = 20;
/// Events that a post-mortem lists.
pub const POST_MORTEM_EVENTS: i64 = 1_000;
/// Batches that wait for a commit; sessions wait while it is full.
pub const INGEST_QUEUE_BATCHES: usize = 256;
/// Batches, and about how many rows, of one commit.
pub const INGEST_GROUP_BATCHES: usize = 64;
/// See [`INGEST_GROUP_BATCHES`].
pub const INGEST_GROUP_ROWS: usize = 20_000;
/// Times a transaction that met another is tried.
pub const INGEST_ATTEMPTS: u32 = 4;
/// When an agent whose batch could not be stored may send it again.
pub const INGEST_RETRY_AFTER: Duration = Duration::from_millis(1_000);
/// The longest time a backtest covers.
pub const BACKTEST_RANGE: Duration = Duration::from_secs(31 * 24 * 3_600);
/// Results that one backtest reads.
pub const BACKTEST_RESULTS: usize = 300_000;
/// Missed ranges, and incidents, that one backtest reads.
pub const BACKTEST_MISSED: i64 = 20_000;
/// See [`BACKTEST_MISSED`].
pub const BACKTEST_INCIDENTS: i64 = 500;
/// Backtests at once in one process.
pub const BACKTESTS: usize = 2;
/// Orders of bursts that one round signs.
pub const BURST_ORDERS_SIGNED: i64 = 1_000;
/// How often a scheduler looks for orders to sign when nobody hints.
pub const BURST_POLL: Duration = Duration::from_millis(500);
/// Open orders of bursts that one look of a gateway reads, for all its sessions.
pub const BURST_ORDERS_READ: i64 = 20_000;
/// Bursts that are settled at once because they have expired.
pub const BURSTS_EXPIRED: i64 = 1_000;
/// Results, and missed ranges, that the explanation of one moment reads.
pub const EXPLAIN_RESULTS: usize = 50_000;
/// See [`EXPLAIN_RESULTS`].
pub const EXPLAIN_MISSED: i64 = 5_000;
/// Organisations that one round of the correlator looks at.
pub const CORRELATED_ORGANISATIONS: i64 = 1_000;
/// Waiting intents, incidents and open groups of an organisation that are judged together.
pub const CORRELATED_INTENTS: i64 = 20_000;
/// How long what is to be told may wait from one look to the next, ms; the group wait is at
/// most 10 min. What seems to wait longer was dated before the clock was set back.
pub const INTENT_WAIT_MS: i64 = 660_000;
/// See [`CORRELATED_INTENTS`].
pub const CORRELATED_INCIDENTS: i64 = 10_000;
/// See [`CORRELATED_INTENTS`].
pub const CORRELATED_GROUPS: i64 = 1_000;
/// Incidents that the evidence of one notice holds.
pub const EVIDENCE_CANDIDATES: usize = 100;
/// Monitors that the evidence of an agent's own fault holds.
pub const EVIDENCE_WATCHES: usize = 200;
/// Agents that the evidence of a region's silence holds.
pub const EVIDENCE_AGENTS: usize = 100;
