//! The history happens again, moment by moment.

use super::{Arrival, History, Mark, Revision, Through};
use crate::correlation::{
    Evaluation, Held, Newest, RegionState, Seat, StateRow, Step, Thresholds, Track, Verdict,
    evaluate, seat_names, view,
};
use crate::incident::Ending;
use hyperverge_protocol::monitor::MonitorSpec;
use std::collections::BTreeMap;
use uuid::Uuid;

/// By which rule the history is decided.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
    /// By each specification while it was in force.
    AsThen,
    /// By this one's policy and regions, whenever the monitor was enabled.
    By(&'a MonitorSpec),
}

/// A history on its way.
#[derive(Debug)]
pub struct Replay<'a> {
    history: &'a History,
    asked: Asked<'a>,
    now: i64,
    /// What is still to come, each in its order.
    arrivals: &'a [Arrival],
    marks: &'a [Mark],
    turns: Vec<i64>,
    /// How far each agent is complete.
    through: BTreeMap<&'a str, i64>,
    newest: BTreeMap<(Uuid, i64), Newest>,
    rows: BTreeMap<Uuid, StateRow>,
    seats: Vec<Seat>,
    /// Who holds each seat.
    holders: Vec<Option<&'a str>>,
    /// When time alone may change what a seat tells.
    wakes_at: Option<i64>,
    ending: Option<Ending>,
    /// Something happened that may change the vote.
    eventful: bool,
    /// The newest evaluation was plainly up.
    steady: bool,
}

impl<'a> Replay<'a> {
    /// Begins before everything that `history` holds.
    pub fn new(history: &'a History, asked: Asked<'a>) -> Self {
        let mut turns = history.turns();
        turns.reverse();
        Self {
            history,
            asked,
            now: i64::MIN,
            arrivals: &history.arrivals,
            marks: &history.marks,
            turns,
            through: BTreeMap::new(),
            newest: BTreeMap::new(),
            rows: BTreeMap::new(),
            seats: Vec::new(),
            holders: Vec::new(),
            wakes_at: None,
            ending: None,
            eventful: true,
            steady: false,
        }
    }

    /// The next moment at which something may change; `None`: nothing more happens.
    pub fn next_moment(&self) -> Option<i64> {
        let arrival = self.arrivals.first().map(|arrival| arrival.received_at);
        [arrival, self.turns.last().copied(), self.wakes_at].into_iter().flatten().min()
    }

    /// Goes to `now`, which is not after [`Self::next_moment`].
    pub fn go(&mut self, now: i64) {
        let (before, since) = (self.in_force(), self.now);
        self.now = now;
        self.ending = None;
        let mut turned = false;
        while self.turns.pop_if(|at| *at <= now).is_some() {
            turned = true;
        }
        if turned {
            self.ending = self.ended(before);
            if self.ending.is_some() {
                self.rows.clear();
            }
            self.doubt(since);
            self.take_seats();
        }
        self.eventful |= turned || self.wakes_at.is_some_and(|at| at <= now);
        self.listen();
        self.wakes_at = self.next_wake();
    }

    /// Goes through everything until `now` and stands there.
    pub fn go_through(&mut self, now: i64) {
        while let Some(at) = self.next_moment().filter(|at| *at <= now) {
            self.go(at);
        }
        self.go(now);
    }

