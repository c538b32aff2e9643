//! Step 7: who is told what, when it is tried again, and when that ends.
//!
//! Pure: what is tried, and how it went, comes in; what to do next goes out.
//!
//! - [`Notice`] is what a delivery says, frozen in its row when it is made.
//! - [`route`] says who is told, [`hold`] what keeps it back for a time.
//! - [`ChannelConfig`] is where it goes.
//! - [`plan_lane`] says whose turn it is, [`after_attempt`] what follows.
//! - [`compose`] puts a notice into words, which every channel shares.
//!
//! To add a kind of channel: a variant of [`ChannelKind`] and [`ChannelConfig`]
//! with its rules in `channel.rs`, and a sender of the same name under
//! `control-plane/src/notify/`.

pub mod hold;
pub mod limits;
pub mod route;

mod attempt;
mod channel;
mod labels;
mod lane;
mod message;
mod notice;
mod reasons;

pub use attempt::{AfterAttempt, AttemptResult, Next, after_attempt};
pub use channel::{ChannelConfig, ChannelKind, EmailConfig, UnknownChannelKind, WebhookConfig};
pub use labels::{ANY, LabelMismatch, Labels};
pub use lane::{DeliveryState, LanePlan, LaneRow, UnknownDeliveryState, plan_lane};
pub(crate) use message::clean;
pub use message::{Circumstances, Fact, Message, Standing, compose, elapsed, utc};
pub use notice::{Notice, NoticeGroup, NoticeKind, NoticeRegion, NoticeSubject, UnknownNoticeKind};
pub use reasons::in_words;
