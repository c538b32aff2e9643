//! Every limit of the agent's decisions.

/// A slot started later than this after it was due counts as late and is paced.
pub const LATE_MS: i64 = 1_000;
/// Late slots that may start in a second, so that waking up is no storm.
pub const LATE_PER_SECOND: i64 = 50;
/// Late slots whose monitors have their next one more than [`PATIENT_MS`] later all
/// start within this time, at a quicker pace if need be: a check a day is not skipped.
/// Less than [`HOLD_MS`], so that none of them is given up before its turn.
pub const LATE_WITHIN_MS: i64 = 15_000;
/// See [`LATE_WITHIN_MS`].
pub const PATIENT_MS: i64 = 60_000;
/// A slot may wait this long after it was found due; then it is missed, because what
/// waits holds back the time through which this agent's slots are known, and with it
/// the vote on all its other monitors. With the longest timeout added that is less
/// than the 90 s after which a region casts no vote by default.
pub const HOLD_MS: i64 = 20_000;
/// A step of control-plane time between two looks that means the host slept or
/// a clock jumped, rather than that it was busy.
pub const JUMP_MS: i64 = 3_000;

/// A check that takes longer than this makes its monitor a slow one until a
/// check of it is quicker.
pub const SLOW_MS: i64 = 1_000;
/// The share of all places that slow monitors may fill, in eighths.
pub const SLOW_EIGHTHS: usize = 6;
/// Checks that may start in one turn, at first, least and most.
pub const STARTS_PER_TURN: usize = 32;
/// See [`STARTS_PER_TURN`]. Less would starve an agent whose host is busy with other things.
pub const STARTS_PER_TURN_LEAST: usize = 4;
/// See [`STARTS_PER_TURN`].
pub const STARTS_PER_TURN_MOST: usize = 256;
/// How long a started check may wait until it runs before fewer start in each turn.
/// It waits about so long whenever it has something to do.
pub const TURN_US: i64 = 5_000;

/// Checks of one monitor that may run at once: one of a slot and one of a burst, or two
/// of a burst. Only where the older one hangs does the other start beside it.
pub const MONITOR_IN_FLIGHT: usize = 2;
/// Confirmation bursts that have checks to make; past that, orders are refused.
pub const ACTIVE_BURSTS: usize = 256;
/// Orders of bursts that are remembered, so that none runs twice.
pub const REMEMBERED_BURSTS: usize = 16_384;
/// How far an order's times may lie ahead of this agent's idea of them, ms.
pub const BURST_SKEW_MS: i64 = 5_000;

/// Clock samples that are remembered.
pub const CLOCK_SAMPLES: usize = 64;
/// How old a clock sample may be while a younger one exists.
pub const CLOCK_SAMPLE_AGE_US: i64 = 10 * 60 * 1_000_000;
/// How fast two hosts' clocks may drift apart, in parts per million.
pub const CLOCK_DRIFT_PPM: i64 = 100;
/// What millisecond time stamps lose on both sides of one sample.
pub const CLOCK_ROUNDING_US: i64 = 2_000;

/// Results wait at most this long for their batch to be sealed.
pub const SEAL_EVERY_MS: i64 = 1_000;
/// Results that somebody waits for ([`crate::batch::Batcher::handle_news`]) wait this long,
/// together with what comes meanwhile.
pub const SEAL_NEWS_MS: i64 = 100;
/// From one batch to the next for their sake: in a large outage there are always some,
/// and the live lane holds only [`LIVE_WAITING`] batches.
pub const SEAL_NEWS_SPACING_MS: i64 = 500;
/// How soon sealing is tried again when the spool could not take a batch.
pub const SEAL_RETRY_MS: i64 = 100;
/// An empty batch is sealed after this long, so that `complete_through` moves.
pub const SEAL_EMPTY_EVERY_MS: i64 = 10_000;
/// Missed ranges in one batch.
pub const BATCH_MISSED: usize = 5_000;
/// Missed ranges that wait for a batch; past that the oldest are forgotten and counted.
pub const MISSED_RANGES: usize = 100_000;

/// Unacknowledged batches in the live lane before new ones become backlog.
pub const LIVE_WAITING: usize = 8;
/// Batches of the live lane under way without acknowledgement.
pub const LIVE_WINDOW: usize = 8;
/// Backlog batches under way, whatever credit the control plane grants.
pub const BACKLOG_WINDOW: usize = 32;
/// Numbers that are filled with empty batches when their own were lost on disk.
pub const FILL_NUMBERS: u64 = 10_000;
/// The share of the spool that new plain successes may use: 7 of 8 parts. The
/// rest is kept for failures and gap records.
pub const SPOOL_PLAIN_EIGHTHS: u64 = 7;
/// A segment file is closed when it has grown to this.
pub const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

/// Heartbeats go out this often unless the control plane asks otherwise.
pub const HEARTBEAT_MS: i64 = 10_000;
/// The shortest and longest heartbeat interval that is accepted.
pub const HEARTBEAT_RANGE_MS: (i64, i64) = (500, 60_000);
/// Heartbeats without an answer before a session counts as dead.
pub const HEARTBEATS_UNANSWERED: usize = 3;
/// How long a Hello may go unanswered.
pub const WELCOME_WITHIN_MS: i64 = 10_000;
/// How long a lane rests after a batch that was refused for good.
pub const REFUSED_PAUSE_MS: i64 = 60_000;
/// The shortest and longest rest after a busy control plane's answer.
pub const BUSY_PAUSE_MS: (i64, i64) = (50, 60_000);
/// How long a lane rests after a number that was not the expected one.
pub const WRONG_NUMBER_PAUSE_MS: i64 = 200;

/// Steps (some 30 ns each) that matching all headers of one answer with their patterns may take.
pub const HEADER_STEPS: usize = 1024 * 1024;
