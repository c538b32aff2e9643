//! The requests of one check, and what became of each.

use super::fault::Fault;
use super::shared::{PingSocket, lock};
use crate::probe::limits::LAST_LOOKS;
use hyperverge_protocol::outcome::IcmpFacts;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// What came back for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The round trip.
    Reply(Duration),
    /// An error message, and who sent it.
    Fault(Fault, Option<IpAddr>),
}

/// What a check has heard so far; the socket's reader fills it in.
#[derive(Debug)]
pub(super) struct Heard {
    tally: Mutex<Tally>,
    all: Notify,
    /// What comes later came too late.
    end: Instant,
}

#[derive(Debug)]
struct Tally {
    answers: Vec<Option<Answer>>,
    open: usize,
}

impl Heard {
    /// For a check of `requests` requests, whose time is over at `end`.
    pub(super) fn new(requests: usize, end: Instant) -> Self {
        let tally = Tally { answers: vec![None; requests], open: requests };
        Self { tally: Mutex::new(tally), all: Notify::new(), end }
    }

    /// Whether the check's time was over at `at`.
    pub(super) fn is_over(&self, at: Instant) -> bool {
        at > self.end
    }

    /// How many requests are not answered yet.
    pub(super) fn open(&self) -> usize {
        lock(&self.tally).open
    }

    /// Notes the answer to request `index`, and wakes the check with the last one.
    pub(super) fn hear(&self, index: usize, answer: Answer) {
        let mut tally = lock(&self.tally);
        if let Some(place @ None) = tally.answers.get_mut(index) {
            *place = Some(answer);
            tally.open -= 1;
            if tally.open == 0 {
                drop(tally);
                self.all.notify_one();
            }
        }
    }
}

/// A check's requests to one address.
#[derive(Debug)]
pub(super) struct Round {
    socket: Arc<PingSocket>,
    heard: Arc<Heard>,
    pub(super) to: IpAddr,
    payload: u16,
    sent: Vec<u64>,
    dropped_before: u32,
}

impl Drop for Round {
    fn drop(&mut self) {
        if self.heard.open() > 0 {
            self.socket.forget(&self.sent);
        }
    }
}

impl Round {
    /// A round of `requests` requests, none of which is sent yet.
    pub(super) fn new(
        socket: Arc<PingSocket>,
        to: IpAddr,
        requests: u8,
        payload: u16,
        end: Instant,
    ) -> Self {
        let requests = requests.into();
        let heard = Arc::new(Heard::new(requests, end));
        let dropped_before = socket.dropped();
        Self { socket, heard, to, payload, sent: Vec::with_capacity(requests), dropped_before }
    }

    /// Sends the next request.
    pub(super) fn send(&mut self) -> io::Result<()> {
        let index = self.sent.len();
        self.sent.push(self.socket.send(self.to, self.payload, &self.heard, index)?);
        Ok(())
    }

    /// Ends when every request of the round has been answered.
    pub(super) async fn complete(&self) {
        if self.heard.open() > 0 {
            self.heard.all.notified().await;
        }
    }

    /// Looks once more before giving up; see [`PingSocket::drain`].
    pub(super) fn look(&self) {
        for _ in 0..LAST_LOOKS {
            if self.socket.drain(true) {
                return;
            }
        }
    }

    /// Whether answers were not read by this host.
    pub(super) fn is_broken(&self) -> bool {
        self.socket.is_broken()
    }

    /// Whether answers may have been lost on this host.
    pub(super) fn overflowed(&self) -> bool {
        self.socket.dropped() != self.dropped_before
    }

    /// The facts so far, the mean round trip, and the last error message.
    pub(super) fn summary(&self) -> Summary {
        let tally = lock(&self.heard.tally);
        let trips = tally.answers.iter().filter_map(|answer| match answer {
            Some(Answer::Reply(took)) => Some(*took),
            _ => None,
        });
        let fault = tally.answers.iter().rev().find_map(|answer| match answer {
            Some(Answer::Fault(fault, by)) => Some((*fault, *by)),
            _ => None,
        });
        Summary { facts: facts(self.sent.len(), trips.clone()), mean: mean(trips), fault }
    }
}

/// What a round came to.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) facts: IcmpFacts,
    pub(super) mean: Option<Duration>,
    pub(super) fault: Option<(Fault, Option<IpAddr>)>,
}

/// Of round trips in the order of their requests. Most checks have a single one.
fn facts(sent: usize, trips: impl Iterator<Item = Duration> + Clone) -> IcmpFacts {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let steps = trips.clone().zip(trips.clone().skip(1)).map(|(one, next)| one.abs_diff(next));
    IcmpFacts {
        sent: count(sent),
        received: count(trips.clone().count()),
        min_us: trips.clone().min().map(micros),
        mean_us: mean(trips.clone()).map(micros),
        max_us: trips.max().map(micros),
        jitter_us: mean(steps).map(micros),
    }
}

fn mean(all: impl Iterator<Item = Duration> + Clone) -> Option<Duration> {
    let count = u32::try_from(all.clone().count()).ok()?;
    all.sum::<Duration>().checked_div(count)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_those_of_the_replies_in_the_order_of_their_requests() {
        let ms = Duration::from_millis;
        let facts = facts(5, [ms(10), ms(30), ms(20)].into_iter());
        assert_eq!((facts.sent, facts.received, facts.loss_percent()), (5, 3, 40));
        assert_eq!((facts.min_us, facts.max_us), (Some(10_000), Some(30_000)));
        assert_eq!((facts.mean_us, facts.jitter_us), (Some(20_000), Some(15_000)));
        let single = super::facts(1, [ms(7)].into_iter());
        assert_eq!((single.mean_us, single.jitter_us), (Some(7_000), None));
        assert_eq!(super::facts(2, [].into_iter()).mean_us, None);
    }

    #[test]
    fn only_the_first_answer_counts() {
        let heard = Heard::new(2, crate::clock::monotonic());
        heard.hear(1, Answer::Reply(Duration::from_millis(5)));
        heard.hear(1, Answer::Reply(Duration::from_millis(9)));
        heard.hear(7, Answer::Reply(Duration::from_millis(9)));
        let tally = lock(&heard.tally);
        assert_eq!(tally.open, 1);
        assert_eq!(tally.answers[1], Some(Answer::Reply(Duration::from_millis(5))));
    }
}
