//! Who was told what: one incident for a subject, one end for each beginning, and
//! no storm about something that flaps.

use super::At;
use crate::control::database::{IncidentId, Subject};
use crate::control::note::Told;
use crate::world::cast::MonitorIndex;
use hyperverge_control_core::incident::{EventKind, SubjectKind};
use hyperverge_control_core::notification::NoticeKind;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Over what time notices about one monitor are counted, ms.
const WINDOW_MS: i64 = 30 * 60_000;
/// The most in such a time: what a flapping monitor may say before it is held.
const NOTICES: usize = 12;

/// How often each channel was told.
#[derive(Debug, Default)]
struct ToldOf {
    opened: BTreeMap<usize, usize>,
    quietly: BTreeMap<usize, usize>,
    resolved: BTreeMap<usize, usize>,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Notices {
    open: BTreeMap<Subject, IncidentId>,
    subjects: BTreeMap<IncidentId, Subject>,
    /// By the incident through which it was told: a group's is its lead.
    told: BTreeMap<IncidentId, ToldOf>,
    times: BTreeMap<MonitorIndex, VecDeque<i64>>,
}

impl Notices {
    /// An incident changed.
    pub(super) fn incident(
        &mut self,
        at: &At<'_>,
        id: IncidentId,
        subject: Subject,
        kind: EventKind,
    ) -> Option<String> {
        self.subjects.insert(id, subject);
        let name = || crate::report::subject_name(at.cast, subject);
        match kind {
            EventKind::Opened => {
                let other = self.open.insert(subject, id);
                other.map(|other| format!("{} has two open incidents, #{other} and #{id}", name()))
            }
            EventKind::Resolved => {
                let was = self.open.remove(&subject);
                (was != Some(id)).then(|| format!("#{id} of {} ended and was not open", name()))
            }
            _ => None,
        }
    }

    /// A notice goes out; the monitors of which it says that they are down.
    pub(super) fn told(&mut self, at: &At<'_>, told: &Told) -> Vec<MonitorIndex> {
        let of = self.told.entry(told.incident).or_default();
        let kind = match told.kind {
            NoticeKind::Opened if told.quiet => Some(&mut of.quietly),
            NoticeKind::Opened => Some(&mut of.opened),
            NoticeKind::Resolved => Some(&mut of.resolved),
            NoticeKind::Widened => None,
        };
        if let Some(channels) = kind {
            told.channels.iter().for_each(|channel| *channels.entry(*channel).or_default() += 1);
        }
        if told.kind == NoticeKind::Resolved && told.opening_included {
            told.channels.iter().for_each(|channel| *of.opened.entry(*channel).or_default() += 1);
        }
        let members = told.begins.iter().filter_map(|id| self.subjects.get(id).map(|it| (id, it)));
        let monitors: BTreeSet<MonitorIndex> = members
            .filter(|(_, (kind, _))| *kind == SubjectKind::Monitor)
            .filter(|(id, _)| {
                // A quiet incident says of itself that it is below the quorum.
                let row = at.control.db.incidents.get(id);
                row.is_some_and(|row| row.verdict.as_str() == "down" && row.resolved_at.is_none())
            })
            .map(|(_, (_, monitor))| *monitor)
            .collect();
        if told.kind == NoticeKind::Resolved { Vec::new() } else { monitors.into_iter().collect() }
    }

    /// What is wrong with how often people hear of one monitor.
    pub(super) fn bounded(&mut self, at: &At<'_>, told: &Told) -> Option<String> {
        let subject = self.subjects.get(&told.incident)?;
        let (SubjectKind::Monitor, monitor) = *subject else { return None };
        let times = self.times.entry(monitor).or_default();
        times.push_back(at.now);
        while times.front().is_some_and(|first| at.now - first > WINDOW_MS) {
            times.pop_front();
        }
        let (name, count) = (at.cast.monitors[monitor].name(), times.len());
        (count > NOTICES).then(|| format!("{name} was told of {count} times within 30 min"))
    }

    /// Whoever was told of a beginning was told of its end, once.
    pub(super) fn all_resolved(&self, at: &At<'_>) -> Vec<String> {
        let mut broken = Vec::new();
        for (incident, told) in &self.told {
            let channels =
                told.opened.keys().chain(told.quietly.keys()).chain(told.resolved.keys());
            for channel in channels.collect::<BTreeSet<_>>() {
                let count = |of: &BTreeMap<usize, usize>| of.get(channel).copied().unwrap_or(0);
                let (opened, quietly) = (count(&told.opened), count(&told.quietly));
                let (began, ended) = (opened + quietly, count(&told.resolved));
                if opened > 1 || quietly > 1 || began == 0 || ended != 1 {
                    let channel = &at.cast.channels[*channel];
                    broken.push(format!(
                        "{channel} was told {began} times that #{incident} began and {ended} times that it ended"
                    ));
                }
            }
        }
        broken
    }
}
