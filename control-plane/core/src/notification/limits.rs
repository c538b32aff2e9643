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
/// Members of a group that a notice names.
pub const NOTICE_MEMBERS: usize = 30;
/// Rows of one lane that are looked at.
pub const LANE_ROWS: usize = 200;
/// Channels of one route.
pub const ROUTE_CHANNELS: usize = 32;
/// Labels that a route, silence or maintenance window may want.
pub const MATCH_LABELS: usize = 32;
/// Monitors that a silence or maintenance window may name.
pub const HOLD_MONITORS: usize = 200;
/// A silence's comment or a window's name.
pub const HOLD_TEXT_CHARS: usize = 500;
/// How long a silence or maintenance window may last: 400 days, in ms.
pub const HOLD_LONGEST_MS: i64 = 400 * 86_400_000;
