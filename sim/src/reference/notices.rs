//! Who was told what: one incident for a subject, one end for each beginning, and
//! no storm about something that flaps.

use super::At;
use crate::control::database::{IncidentId, Subject};
use crate::control::note::{Joined, Told};
use crate::world::cast::MonitorIndex;
use hyperverge_control_core::correlation::Verdict;
use hyperverge_control_core::incident::{EventKind, SubjectKind};
use hyperverge_control_core::notification::NoticeKind;
use hyperverge_protocol::monitor::Flap;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A notice follows its turn so late at most, beside the group wait, ms.
const TELLING_MS: i64 = 5_000;

/// How often each channel was told.
#[derive(Debug, Default)]
struct ToldOf {
    opened: BTreeMap<usize, usize>,
    quietly: BTreeMap<usize, usize>,
    resolved: BTreeMap<usize, usize>,
}

/// What is known of an incident.
#[derive(Debug, Clone, Copy)]
struct Known {
    subject: Subject,
    opened_at: i64,
    resolved_at: Option<i64>,
    /// When its beginning was told with a quorum.
    began: Option<i64>,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Notices {
    open: BTreeMap<Subject, IncidentId>,
    incidents: BTreeMap<IncidentId, Known>,
    of_monitor: BTreeMap<MonitorIndex, Vec<IncidentId>>,
    /// By the incident through which it was told: a group's is its lead.
    told: BTreeMap<IncidentId, ToldOf>,
    /// When people were told of a monitor, by its own incident or a group's, by our clock.
    times: BTreeMap<MonitorIndex, Vec<i64>>,
    /// Since when each monitor's verdict is up.
    up_since: BTreeMap<MonitorIndex, i64>,
}

impl Notices {
    /// A verdict changed.
    pub(super) fn turned(&mut self, monitor: MonitorIndex, to: Verdict, now: i64) {
        match to {
            Verdict::Up => _ = self.up_since.insert(monitor, now),
            // Silence makes nothing worse.
            Verdict::Unknown => {}
            Verdict::Down | Verdict::Degraded => _ = self.up_since.remove(&monitor),
        }
    }

    /// An incident changed.
    pub(super) fn incident(
        &mut self,
        at: &At<'_>,
        id: IncidentId,
        subject: Subject,
        kind: EventKind,
    ) -> Option<String> {
        let name = || crate::report::subject_name(at.cast, subject);
        match kind {
            EventKind::Opened => {
                let (opened_at, resolved_at, began) = (at.now, None, None);
                self.incidents.insert(id, Known { subject, opened_at, resolved_at, began });
                if subject.0 == SubjectKind::Monitor {
                    self.of_monitor.entry(subject.1).or_default().push(id);
                }
                let other = self.open.insert(subject, id);
                other.map(|other| format!("{} has two open incidents, #{other} and #{id}", name()))
            }
            EventKind::Resolved => {
                let was = self.open.remove(&subject);
                if was != Some(id) {
                    return Some(format!("#{id} of {} ended and was not open", name()));
                }
                let known = self.incidents.get_mut(&id)?;
                known.resolved_at = Some(at.now);
                let told = known.began.is_some();
                (told && subject.0 == SubjectKind::Monitor)
                    .then(|| self.ended_too_soon(at, subject.1))
                    .flatten()
            }
            _ => None,
        }
    }

