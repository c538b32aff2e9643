//! The `email` channel: one message per recipient, by the operator's SMTP server.
//!
//! The text is plain, with the same in simple HTML beside it. Threads hold
//! together by ids: the `Message-ID` is the delivery's, and what follows answers
//! to the opening's.

mod letter;
mod server;
mod session;

pub use server::SmtpUrlRule;

use super::connect::Connector;
use super::sender::{NotifyError, Outgoing, Progress, Sender};
use crate::settings::MailSettings;
use futures_util::future::BoxFuture;
use hyperverge_control_core::notification::AttemptResult;
use lettre::message::Mailbox;
use server::SmtpServer;

/// Sends mail.
#[derive(Debug)]
pub(super) struct EmailSender {
    connector: Connector,
    server: SmtpServer,
    from: Mailbox,
}

impl EmailSender {
    pub(super) fn new(settings: &MailSettings, connector: Connector) -> Result<Self, NotifyError> {
        Ok(Self {
            connector: connector.for_operators_server(),
            server: SmtpServer::parse(settings.smtp_url.expose()).map_err(NotifyError::SmtpUrl)?,
            from: settings.from.parse().map_err(|_| NotifyError::From)?,
        })
    }

    async fn mail(&self, outgoing: &Outgoing, progress: &Progress) -> AttemptResult {
        match letter::write(outgoing, &self.from) {
            Ok(message) => {
                session::send(&self.connector, &self.server, &self.from, &message, progress).await
            }
            Err(error) => {
                AttemptResult::Failed { why: format!("no message: {error}"), retry_after: None }
            }
        }
    }
}

impl Sender for EmailSender {
    fn send<'a>(
        &'a self,
        outgoing: &'a Outgoing,
        progress: &'a Progress,
    ) -> BoxFuture<'a, AttemptResult> {
        Box::pin(self.mail(outgoing, progress))
    }
}
