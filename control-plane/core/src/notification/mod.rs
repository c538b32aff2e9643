//! Step 7: who is told what, when it is tried again, and when that ends.
//!
//! Pure: what is tried, and how it went, comes in; what to do next goes out.
//!
//! - [`Notice`] is what a delivery says, frozen in its row when it is made.
//! - [`ChannelConfig`] is where it goes.
//!
//! To add a kind of channel: a variant of [`ChannelKind`] and [`ChannelConfig`]
//! with its rules in `channel.rs`, and a sender of the same name under
//! `control-plane/src/notify/`.

mod channel;
mod notice;

pub use channel::{ChannelConfig, ChannelKind, EmailConfig, UnknownChannelKind, WebhookConfig};
pub use notice::{Notice, NoticeKind, NoticeRegion, NoticeSubject, UnknownNoticeKind};
