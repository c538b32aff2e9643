//! Bounds on what one check may cost this host, beside those that the
//! protocol crate shares with the API.

use hyperverge_protocol::limits::TIMEOUT_MAX;
use std::time::Duration;

/// Addresses of one name that are tried; more are judged, but not dialled.
pub const CONNECT_ADDRESSES: usize = 6;
/// Bytes of one answer's head. Common servers send below 16 KiB.
pub const HEAD_BYTES: usize = 64 * 1024;
/// Bytes read before an answer's head is complete. Above [`HEAD_BYTES`] by
/// interim (1xx) answers and by what of the body comes with the head (in HTTP/2
/// as much as its first window, 64 KiB), so it bounds a flood of either.
pub const HEAD_PHASE_BYTES: u64 = 3 * HEAD_BYTES as u64;
/// Header list of an answer in HTTP/2 or 3, uncompressed and counted as RFC 9113,
/// section 6.5.2 says: 32 bytes more for each header.
pub const HEADER_LIST_BYTES: u32 = 2 * HEAD_BYTES as u32;
/// Bytes read after an answer's head. A body is cut off at its limit long before;
/// this is for what never becomes a body: empty frames, padding, a compressed
/// stream that stands for nothing.
pub const BODY_PHASE_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes that the bodies of all running checks may take together. A quarter of the
/// gigabyte that the packages' unit allows (`MemoryMax=`): the rest is for what ten
/// thousand monitors, their connections and the spool take at their worst.
pub const BODIES_BYTES: usize = 256 * 1024 * 1024;
/// They are counted in steps of so many.
pub const BODIES_STEP: usize = 16 * 1024;
/// Members of one gzip body. Each may stand for nothing and still costs a decoder;
/// servers send one, and files that were put together a few.
pub const GZIP_MEMBERS: usize = 64;
/// Cookies that one check keeps.
pub const COOKIES: usize = 64;
/// Bytes of one cookie with its attributes (RFC 6265, section 6.1).
pub const COOKIE_BYTES: usize = 4_096;
/// Bytes of all cookies that go with one request.
pub const COOKIE_HEADER_BYTES: usize = 8 * 1024;
/// Bytes of a proxy's answer to CONNECT.
pub const TUNNEL_HEAD_BYTES: usize = 16 * 1024;
/// QUIC: streams that a peer may open; HTTP/3 has three of its own.
pub const QUIC_PEER_STREAMS: u32 = 8;
/// QUIC: bytes of one stream under way to us.
pub const QUIC_STREAM_WINDOW: u32 = 1024 * 1024;
/// QUIC: bytes of one connection under way either way.
pub const QUIC_WINDOW: u32 = QUIC_STREAM_WINDOW + 256 * 1024;
/// QUIC: how long a connection is kept without a word from the peer; more than any
/// check takes, so that a silent peer is told by the check's own timeout.
pub const QUIC_IDLE: Duration = TIMEOUT_MAX.saturating_add(Duration::from_secs(10));
/// QUIC: how often a silent peer is asked whether it is there. Peers give up a silent
/// connection after 30 s as a rule, even one on which they owe an answer.
pub const QUIC_KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Headers of an answer in HTTP/1.1. Their bytes are bounded by [`HEAD_BYTES`].
pub const HEADERS: usize = 1_000;
/// How long the beginning of an answer that failed already is waited for, as a sample.
pub const SAMPLE_PATIENCE: Duration = Duration::from_millis(500);
/// Certificates of an additional CA file.
pub const CA_CERTIFICATES: usize = 1_024;
/// How far past its timeout a check may end before this host is taken to have
/// been stopped or starved meanwhile, and the failure to be its own.
pub const STALL: Duration = Duration::from_secs(1);
/// How long the host may have slept during a check that counts against its target.
/// More than the moment between reading one clock and the other.
pub const SLEPT: Duration = Duration::from_secs(1);
/// Certificates of one chain that are looked at to say why it was refused, or how long it is good.
pub const CHAIN_CERTIFICATES: usize = 16;
/// Host names of a certificate for another host that are shown.
pub const NAMES_SHOWN: usize = 3;
/// Entries of the maps that find shared TLS configurations before those of gone
/// monitors are swept out.
pub const TLS_SWEEP: usize = 64;
/// Chains of certificates whose facts are remembered, and the longest that is.
pub const TLS_CHAINS: usize = 256;
/// See [`TLS_CHAINS`].
pub const TLS_CHAIN_BYTES: usize = 16 * 1024;
/// Lookups of one name at the same time that are independent of each other; more share
/// the last one's, if they ask for the same. At most the bits of a `u64`.
pub const LOOKUP_LANES: usize = 64;
/// How often the host's resolver configuration is looked at, at most.
pub const RESOLV_CONF_LOOK: Duration = Duration::from_secs(10);
/// For how long an answer of the host's own name servers, to whatever question,
/// shows that they serve us. Once they are gone, targets are blamed for so long.
pub const OWN_SERVERS_PATIENCE: Duration = Duration::from_secs(2);
/// How long a lookup waits before these servers, if they were not heard of lately,
/// are asked something else as well.
pub const OWN_SERVERS_DOUBT: Duration = Duration::from_millis(300);
/// How long these servers are waited for, once they refused a question or failed at it,
/// to show that they serve others. They know the answer, or ask for it once.
pub const OWN_SERVERS_WITNESS: Duration = Duration::from_secs(2);
/// How late a deadline may be noticed before this process is taken to have been
/// held up (stopped, or very busy).
pub const HELD_UP: Duration = Duration::from_millis(5);
/// How often the runtime is asked once more for news before a check that was
/// held up counts as timed out. It passes on about a thousand at a time.
pub const LAST_LOOKS: usize = 16;
/// Sockets that pings share, one for each combination of protocol and options
/// in use; past that, those of no running check are closed.
pub const PING_SOCKETS: usize = 64;
/// Receive buffer of such a socket. A reply takes about 800 bytes of it, and
/// replies come in bursts when this process was not running for a moment.
pub const PING_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Messages taken in before other tasks have their turn.
pub const PING_DRAIN: usize = 256;
/// How often a request is handed to the kernel, where earlier attempts may
/// have told of other requests' errors.
pub const PING_SEND_ATTEMPTS: u32 = 4;
/// Bytes of an answer over UDP that a name server is asked to keep to: what
/// passes every network unfragmented (the recommendation of DNS Flag Day 2020).
pub const DNS_UDP_PAYLOAD: u16 = 1_232;
/// Bytes of an answer over UDP that are read all the same.
pub const DNS_UDP_BYTES: usize = 4_096;
/// Datagrams that are no answer to the question, before the server is taken to
/// flood us.
pub const DNS_STRAYS: u32 = 1_000;
/// Bytes read from one connection, whatever they are. Bounds what never becomes
/// anything that is said, such as TLS records without content; it is above all
/// that the other bounds let through.
pub const WIRE_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of everything that the other side says in one conversation.
pub const CONVERSATION_BYTES: usize = 64 * 1024;
/// Bytes made room for before each read of a conversation.
pub const READ_BYTES: usize = 2 * 1024;
/// Steps (some 30 ns each) that the searches of one conversation take before they
/// become rare: an answer may come in very many small pieces.
pub const SEARCH_STEPS: usize = 4 * 1024 * 1024;
/// How long a server that asked for our certificate is listened to after the
/// handshake, if it had nothing else to say. Most answer a goodbye within a round trip.
pub const FAREWELL_PATIENCE: Duration = Duration::from_secs(2);
/// A line of a protocol that begins in the clear (RFC 5321 allows 512 bytes, RFC 9051 8192).
pub const LINE_BYTES: usize = 8 * 1024;
/// Aliases that are followed from the name asked for to its records.
pub const DNS_ALIASES: usize = 16;
/// Bytes of the longest message there is.
pub const DNS_MESSAGE_BYTES: usize = 65_535;
