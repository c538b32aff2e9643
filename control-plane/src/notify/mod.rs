//! Step 7: the outbox's rows become messages.
//!
//! `dispatch.rs` looks at the outbox, woken by a hint and by a timer, and starts
//! attempts; `attempt.rs` is the life of one of them; the decisions (whose turn,
//! when again, what words) are `hyperverge_control_core::notification`'s.
//!
//! What holds, and where:
//! - *At least once*: claimed in a commit before it is sent, finished in a commit
//!   after. A crash in between sends the same id again after the lease.
//! - *Not twice* when nothing crashes: one lease, one fence, checked on finishing.
//! - *Nobody waits for somebody else's receiver*: each attempt has a hard end, each
//!   channel a few places, and a channel that fails just one.
//!
//! To add a channel `foo`: its variant and rules in control-core's `channel.rs`,
//! a file `foo.rs` here with a [`Sender`], and its line in [`Senders`]. A sender
//! takes its words from [`Outgoing::message`], connects only through
//! [`Connector`], calls [`Progress::sent`] just before the receiver could have
//! all of it, and answers with an `AttemptResult`; when, again and to whom is not
//! its affair.

mod attempt;
mod connect;
mod dispatch;
mod email;
mod secret;
mod sender;
mod test_notice;
mod webhook;

pub use connect::{ConnectError, Connector};
pub use dispatch::{Notifier, Pace};
pub use email::SmtpUrlRule;
pub use secret::{SecretError, SigningSecret};
pub use sender::{Content, NotifyError, Outgoing, Progress, Sender, Senders};
pub use test_notice::{TestError, Tested, send_test};

use crate::shared::Shared;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Delivers until `cancel`; then finishes what is under way or gives it back.
pub async fn run(shared: Arc<Shared>, cancel: CancellationToken) -> Result<(), NotifyError> {
    let senders = Senders::new(&shared.settings)?;
    Notifier::new(shared, senders, Pace::default()).run(cancel).await;
    Ok(())
}