    /// A notice goes out. Gives what is wrong, and the incidents of which it says to
    /// people who are paged that they began.
    pub(super) fn told(&mut self, at: &At<'_>, told: &Told) -> (Vec<String>, Vec<IncidentId>) {
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
        if told.kind == NoticeKind::Widened {
            // A route may name it only now: that is where it begins for those.
            for channel in told.channels.iter().filter(|it| !of.quietly.contains_key(it)) {
                of.opened.entry(*channel).or_insert(1);
            }
        }
        if told.quiet {
            return (Vec::new(), Vec::new());
        }
        // What makes a group around one that was told before is a turn of the others only.
        let comes = told.kind == NoticeKind::Widened && !told.begins.contains(&told.incident);
        for member in if comes { &told.begins } else { &told.members } {
            if let Some(Known { subject: (SubjectKind::Monitor, monitor), .. }) =
                self.incidents.get(member)
            {
                self.times.entry(*monitor).or_default().push(at.control.clock(at.now));
            }
        }
        let opens = told.kind == NoticeKind::Opened || told.opening_included;
        // A newcomer is told through the lead, and began when it joined.
        let own = opens && told.begins.contains(&told.incident);
        let broken = own.then(|| self.begins(at, told.incident)).flatten();
        let says = opens || told.kind == NoticeKind::Widened;
        (broken.into_iter().collect(), if says { told.begins.clone() } else { Vec::new() })
    }

    /// An incident came into a group. Gives what is wrong, and the incident if its
    /// beginning is told to people who are paged.
    pub(super) fn joined(
        &mut self,
        at: &At<'_>,
        group: u64,
        incident: IncidentId,
        how: Joined,
    ) -> (Option<String>, Option<IncidentId>) {
        let quiet = at.control.db.groups.get(&group).is_none_or(|group| group.quiet);
        if how != Joined::Told || quiet {
            return (None, None);
        }
        (self.begins(at, incident), Some(incident))
    }

    /// Its beginning is told with a quorum; what is wrong if it was before.
    fn begins(&mut self, at: &At<'_>, incident: IncidentId) -> Option<String> {
        let known = self.incidents.get_mut(&incident)?;
        let before = known.began.replace(at.now);
        before.map(|before| format!("the beginning of #{incident} was told at {before} ms already"))
    }

    /// Of these incidents, monitors that should have a quorum now, and those that should
    /// have had one since a time, as they are over.
    pub(super) fn should_have_quorum(
        &self,
        begins: &[IncidentId],
    ) -> (BTreeSet<MonitorIndex>, Vec<(MonitorIndex, i64)>) {
        let (mut now, mut once) = (BTreeSet::new(), Vec::new());
        for known in begins.iter().filter_map(|id| self.incidents.get(id)) {
            let (SubjectKind::Monitor, monitor) = known.subject else { continue };
            match known.resolved_at {
                None => _ = now.insert(monitor),
                Some(_) => once.push((monitor, known.opened_at)),
            }
        }
        (now, once)
    }

    /// Whether people were told by `due` of the incident in which the monitor was down at `at`.
    pub(super) fn began_loudly(&self, monitor: MonitorIndex, at: i64, due: i64) -> bool {
        let ids = self.of_monitor.get(&monitor).map(Vec::as_slice).unwrap_or_default();
        let mut then = ids.iter().filter_map(|id| self.incidents.get(id)).filter(|known| {
            known.opened_at <= at && known.resolved_at.is_none_or(|resolved| resolved > at)
        });
        then.any(|known| known.began.is_some_and(|began| began <= due))
    }

    /// What is wrong with an end after so many notices that it flaps: it ends when it has
    /// been well for as long as its policy says.
    fn ended_too_soon(&self, at: &At<'_>, monitor: MonitorIndex) -> Option<String> {
        let watched = &at.cast.monitors[monitor];
        let Flap { changes, within, settle } = watched.monitor.spec.policy.flap;
        let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let late = at.cast.group_wait + TELLING_MS;
        let times = self.times.get(&monitor)?;
        let clock = at.control.clock(at.now);
        // What is in the future was told before the clock was set back.
        let age = |time: &i64| clock - time;
        let recent = times.iter().filter(|time| (0..=ms(within.0) - late).contains(&age(time)));
        let recent = recent.count();
        let flaps = changes > 0 && recent > changes as usize;
        let well = self.up_since.get(&monitor).map_or(0, |since| at.now - since);
        (flaps && well < ms(settle.0) - 1_000).then(|| {
            let name = watched.name();
            format!("{name} ended after {recent} notices and {well} ms of being well: it flaps")
        })
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