    /// Why the monitor's incident ends at this moment though nobody saw it recover.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// The specification that decides at this moment; `None` while the monitor is
    /// disabled, deleted or not there yet.
    pub fn spec(&self) -> Option<&'a MonitorSpec> {
        let revision = self.in_force().filter(|revision| revision.spec.enabled)?;
        match self.asked {
            Asked::AsThen => Some(&revision.spec),
            Asked::By(spec) => Some(spec),
        }
    }

    /// The seats at this moment, by the regions' names.
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// The agents that hold these seats, in the same order.
    pub fn holders(&self) -> &[Option<&'a str>] {
        &self.holders
    }

    /// The vote at this moment; `None` where nobody votes.
    pub fn evaluation(&self) -> Option<Evaluation> {
        let spec = self.spec()?;
        let stale_after_ms = Thresholds::of(spec).stale_after_ms;
        let seats = self.seats.iter();
        let regions = seats.map(|seat| view(seat, stale_after_ms, self.now)).collect();
        Some(evaluate(regions, spec.policy.quorum))
    }

    /// As [`Self::evaluation`], but only where it may differ from the one before:
    /// while all is steadily well nothing is counted anew.
    pub fn changed_evaluation(&mut self) -> Option<Evaluation> {
        if self.steady && !self.eventful && self.rows.is_empty() {
            return None;
        }
        self.eventful = false;
        let evaluation = self.evaluation()?;
        self.steady = evaluation.verdict == Verdict::Up && evaluation.scope.is_none();
        Some(evaluation)
    }

    fn in_force(&self) -> Option<&'a Revision> {
        self.history.in_force(self.now)
    }

    fn ended(&self, before: Option<&Revision>) -> Option<Ending> {
        let before = &before.filter(|revision| revision.spec.enabled)?.spec;
        let Some(now) = self.in_force() else { return Some(Ending::Deleted) };
        match (self.asked, Ending::of(before, &now.spec)) {
            // The rule names its own regions all along.
            (Asked::By(_), Some(Ending::Rescoped)) => None,
            (_, ending) => ending,
        }
    }

    /// What an agent saw while it had no vote counts no more once it votes again.
    fn doubt(&mut self, since: i64) {
        let (history, now) = (self.history, self.now);
        for discredit in history.discredits.iter().filter(|one| one.ended(since, now)) {
            for (region_id, row) in &mut self.rows {
                let holder = history.tenure(*region_id, now).map(|tenure| &tenure.agent_id);
                let says = row.state != RegionState::Up || row.failures > 0;
                if holder == Some(&discredit.agent_id) && says {
                    *row = row.clone().doubted();
                }
            }
        }
    }

    fn take_seats(&mut self) {
        self.seats.clear();
        self.holders.clear();
        let (Some(revision), Some(spec)) = (self.in_force(), self.spec()) else { return };
        let named = spec.regions.iter().map(String::as_str);
        for name in seat_names(named, self.history.known(self.now)) {
            let place = self.history.regions.iter().find(|place| place.name == name);
            let region_id = place.filter(|place| place.is_known(self.now)).map(|place| place.id);
            // Until somebody was given the present revision, nobody was asked it.
            let tenure = region_id
                .and_then(|id| self.history.tenure(id, self.now))
                .filter(|tenure| tenure.revision == revision.number);
            let held = tenure.map(|tenure| Held {
                revision: tenure.revision,
                first_slot: tenure.first_slot,
                slots: tenure.slots,
                predecessor_through: tenure.predecessor_through,
                complete_through: self.through.get(tenure.agent_id.as_str()).copied(),
                discredited: self.history.is_discredited(&tenure.agent_id, self.now),
            });
            let row = region_id.and_then(|id| self.rows.get(&id)).cloned();
            self.seats.push(Seat { region: name, region_id, held, row });
            self.holders.push(tenure.map(|tenure| tenure.agent_id.as_str()));
        }
    }

    /// Takes what arrived by now.
    fn listen(&mut self) {
        let now = self.now;
        let marks = self.marks.partition_point(|mark| mark.received_at <= now);
        let (heard, marks) = self.marks.split_at(marks);
        self.marks = marks;
        for mark in heard {
            raise(&mut self.through, &mark.agent_id, mark.through);
        }
        let count = self.arrivals.partition_point(|arrival| arrival.received_at <= now);
        let (arrived, arrivals) = self.arrivals.split_at(count);
        self.arrivals = arrivals;
        for arrival in arrived {
            self.eventful |= !arrival.step.is_plain();
            self.hear(arrival);
        }
        if !heard.is_empty() || !arrived.is_empty() {
            self.count(arrived);
        }
        for arrival in arrived {
            self.remember(arrival);
        }
    }

    fn hear(&mut self, arrival: &'a Arrival) {
        let slot = arrival.step.slot();
        let asked = |tenure: &&super::Tenure| {
            tenure.region_id == arrival.region_id
                && tenure.revision == arrival.revision
                && tenure.first_slot <= slot
        };
        let Some(tenure) = self.history.tenures.iter().rfind(asked) else { return };
        match arrival.through {
            Through::Said(through) => raise(&mut self.through, &tenure.agent_id, through),
            Through::Forgotten => {
                raise(&mut self.through, &tenure.agent_id, tenure.slots.due(slot));
            }
            Through::Unsaid => {}
        }
    }

    /// Counts what arrived together into the rows, region by region.
    fn count(&mut self, arrived: &[Arrival]) {
        let Some(spec) = self.spec() else { return };
        for (seat, holder) in self.seats.iter_mut().zip(&self.holders) {
            let (Some(region_id), Some(held)) = (seat.region_id, &mut seat.held) else { continue };
            held.complete_through = holder.and_then(|agent| self.through.get(agent)).copied();
            let of_seat = |arrival: &&Arrival| {
                arrival.region_id == region_id && arrival.revision == held.revision
            };
            let mut steps: Vec<&Step> =
                arrived.iter().filter(of_seat).map(|arrival| &arrival.step).collect();
            if steps.is_empty() {
                continue;
            }
            steps.sort_by_key(|step| step.order());
            let newest = self.newest.get(&(region_id, held.revision)).copied();
            let mut track =
                Track::new(held.revision, Thresholds::of(spec), seat.row.take(), newest);
            for step in steps {
                track.step(step, self.now);
            }
            seat.row = track.into_row();
            match &seat.row {
                Some(row) => drop(self.rows.insert(region_id, row.clone())),
                None => drop(self.rows.remove(&region_id)),
            }
        }
    }

    fn remember(&mut self, arrival: &Arrival) {
        let Step::Sight(sight) = &arrival.step else { return };
        // A burst's check is no slot's own: that may still come.
        let own = sight.burst.is_none().then_some(sight.slot);
        let seen = Newest { slot: own.unwrap_or(sight.slot - 1), started_at: sight.started_at };
        let newest = self.newest.entry((arrival.region_id, arrival.revision)).or_insert(seen);
        newest.slot = newest.slot.max(own.unwrap_or(newest.slot));
        newest.started_at = newest.started_at.max(seen.started_at);
    }

    /// The first moment after now at which a vote grows too old.
    fn next_wake(&self) -> Option<i64> {
        let stale_after_ms = Thresholds::of(self.spec()?).stale_after_ms;
        let known = self.seats.iter().flat_map(|seat| {
            let held = seat.held.as_ref();
            let through = held.and_then(|held| held.complete_through);
            let before = held.and_then(|held| held.predecessor_through);
            let observed = seat.row.as_ref().and_then(|row| row.observed_at);
            [through, before, observed]
        });
        let ends = known.flatten().map(|at| at.saturating_add(stale_after_ms).saturating_add(1));
        ends.filter(|at| *at > self.now).min()
    }
}

fn raise<'a>(through: &mut BTreeMap<&'a str, i64>, agent_id: &'a str, to: i64) {
    let known = through.entry(agent_id).or_insert(to);
    *known = to.max(*known);
}
