//! Every limit of what is told.

/// Recipients of one e-mail channel.
pub const EMAIL_RECIPIENTS: usize = 20;
/// An e-mail address (RFC 5321: a path of 256 with its angle brackets).
pub const EMAIL_BYTES: usize = 254;
/// Attempts after which a permanent refusal is believed; about ten minutes.
pub const PERMANENT_ATTEMPTS: u32 = 12;
/// From here on, ms, a message says that it is late.
pub const LATE_AFTER_MS: i64 = 120_000;
/// Characters of one text in a message (a summary, a region's words).
pub const MESSAGE_TEXT_CHARS: usize = 300;
/// Rows of one lane that are looked at.
pub const LANE_ROWS: usize = 200;
