//! A store with channels and incidents, and a notifier over it.

use hyperverge_control_core::notification::{
    ChannelConfig, EmailConfig, Notice, NoticeKind, NoticeRegion, NoticeSubject, WebhookConfig,
};
use hyperverge_control_plane::keys::Keys;
use hyperverge_control_plane::notify::{Notifier, Pace, Senders, SigningSecret};
use hyperverge_control_plane::settings::{Secret, Settings};
use hyperverge_control_plane::shared::Shared;
use hyperverge_control_plane::store::Store;
use hyperverge_control_plane::store::channels::{self, Channel};
use hyperverge_control_plane::store::deliveries::{self, Delivery, NewDelivery};
use hyperverge_control_plane::{clock, params};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Short enough for a test, long enough for a busy machine.
pub(crate) const QUICK: Pace = Pace {
    lease: Duration::from_secs(60),
    attempt: Duration::from_secs(20),
    poll: Duration::from_millis(20),
    grace: Duration::from_millis(100),
};

pub(crate) struct Stage {
    pub(crate) shared: Arc<Shared>,
    pub(crate) organisation: Uuid,
    _dir: Option<TempDir>,
}

/// A notifier that runs until dropped or stopped.
pub(crate) struct Running {
    task: JoinHandle<()>,
    cancel: CancellationToken,
}

impl Running {
    /// Ends it as a shutdown does.
    pub(crate) async fn stop(mut self) {
        self.cancel.cancel();
        (&mut self.task).await.unwrap();
    }
}

