//! What a delivery says.
//!
//! A notice is written into its delivery's row in the transaction that makes it,
//! and never changes there: a retry, days later, says what was true then. Words
//! such as the verdict are kept as text, so that a notice made by one version is
//! readable by every other. Times are ms in control-plane time.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// An incident began.
    Opened,
    /// It hurts in more regions than the last notice said.
    Widened,
    /// It is over.
    Resolved,
}

/// A word that is no kind of notice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind of notice")]
pub struct UnknownNoticeKind(pub String);

impl NoticeGroup {
    /// How many members it does not name.
    pub fn unnamed(&self) -> usize {
        self.count.saturating_sub(self.members.len())
    }
}

impl NoticeKind {
    /// The word in the database, and after `incident.` in a webhook's `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Widened => "widened",
            Self::Resolved => "resolved",
        }
    }
}

impl std::fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for NoticeKind {
    type Err = UnknownNoticeKind;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Opened, Self::Widened, Self::Resolved]
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| UnknownNoticeKind(word.to_owned()))
    }
}

/// What the incident is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeSubject {
    /// `monitor`, `agent` or `region`.
    pub kind: String,
    pub id: String,
    pub name: String,
}

/// One region as the incident saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeRegion {
    pub region: String,
    /// `up`, `degraded`, `down` or `unknown`.
    pub state: String,
    pub since_ms: Option<i64>,
    /// A word of `protocol::outcome::Reason`.
    pub reason: Option<String>,
    /// One sentence for people.
    pub message: Option<String>,
}

/// What happened, as far as people have to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub kind: NoticeKind,
    pub incident_id: Uuid,
    /// The event of the incident's timeline that this tells.
    pub event_number: i64,
    pub subject: NoticeSubject,
    /// What is watched, when the subject is a monitor.
    pub target: Option<String>,
    /// `down` or `degraded`; of a resolved incident the last such verdict.
    pub verdict: String,
    /// `local`, `regional` or `global`.
    pub scope: String,
    /// `critical`, `warning` or `info`.
    pub severity: String,
    /// One sentence for people.
    pub summary: String,
    /// The reason most regions give.
    pub cause: Option<String>,
    pub regions: Vec<NoticeRegion>,
    /// When the target began to hurt.
    pub started_at_ms: i64,
    /// When we knew.
    pub opened_at_ms: i64,
    pub resolved_at_ms: Option<i64>,
    /// The opening never arrived, so this resolved notice tells all of it.
    #[serde(default)]
    pub opening_included: bool,
    /// Where the incident can be read.
    pub incident_url: String,
    /// What the incident speaks for, if it is not alone. No older version wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<NoticeGroup>,
}

/// Incidents of one cause, told together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeGroup {
    pub id: Uuid,
    /// `host edge.example.com`: what they share.
    pub cause: String,
    /// `42 monitors on the host edge.example.com`.
    pub title: String,
    /// One sentence for people.
    pub summary: String,
    /// Names of members, the first few ([`super::limits::NOTICE_MEMBERS`]).
    pub members: Vec<String>,
    /// How many there are.
    pub count: usize,
    /// Names of those of whom this notice tells for the first time, where others were told
    /// before; the first few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub news: Vec<String>,
    /// How many of those there are.
    #[serde(default)]
    pub news_count: usize,
    /// When the first member began to hurt. No older version wrote it.
    #[serde(default)]
    pub started_at_ms: Option<i64>,
    /// When the last member was over, if all are.
    #[serde(default)]
    pub resolved_at_ms: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_of_an_older_version_is_readable() {
        let stored = serde_json::json!({
            "kind": "opened", "incident_id": Uuid::nil(), "event_number": 1,
            "subject": {"kind": "monitor", "id": "1", "name": "checkout"}, "target": null,
            "verdict": "down", "scope": "global", "severity": "critical", "summary": "it is down",
            "cause": null, "regions": [], "started_at_ms": 1, "opened_at_ms": 2,
            "resolved_at_ms": null, "incident_url": "https://hv.example.com/",
        });
        let notice: Notice = serde_json::from_value(stored).unwrap();
        assert_eq!((notice.group, notice.opening_included), (None, false));
        let group = serde_json::json!({
            "id": Uuid::nil(), "cause": "host h", "title": "2 monitors on the host h",
            "summary": "2 monitors on the host h are down", "members": ["a", "b"], "count": 2,
        });
        let group: NoticeGroup = serde_json::from_value(group).unwrap();
        assert_eq!((group.news.len(), group.started_at_ms, group.resolved_at_ms), (0, None, None));
    }

    #[test]
    fn a_kind_is_read_back_from_its_word() {
        for kind in [NoticeKind::Opened, NoticeKind::Widened, NoticeKind::Resolved] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!("Opened".parse::<NoticeKind>(), Err(UnknownNoticeKind("Opened".into())));
    }
}
