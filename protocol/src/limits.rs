//! Every limit that both ends of the link, or the API and an agent, must agree on.

use std::time::Duration;

/// A frame on the link, without its four bytes of length.
pub const FRAME_BYTES: usize = 1024 * 1024;
/// Rows of one result batch; a row is at most about 3 KiB, and most are 80 bytes.
pub const BATCH_ROWS: usize = 2_000;
/// Encoded bytes of one result batch before it is sealed and the next begins.
pub const BATCH_BYTES: usize = 768 * 1024;
/// Encoded bytes of one part of an assignment set.
pub const SET_PART_BYTES: usize = 512 * 1024;
/// Parts of one assignment set (128 MiB of assignments).
pub const SET_PARTS: usize = 256;
/// Capabilities in a Hello.
pub const CAPABILITIES: usize = 64;
/// A host name, version or capability on the wire.
pub const SHORT_TEXT_BYTES: usize = 255;

/// How long a new assignment set may travel before its first slot is due; less for
/// intervals that are shorter, which would otherwise lose several slots to it. Up to then,
/// counted from when the set was made, whoever had a slot before still has it.
pub const SET_LEAD: Duration = Duration::from_secs(2);
/// The shortest and longest interval of a monitor.
pub const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// See [`INTERVAL_MIN`].
pub const INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);
/// The shortest timeout of a monitor.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// The longest timeout, where the interval is not shorter. An agent's report is
/// complete only up to its slowest probe, so this stays well below the 90 s after
/// which an unheard region casts no vote.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// A monitor's or channel's name.
pub const NAME_BYTES: usize = 63;
/// A target: URL, host:port or name.
pub const TARGET_BYTES: usize = 2_048;
/// Regions one monitor may name.
pub const REGIONS: usize = 64;
/// Addresses a monitor may give for its target.
pub const ADDRESSES: usize = 16;
/// Redirects one check may follow.
pub const REDIRECTS: u8 = 10;
/// Headers a monitor may set, and the bytes of all of them together.
pub const HEADERS: usize = 64;
/// See [`HEADERS`].
pub const HEADER_BYTES: usize = 16 * 1024;
/// A request body a monitor may send.
pub const REQUEST_BODY_BYTES: usize = 64 * 1024;
/// User, password or token that a monitor may send.
pub const CREDENTIAL_BYTES: usize = 4 * 1024;
/// User and password for a proxy each (RFC 1929).
pub const PROXY_CREDENTIAL_BYTES: usize = 255;
/// An answer's body that is read before the rest is cut off.
pub const RESPONSE_BODY_BYTES: usize = 1024 * 1024;
/// Source text of a regular expression or substring in `expect`.
pub const PATTERN_BYTES: usize = 1_024;
/// Regular expressions of one monitor.
pub const PATTERNS: usize = 64;
/// Source text of all of them together.
pub const PATTERNS_BYTES: usize = 4 * 1024;
/// All of them together, compiled (and held in three forms).
pub const PATTERNS_COMPILED_BYTES: usize = 1024 * 1024;
/// The sample of an answer that a failure keeps.
pub const SAMPLE_BYTES: usize = 1_024;
/// A message for people in a result row.
pub const MESSAGE_BYTES: usize = 512;
/// Labels of one monitor, channels it notifies, monitors it depends on.
pub const LABELS: usize = 32;
/// Streak thresholds (`fail_after`, `recover_after`).
pub const STREAK_MAX: u32 = 100;
/// Monitors that one can depend on.
pub const PARENTS: usize = 16;
/// Openings and resolutions that can be asked for before an incident counts as flapping.
pub const FLAP_CHANGES: u32 = 32;
/// The shortest time over which flapping is judged.
pub const FLAP_WITHIN_MIN: Duration = Duration::from_secs(60);
/// From one answer of a confirmation burst to its next check, or from the start of a check
/// that was not answered.
pub const BURST_SPACING: Duration = Duration::from_secs(1);
/// The longest life of a burst's order. What is older than ten minutes is history,
/// so a later answer would say nothing.
pub const BURST_LIFE: Duration = Duration::from_secs(600);
/// An expected status range list.
pub const STATUS_RANGES: usize = 32;
/// Answers of a name server that a result keeps.
pub const DETAIL_ANSWERS: usize = 32;
/// A text among a result's details.
pub const DETAIL_TEXT_BYTES: usize = 255;
/// Encoded details of one result.
pub const DETAILS_BYTES: usize = 16 * 1024;
/// Echo requests of one check.
pub const PACKETS: u8 = 100;
/// The shortest and longest time from one echo request to the next.
pub const SPACING_MIN: Duration = Duration::from_millis(10);
/// See [`SPACING_MIN`].
pub const SPACING_MAX: Duration = Duration::from_secs(10);
/// Bytes of payload of an echo request: at least what tells one request from
/// another, at most what an Ethernet frame holds.
pub const PAYLOAD_MIN: u16 = 16;
/// See [`PAYLOAD_MIN`].
pub const PAYLOAD_MAX: u16 = 1_472;
/// Assertions of one monitor.
pub const ASSERTIONS: usize = 16;
/// Source text of one assertion.
pub const ASSERTION_BYTES: usize = 1_024;
/// Parts of one assertion: names, values, operators, calls.
pub const ASSERTION_NODES: usize = 256;
/// Parts of an assertion within one another, and terms of a chain such as `a + b + c`.
pub const ASSERTION_DEPTH: usize = 48;
/// Brackets within brackets, and choices within choices, in an assertion's source.
pub const ASSERTION_NESTING: u16 = 32;
/// `all`, `exists`, `map` and so on within one another.
pub const ASSERTION_LOOPS: usize = 2;
/// Steps that all assertions of a monitor may take on one answer: the costliest
/// expressions that were measured took 40 ms of one core for them.
pub const ASSERTION_STEPS: u64 = 500_000;
/// The stack that an assertion's parser runs on. Without optimisation it takes up
/// to 200 KiB for each level of [`ASSERTION_NESTING`].
pub const ASSERTION_STACK_BYTES: usize = 32 * 1024 * 1024;
/// Values of a JSON body that assertions look into.
pub const JSON_VALUES: usize = 100_000;
/// Response codes, answers or authority records that a monitor may expect.
pub const DNS_EXPECTED: usize = 32;
/// Text of one record that a monitor may expect.
pub const DNS_DATA_BYTES: usize = 4_096;
/// The longest time to live of a record, seconds (RFC 2181, section 8).
pub const DNS_TTL_S: u64 = 2_147_483_647;
/// Certificates or a key in PEM form.
pub const PEM_BYTES: usize = 64 * 1024;
/// Certificates in one such text.
pub const PEM_CERTIFICATES: usize = 64;
/// Pinned fingerprints of one monitor.
pub const PINS: usize = 8;
/// A host name (RFC 1035, section 2.3.4).
pub const HOST_BYTES: usize = 253;
/// Protocols offered in ALPN, and the bytes of one (RFC 7301).
pub const ALPN_PROTOCOLS: usize = 8;
/// See [`ALPN_PROTOCOLS`].
pub const ALPN_BYTES: usize = 255;
/// Steps of a dialogue over TCP.
pub const TCP_STEPS: usize = 16;
/// Bytes that one step sends.
pub const SEND_BYTES: usize = 4 * 1024;
