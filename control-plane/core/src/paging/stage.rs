//! What one incident asks for now.

use super::parents::Graph;
use super::{Candidate, RECHECK_MS, Waiting};
use crate::correlation::Verdict;
use crate::incident::SubjectKind;
use crate::notification::NoticeKind;
use uuid::Uuid;

/// Why a page is held back after all.
pub const QUORUM_ENDED: &str = "the quorum ended before it was due";

/// See the module's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage<'a> {
    /// Nothing is due.
    Rests,
    /// Its opening is not due yet, and nothing would keep it back now.
    OpensSoon,
    /// Its beginning is to be told, and its end too where it is `over`.
    Opens {
        event: i64,
        quiet: bool,
        over: bool,
    },
    Widens {
        event: i64,
    },
    Ends {
        event: i64,
        quiet: bool,
    },
    /// Nothing has to be told any more.
    Done {
        why: &'static str,
    },
    /// It is below the quorum again: nobody is paged, and who is told of such may be.
    Shrank,
    /// `down`: the parent that is.
    Held {
        until: i64,
        why: String,
        down: Option<&'a str>,
    },
}

/// Where `candidate` stands at `now`.
pub(super) fn stage<'a>(candidate: &'a Candidate, graph: &Graph<'a>, now: i64) -> Stage<'a> {
    let find = |kind, quiet| {
        let mut all = candidate.waiting.iter();
        all.find(|waiting: &&Waiting| waiting.kind == kind && waiting.quiet == quiet)
    };
    let ended = candidate.waiting.iter().rfind(|waiting| waiting.kind == NoticeKind::Resolved);
    if let Some(opening) = find(NoticeKind::Opened, false) {
        return opens(candidate, *opening, ended, graph, now);
    }
    if let Some(ended) = ended {
        return match find(NoticeKind::Opened, true) {
            Some(_) => Stage::Done { why: "it was over before it was due" },
            None if ended.due_at > now => Stage::Rests,
            None => Stage::Ends { event: ended.event_number, quiet: ended.quiet },
        };
    }
    if let Some(widened) = find(NoticeKind::Widened, false) {
        return match held(candidate, now) {
            _ if widened.due_at > now => Stage::Rests,
            _ if candidate.verdict == Verdict::Unknown => not_fresh(now),
            _ if candidate.verdict != Verdict::Down => Stage::Shrank,
            Some(stage) => stage,
            None => Stage::Widens { event: widened.event_number },
        };
    }
    match find(NoticeKind::Opened, true) {
        Some(opening) if opening.due_at <= now => quietly(candidate, *opening, now),
        _ => Stage::Rests,
    }
}

fn opens<'a>(
    candidate: &'a Candidate,
    opening: Waiting,
    ended: Option<&Waiting>,
    graph: &Graph<'a>,
    now: i64,
) -> Stage<'a> {
    let due = opening.due_at <= now;
    let over = ended.is_some() || candidate.resolved;
    let holds = || {
        let by_parent = graph.holds(candidate, now);
        let by_parent =
            by_parent.map(|held| Stage::Held { until: held.until, why: held.why, down: held.down });
        by_parent.or_else(|| held(candidate, now))
    };
    if over {
        let loud = ended.filter(|ended| !ended.quiet);
        return match (holds(), loud) {
            (None, Some(_)) if !due => Stage::Rests,
            (None, Some(ended)) => {
                Stage::Opens { event: ended.event_number, quiet: false, over: true }
            }
            (held, _) => untold(candidate, ended, held.is_some()),
        };
    }
    let stage = match candidate.verdict {
        Verdict::Down => holds(),
        Verdict::Unknown if candidate.subject == SubjectKind::Monitor => Some(not_fresh(now)),
        _ => Some(Stage::Shrank),
    };
    match stage {
        None if due => Stage::Opens { event: opening.event_number, quiet: false, over: false },
        None => Stage::OpensSoon,
        Some(_) if !due => Stage::Rests,
        Some(stage) => stage,
    }
}

/// What people were not told of and need not be; who was told quietly hears the end.
fn untold(candidate: &Candidate, ended: Option<&Waiting>, held: bool) -> Stage<'static> {
    match ended.filter(|_| candidate.told_quietly) {
        Some(ended) => Stage::Ends { event: ended.event_number, quiet: true },
        None if held => Stage::Done { why: "it was over while it was held" },
        None => Stage::Done { why: "it was withdrawn before it was due" },
    }
}

fn quietly(candidate: &Candidate, opening: Waiting, now: i64) -> Stage<'static> {
    if candidate.resolved {
        return Stage::Done { why: "it was over before it was due" };
    }
    if candidate.paged {
        return Stage::Done { why: "people were paged for it" };
    }
    held(candidate, now).unwrap_or(Stage::Opens {
        event: opening.event_number,
        quiet: true,
        over: false,
    })
}

fn not_fresh(now: i64) -> Stage<'static> {
    Stage::Held {
        until: now.saturating_add(1_000),
        why: "the votes it rests on are not fresh any more".to_owned(),
        down: None,
    }
}

fn held(candidate: &Candidate, now: i64) -> Option<Stage<'static>> {
    let hold = candidate.hold.as_ref()?;
    Some(Stage::Held {
        until: hold.until.min(now.saturating_add(RECHECK_MS)),
        why: format!("held by the {} {}", hold.kind, hold.name),
        down: None,
    })
}

/// Of a candidate that says that it widens as soon as that is due, when that is, and its
/// incident: of several of a group the first speaks.
pub(super) fn widening(candidate: &Candidate) -> Option<(i64, Uuid)> {
    let waits = |kind| move |one: &&Waiting| one.kind == kind && !one.quiet;
    let all = || candidate.waiting.iter();
    let more = all().any(|one| one.kind == NoticeKind::Resolved)
        || all().find(waits(NoticeKind::Opened)).is_some();
    let free = candidate.verdict == Verdict::Down && candidate.hold.is_none() && !more;
    let widened = all().find(waits(NoticeKind::Widened)).filter(|_| free);
    widened.map(|widened| (widened.due_at, candidate.incident_id))
}

/// Whether people were told that it is down, and it is.
pub(super) fn is_known_down(candidate: &Candidate) -> bool {
    let waits = candidate.waiting.iter().any(|waiting| !waiting.quiet);
    candidate.paged && !candidate.resolved && candidate.verdict == Verdict::Down && !waits
}
