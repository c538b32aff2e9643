//! Page intents become deliveries, together with the timeline, once.

use crate::back_ends::on_both;
use crate::fixture::Fixture;
use hyperverge_control_core::notification::{
    ChannelConfig, EmailConfig, Notice, NoticeKind, WebhookConfig,
};
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::channels::{self, Channel};
use hyperverge_control_plane::store::intents::{self, Intent};
use hyperverge_control_plane::tasks::correlator;
use uuid::Uuid;

async fn channel(fixture: &Fixture, name: &str, config: ChannelConfig, is_default: bool) {
    let channel = Channel {
        organisation_id: fixture.organisation,
        id: clock::new_id(),
        name: name.to_owned(),
        config,
        sealed_secret: None,
        is_default,
        disabled: None,
        failing_since: None,
        revision: 1,
        created_at: 0,
    };
    let mut tx = fixture.shared.store.begin().await.unwrap();
    channels::insert(&mut tx, &channel).await.unwrap();
    tx.commit().await.unwrap();
}

/// An open incident of a new monitor, with intents of these kinds: event number, kind, due in ms from now.
async fn incident(fixture: &Fixture, resolved: bool, waiting: &[(i64, NoticeKind, i64)]) -> Uuid {
    let monitor = fixture.monitor(&format!("m{}", clock::new_id().simple())).await;
    let id = clock::new_id();
    let mut tx = fixture.shared.store.begin().await.unwrap();
    let now = tx.now().await.unwrap();
    const SQL: &str = "INSERT INTO incidents (organisation_id, id, subject_kind, subject_id,
            subject_name, state, verdict, scope, severity, cause, summary, regions, started_at,
            opened_at, resolved_at, last_event, paged)
        VALUES ($1, $2, 'monitor', $3, 'checkout', 'open', 'down', 'global', 'critical', 'connect_refused',
            'checkout is down in 1 of 1 regions', $4, $5, $5, $6, $7, FALSE)";
    let regions = r#"[{"region": "eu-west", "state": "down", "since_ms": 1, "reason": null, "message": null}]"#;
    let last = waiting.iter().map(|(number, ..)| *number).max().unwrap();
    let values = params![
        fixture.organisation,
        id,
        monitor.to_string(),
        regions,
        now,
        resolved.then_some(now),
        last
    ];
    tx.execute(SQL, values).await.unwrap();
    for (event_number, kind, due_in) in waiting {
        let intent = Intent {
            organisation_id: fixture.organisation,
            incident_id: id,
            event_number: *event_number,
            quiet: false,
            kind: *kind,
            due_at: now + due_in,
            created_at: now,
        };
        intents::insert(&mut tx, &intent).await.unwrap();
    }
    tx.commit().await.unwrap();
    id
}

/// What lies in the outbox for the incident: recipient and notice.
async fn outbox(fixture: &Fixture, incident: Uuid) -> Vec<(String, Notice)> {
    let mut tx = fixture.shared.store.read().await.unwrap();
    let sql = "SELECT recipient, notice FROM deliveries WHERE incident_id = $1 ORDER BY recipient, event_number";
    let rows = tx.fetch_all(sql, params![incident]).await.unwrap();
    rows.iter().map(|row| (row.get("recipient").unwrap(), row.json("notice").unwrap())).collect()
}

#[tokio::test]
async fn an_opening_goes_to_every_default_channel_and_recipient_once() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let to = vec!["a@example.com".to_owned(), "b@example.com".to_owned()];
        channel(&fixture, "mail", ChannelConfig::Email(EmailConfig { to }), true).await;
        let url = "https://example.com/hook".to_owned();
        channel(&fixture, "quiet", ChannelConfig::Webhook(WebhookConfig { url }), false).await;
        let early = incident(&fixture, false, &[(1, NoticeKind::Opened, 60_000)]).await;
        let due = incident(
            &fixture,
            false,
            &[(1, NoticeKind::Opened, 0), (2, NoticeKind::Widened, 60_000)],
        )
        .await;
        for _ in 0..2 {
            correlator::round(&fixture.shared, clock::new_id()).await.unwrap();
        }
        assert!(outbox(&fixture, early).await.is_empty());
        let told = outbox(&fixture, due).await;
        let recipients: Vec<&str> = told.iter().map(|(recipient, _)| recipient.as_str()).collect();
        assert_eq!(recipients, ["a@example.com", "b@example.com"]);
        let notice = &told[0].1;
        assert_eq!(notice.kind, NoticeKind::Opened);
        assert_eq!(notice.target.as_deref(), Some("https://example.com/"));
        assert!(notice.incident_url.ends_with(&due.to_string()));
        let mut tx = fixture.shared.store.read().await.unwrap();
        let sql = "SELECT paged, last_event FROM incidents WHERE id = $1";
        let row = tx.fetch_optional(sql, params![due]).await.unwrap().unwrap();
        assert!(row.get::<bool>("paged").unwrap());
        assert_eq!(row.get::<i64>("last_event").unwrap(), 3, "the timeline says who was told");
        assert!(intents::unsettled(&mut tx, fixture.organisation, due).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_end_that_overtakes_its_beginning_tells_both_and_nobody_else_hears_of_an_end() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let url = "https://example.com/hook".to_owned();
        channel(&fixture, "hook", ChannelConfig::Webhook(WebhookConfig { url }), true).await;
        let brief = [(1, NoticeKind::Opened, 5_000), (2, NoticeKind::Resolved, 0)];
        let brief = incident(&fixture, true, &brief).await;
        let untold = incident(&fixture, true, &[(2, NoticeKind::Resolved, 0)]).await;
        correlator::round(&fixture.shared, clock::new_id()).await.unwrap();
        let told = outbox(&fixture, brief).await;
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].1.kind, told[0].1.opening_included), (NoticeKind::Resolved, true));
        assert!(outbox(&fixture, untold).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_page_whose_quorum_is_gone_is_held_and_the_timeline_says_so() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let url = "https://example.com/hook".to_owned();
        channel(&fixture, "hook", ChannelConfig::Webhook(WebhookConfig { url }), true).await;
        let narrowed = incident(&fixture, false, &[(1, NoticeKind::Opened, 0)]).await;
        let mut tx = fixture.shared.store.begin().await.unwrap();
        let sql = "UPDATE incidents SET verdict = 'up', scope = 'local' WHERE id = $1";
        tx.execute(sql, params![narrowed]).await.unwrap();
        tx.commit().await.unwrap();
        correlator::round(&fixture.shared, clock::new_id()).await.unwrap();
        assert!(outbox(&fixture, narrowed).await.is_empty());
        let mut tx = fixture.shared.store.read().await.unwrap();
        let sql = "SELECT kind, summary FROM incident_events WHERE incident_id = $1";
        let row = tx.fetch_optional(sql, params![narrowed]).await.unwrap().unwrap();
        assert_eq!(row.get::<String>("kind").unwrap(), "held");
        assert!(row.get::<String>("summary").unwrap().contains("quorum ended"));
        let sql = "SELECT paged FROM incidents WHERE id = $1";
        let row = tx.fetch_optional(sql, params![narrowed]).await.unwrap().unwrap();
        assert!(!row.get::<bool>("paged").unwrap());
        assert!(
            intents::unsettled(&mut tx, fixture.organisation, narrowed).await.unwrap().is_empty()
        );
    })
    .await;
}