impl Drop for Running {
    /// Ends it as a crash does.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with_mail("smtp://127.0.0.1:9").await
    }

    pub(crate) async fn with_mail(smtp_url: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("notify.db").display());
        let store = Store::open(&url).await.unwrap();
        Self { _dir: Some(dir), ..Self::over(store, smtp_url) }
    }

    /// Over a store that is open.
    pub(crate) fn over(store: Store, smtp_url: &str) -> Self {
        let mut settings = Settings::default();
        settings.egress.allow = vec!["127.0.0.0/8".into()];
        settings.mail.smtp_url = Secret::new(smtp_url);
        settings.mail.from = "HyperVerge <hv@example.org>".into();
        let keys = Keys::generate(&mut clock::rng());
        let shared = Arc::new(Shared::new(store, keys, settings));
        Self { shared, organisation: clock::new_id(), _dir: None }
    }

    pub(crate) fn run(&self, pace: Pace) -> Running {
        self.run_with(Senders::new(&self.shared.settings).unwrap(), pace)
    }

    pub(crate) fn run_with(&self, senders: Senders, pace: Pace) -> Running {
        let cancel = CancellationToken::new();
        let notifier = Notifier::new(self.shared.clone(), senders, pace);
        Running { task: tokio::spawn(notifier.run(cancel.clone())), cancel }
    }

    /// A webhook channel and its secret as its owner sees it.
    pub(crate) async fn webhook(&self, url: &str) -> (Uuid, String) {
        let id = clock::new_id();
        let secret = SigningSecret::generate(&mut clock::rng());
        let sealed = secret.seal(&self.shared.keys, self.organisation, id);
        let config = ChannelConfig::Webhook(WebhookConfig { url: url.to_owned() });
        self.insert_channel(id, config, Some(sealed)).await;
        (id, secret.reveal())
    }

    pub(crate) async fn email(&self, to: &[&str]) -> Uuid {
        let id = clock::new_id();
        let to = to.iter().map(|address| (*address).to_owned()).collect();
        self.insert_channel(id, ChannelConfig::Email(EmailConfig { to }), None).await;
        id
    }

    async fn insert_channel(&self, id: Uuid, config: ChannelConfig, sealed: Option<Vec<u8>>) {
        let channel = Channel {
            organisation_id: self.organisation,
            id,
            name: format!("channel-{}", id.simple()),
            config,
            sealed_secret: sealed,
            is_default: true,
            disabled: None,
            failing_since: None,
            revision: 1,
            created_at: 0,
        };
        let mut tx = self.shared.store.begin().await.unwrap();
        channels::insert(&mut tx, &channel).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn channel(&self, id: Uuid) -> Channel {
        let mut tx = self.shared.store.read().await.unwrap();
        channels::get(&mut tx, self.organisation, id).await.unwrap().unwrap()
    }

    /// Puts a notice in the outbox for every recipient of a channel; the deliveries' ids.
    pub(crate) async fn tell(&self, channel: Uuid, notice: &Notice) -> Vec<Uuid> {
        let recipients = self.channel(channel).await.config.recipients();
        let mut ids = Vec::new();
        let mut tx = self.shared.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        for recipient in &recipients {
            let id = clock::new_id();
            let new = NewDelivery {
                organisation_id: self.organisation,
                id,
                channel_id: channel,
                recipient,
                notice,
                now,
            };
            assert!(deliveries::insert(&mut tx, &new).await.unwrap());
            ids.push(id);
        }
        tx.commit().await.unwrap();
        self.shared.wake.delivery.notify_one();
        ids
    }

    /// The same for a channel with one recipient.
    pub(crate) async fn tell_one(&self, channel: Uuid, notice: &Notice) -> Uuid {
        self.tell(channel, notice).await[0]
    }

    pub(crate) async fn delivery(&self, id: Uuid) -> Delivery {
        let mut tx = self.shared.store.read().await.unwrap();
        deliveries::get(&mut tx, self.organisation, id).await.unwrap().unwrap()
    }

    /// Waits until the delivery is as asked, and returns it.
    pub(crate) async fn until(&self, id: Uuid, reached: impl Fn(&Delivery) -> bool) -> Delivery {
        wait_for(async || Some(self.delivery(id).await).filter(&reached)).await
    }

    /// Lets the waits of the schedule pass.
    pub(crate) async fn let_time_pass(&self) {
        let mut tx = self.shared.store.begin().await.unwrap();
        const SQL: &str = "UPDATE deliveries SET next_at = 0 WHERE state = 'pending'";
        tx.execute(SQL, params![]).await.unwrap();
        tx.commit().await.unwrap();
        self.shared.wake.delivery.notify_one();
    }

    /// Lets every lease end.
    pub(crate) async fn let_leases_end(&self) {
        let mut tx = self.shared.store.begin().await.unwrap();
        const SQL: &str = "UPDATE deliveries SET lease_until = 0 WHERE lease_until IS NOT NULL";
        tx.execute(SQL, params![]).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// Waits for a condition; the runner ends a test that waits for ever.
pub(crate) async fn wait_for<T, F: AsyncFnMut() -> Option<T>>(mut condition: F) -> T {
    loop {
        if let Some(reached) = condition().await {
            return reached;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn notice(incident: Uuid, event_number: i64, kind: NoticeKind) -> Notice {
    let region = |name: &str| NoticeRegion {
        region: name.into(),
        state: if kind == NoticeKind::Resolved { "up" } else { "down" }.into(),
        since_ms: Some(1_767_323_045_000),
        reason: (kind != NoticeKind::Resolved).then(|| "connect_refused".into()),
        message: None,
    };
    Notice {
        kind,
        incident_id: incident,
        event_number,
        subject: NoticeSubject {
            kind: "monitor".into(),
            id: "0199".into(),
            name: "checkout-api".into(),
        },
        target: Some("https://api.example.com/health".into()),
        verdict: "down".into(),
        scope: "global".into(),
        severity: "critical".into(),
        summary: "checkout-api is down everywhere".into(),
        cause: Some("connect_refused".into()),
        regions: vec![region("eu-west"), region("us-east"), region("ap-south")],
        started_at_ms: 1_767_323_045_000,
        opened_at_ms: 1_767_323_050_000,
        resolved_at_ms: (kind == NoticeKind::Resolved).then_some(1_767_323_770_000),
        opening_included: false,
        group: None,
        incident_url: "https://hv.example.com/incidents/7".into(),
    }
}

pub(crate) fn opened(incident: Uuid) -> Notice {
    notice(incident, 1, NoticeKind::Opened)
}

pub(crate) fn resolved(incident: Uuid) -> Notice {
    notice(incident, 2, NoticeKind::Resolved)
}

pub(crate) fn widened(incident: Uuid) -> Notice {
    notice(incident, 2, NoticeKind::Widened)
}
