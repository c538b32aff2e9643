//! Trying a channel out: one message now, outside the outbox, and what came of it.

use super::attempt::{one_line, secret};
use super::sender::{Content, NotifyError, Outgoing, Progress, Senders};
use crate::clock;
use crate::limits::{CHANNEL_TEST, CHANNEL_TESTS, DELIVERY_ERROR_CHARS};
use crate::shared::Shared;
use crate::store::channels::Channel;
use futures_util::future::join_all;
use hyperverge_control_core::notification::{AttemptResult, Message};
use tokio::sync::Semaphore;

static PLACES: Semaphore = Semaphore::const_new(CHANNEL_TESTS);

/// Why a channel was not tried out.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    #[error("too many channels are being tried out")]
    Busy,
    #[error(transparent)]
    Configuration(#[from] NotifyError),
}

/// What came of a test, for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// Empty where the channel has just one end.
    pub recipient: String,
    pub accepted: bool,
    /// Why not.
    pub error: Option<String>,
}

/// Sends a test message to each recipient of `channel` and waits for what they say.
pub async fn send_test(shared: &Shared, channel: &Channel) -> Result<Vec<Tested>, TestError> {
    let _place = PLACES.try_acquire().map_err(|_| TestError::Busy)?;
    let senders = Senders::new(&shared.settings)?;
    let tests = channel.config.recipients().into_iter().map(|recipient| {
        let senders = &senders;
        async move {
            let result = send_one(shared, senders, channel, &recipient).await;
            let error = match result {
                AttemptResult::Accepted => None,
                AttemptResult::Failed { why, .. }
                | AttemptResult::Rejected { why }
                | AttemptResult::Gone { why }
                | AttemptResult::Unknown { why } => Some(one_line(&why, DELIVERY_ERROR_CHARS)),
            };
            Tested { recipient, accepted: error.is_none(), error }
        }
    });
    Ok(join_all(tests).await)
}

async fn send_one(
    shared: &Shared,
    senders: &Senders,
    channel: &Channel,
    recipient: &str,
) -> AttemptResult {
    let secret = match secret(shared, channel) {
        Ok(secret) => secret,
        Err(why) => return AttemptResult::Failed { why, retry_after: None },
    };
    let outgoing = Outgoing {
        id: clock::new_id(),
        channel_name: channel.name.clone(),
        config: channel.config.clone(),
        secret,
        recipient: recipient.to_owned(),
        content: Content::Test { at: clock::wall_ms() },
        message: words(channel, shared),
        opening_id: None,
    };
    let sending = senders.of(&channel.config);
    match tokio::time::timeout(CHANNEL_TEST, sending.send(&outgoing, &Progress::default())).await {
        Ok(result) => result,
        Err(_) => AttemptResult::Unknown { why: "no answer in time".to_owned() },
    }
}

fn words(channel: &Channel, shared: &Shared) -> Message {
    Message {
        headline: format!("[TEST] {}: a test message", channel.name),
        lead: "This is a test. Nothing is wrong; somebody tries this notification channel out."
            .to_owned(),
        notes: Vec::new(),
        facts: Vec::new(),
        regions: Vec::new(),
        members: Vec::new(),
        link: shared.settings.server.public_url.clone(),
    }
}
