//! What a channel's sender gets and gives.

use super::connect::{ConnectError, Connector};
use super::email::{EmailSender, SmtpUrlRule};
use super::secret::SigningSecret;
use super::webhook::WebhookSender;
use crate::settings::Settings;
use futures_util::future::BoxFuture;
use hyperverge_control_core::notification::{
    AttemptResult, ChannelConfig, Circumstances, Message, Notice,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

/// One message to one recipient.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The delivery's id: `webhook-id`, `Message-ID`; the same on every attempt.
    pub id: Uuid,
    pub channel_name: String,
    pub config: ChannelConfig,
    /// Opened for this attempt; `None` for kinds that need none.
    pub secret: Option<SigningSecret>,
    /// One of `ChannelConfig::recipients`.
    pub recipient: String,
    pub content: Content,
    /// The same in words.
    pub message: Message,
    /// The delivery that told this recipient the incident's beginning.
    pub opening_id: Option<Uuid>,
}

/// What a message is about.
#[derive(Debug, Clone)]
pub enum Content {
    Notice(Box<Notice>, Circumstances),
    /// Somebody tries the channel out. The time is when, ms.
    Test {
        at: i64,
    },
}

/// Whether the receiver may have the message. Asked when an attempt is cut off.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<AtomicBool>);

impl Progress {
    /// From here on the receiver may have all of it.
    pub fn sent(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether [`Self::sent`] was called.
    pub fn may_have_arrived(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Speaks one kind of channel. An attempt that is dropped must leave nothing behind.
pub trait Sender: Send + Sync {
    fn send<'a>(
        &'a self,
        outgoing: &'a Outgoing,
        progress: &'a Progress,
    ) -> BoxFuture<'a, AttemptResult>;
}

/// Why nothing can be delivered at all; a matter of configuration.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    #[error("mail.smtp_url {0}")]
    SmtpUrl(SmtpUrlRule),
    #[error("mail.from must be a mail address, such as Name <name@host>")]
    From,
    #[error("egress.allow must hold networks such as 10.0.0.0/8")]
    Egress,
    #[error("outgoing TLS cannot be set up")]
    Tls(#[source] ConnectError),
}

/// The senders of all kinds.
#[derive(Debug)]
pub struct Senders {
    webhook: WebhookSender,
    email: EmailSender,
}

impl Senders {
    /// Senders as the settings want them, trusting the public certificate authorities.
    pub fn new(settings: &Settings) -> Result<Self, NotifyError> {
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        Self::trusting(settings, roots)
    }

    /// The same, trusting `roots` alone.
    pub fn trusting(
        settings: &Settings,
        roots: rustls::RootCertStore,
    ) -> Result<Self, NotifyError> {
        let allow = settings.egress.allow.iter().map(|network| network.parse());
        let allow = allow.collect::<Result<Vec<_>, _>>().map_err(|_| NotifyError::Egress)?;
        let connector = Connector::new(allow, roots).map_err(NotifyError::Tls)?;
        Ok(Self {
            email: EmailSender::new(&settings.mail, connector.clone())?,
            webhook: WebhookSender::new(connector),
        })
    }

    /// The sender for a channel.
    pub fn of(&self, config: &ChannelConfig) -> &dyn Sender {
        match config {
            ChannelConfig::Webhook(_) => &self.webhook,
            ChannelConfig::Email(_) => &self.email,
        }
    }
}
