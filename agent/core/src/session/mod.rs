//! The link session: what is sent next, and what an answer means.
//!
//! ```text
//! Down --connected--> Greeting --Welcome--> Reconciling --reconciled--> Established
//!   ^                    |                      |                           |
//!   +-------- disconnected, or nothing heard for three heartbeats ----------+
//! ```
//!
//! A batch is forgotten only when its acknowledgement arrives. Within a lane
//! batches go out in ascending order; the live lane goes first, the backlog
//! within the credit that the control plane grants with each heartbeat. After a
//! reconnect everything unacknowledged is sent again: the control plane
//! acknowledges what it has.
//!
//! Feed inputs, then drain [`Session::poll_effect`]; call
//! [`Session::handle_timeout`] at [`Session::next_wakeup`].

mod lane;
#[cfg(test)]
mod tests;

use crate::Lane;
use crate::limits::{
    BACKLOG_WINDOW, BUSY_PAUSE_MS, HEARTBEAT_MS, HEARTBEAT_RANGE_MS, HEARTBEATS_UNANSWERED,
    LIVE_WINDOW, REFUSED_PAUSE_MS, WELCOME_WITHIN_MS, WRONG_NUMBER_PAUSE_MS,
};
use hyperverge_protocol::wire::{BatchAcknowledged, HeartbeatReply, Refusal, RefusalCode, Welcome};
use lane::LaneSend;
use std::collections::VecDeque;

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The time is the Hello's `boot_time_ms`.
    SendHello {
        boot_ms: i64,
    },
    /// The time is the heartbeat's `boot_time_ms`.
    SendHeartbeat {
        boot_ms: i64,
    },
    SendBatch {
        lane: Lane,
        number: u64,
    },
    /// The clock learns: sent then, answered now, with this time in the answer.
    Sample {
        sent_boot_ms: i64,
        control_ms: i64,
    },
    /// Compare the spool with these expected numbers, then call
    /// [`Session::handle_reconciled`].
    Reconcile {
        live: Option<u64>,
        backlog: Option<u64>,
    },
    Established {
        region: String,
    },
    /// The batch is stored; the spool may forget it.
    Acknowledged {
        lane: Lane,
        number: u64,
        stored: u32,
        duplicates: u32,
        refused: u32,
    },
    /// A batch was refused for good; the lane rests.
    BatchRefused {
        lane: Lane,
        number: u64,
        code: RefusalCode,
        message: String,
    },
    Disconnect(Disconnect),
}

/// Why a connection is given up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disconnect {
    #[error("no answer to the Hello")]
    NoWelcome,
    #[error("heartbeats stay unanswered")]
    NoHeartbeatReply,
    #[error("the control plane expects a batch that is not held")]
    Numbering,
    /// Trying again soon would change nothing: a person has to act.
    #[error("refused: {message}")]
    Rejected { code: RefusalCode, message: String },
    #[error("the control plane ended the session: {message}")]
    Ended { message: String },
}

impl Disconnect {
    /// Whether only a person at the control plane can change the answer.
    pub fn is_rejection(&self) -> bool {
        matches!(self, Self::Rejected { .. })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Down,
    Greeting {
        since_ms: i64,
    },
    Reconciling,
    Established,
    /// Nothing more is sent; the shell is closing the connection.
    Closing,
}

/// See the module's head.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    live: LaneSend,
    backlog: LaneSend,
    credit: usize,
    heartbeat_every_ms: i64,
    next_heartbeat_ms: i64,
    /// Boot times of heartbeats without an answer.
    unanswered: VecDeque<i64>,
    effects: VecDeque<Effect>,
}

impl Session {
    /// A session that is down, with the numbers that already wait.
    pub fn new(
        live: impl IntoIterator<Item = u64>,
        backlog: impl IntoIterator<Item = u64>,
    ) -> Self {
        Self {
            phase: Phase::Down,
            live: LaneSend::new(live),
            backlog: LaneSend::new(backlog),
            credit: 0,
            heartbeat_every_ms: HEARTBEAT_MS,
            next_heartbeat_ms: i64::MAX,
            unanswered: VecDeque::new(),
            effects: VecDeque::new(),
        }
    }

    fn lane_mut(&mut self, lane: Lane) -> &mut LaneSend {
        match lane {
            Lane::Live => &mut self.live,
            Lane::Backlog => &mut self.backlog,
        }
    }

    /// A connection is up.
    pub fn handle_connected(&mut self, boot_ms: i64) {
        self.reset_connection();
        self.phase = Phase::Greeting { since_ms: boot_ms };
        self.effects.push_back(Effect::SendHello { boot_ms });
    }

    /// The connection is gone; everything unacknowledged waits again.
    pub fn handle_disconnected(&mut self) {
        self.reset_connection();
        self.phase = Phase::Down;
    }

    /// A batch is durable and may be sent.
    pub fn handle_sealed(&mut self, lane: Lane, number: u64) {
        self.lane_mut(lane).add(number);
    }

    /// The control plane answered the Hello.
    pub fn handle_welcome(&mut self, welcome: &Welcome) {
        let Phase::Greeting { since_ms } = self.phase else { return };
        self.phase = Phase::Reconciling;
        if welcome.heartbeat_interval_ms > 0 {
            let (least, most) = HEARTBEAT_RANGE_MS;
            self.heartbeat_every_ms = i64::from(welcome.heartbeat_interval_ms).clamp(least, most);
        }
        if welcome.boot_time_ms == since_ms {
            self.effects.push_back(Effect::Sample {
                sent_boot_ms: since_ms,
                control_ms: welcome.control_time_ms,
            });
        }
        let expected = |lane: Lane| {
            let found = welcome.lanes.iter().find(|l| Lane::from_wire(l.lane) == Some(lane));
            found.map(|l| l.next_number)
        };
        self.effects.push_back(Effect::Reconcile {
            live: expected(Lane::Live),
            backlog: expected(Lane::Backlog),
        });
        self.effects.push_back(Effect::Established { region: welcome.region.clone() });
    }

    /// The spool agrees with the control plane's numbers; sending begins.
    pub fn handle_reconciled(&mut self, boot_ms: i64) {
        if self.phase == Phase::Reconciling {
            self.phase = Phase::Established;
            self.next_heartbeat_ms = boot_ms;
            self.handle_timeout(boot_ms);
        }
    }

    /// A heartbeat was answered. An answer to something never asked is ignored.
    pub fn handle_heartbeat_reply(&mut self, reply: &HeartbeatReply) {
        let Some(index) = self.unanswered.iter().position(|sent| *sent == reply.boot_time_ms)
        else {
            return;
        };
        self.unanswered.drain(..=index);
        self.credit = (reply.backlog_credit as usize).min(BACKLOG_WINDOW);
        self.effects.push_back(Effect::Sample {
            sent_boot_ms: reply.boot_time_ms,
            control_ms: reply.control_time_ms,
        });
    }

    /// A batch is stored.
    pub fn handle_acknowledged(&mut self, ack: &BatchAcknowledged) {
        let Some(lane) = Lane::from_wire(ack.lane) else { return };
        if self.lane_mut(lane).acknowledge(ack.number) {
            self.effects.push_back(Effect::Acknowledged {
                lane,
                number: ack.number,
                stored: ack.stored,
                duplicates: ack.duplicates,
                refused: ack.refused,
            });
        }
    }

    /// Something was not taken.
    pub fn handle_refusal(&mut self, refusal: &Refusal, boot_ms: i64) {
        let code = refusal.code();
        let message = refusal.message.clone();
        if is_rejection(code) {
            return self.close(Disconnect::Rejected { code, message });
        }
        if refusal.fatal {
            return self.close(Disconnect::Ended { message });
        }
        let Some(lane) = Lane::from_wire(refusal.lane) else {
            return self.handle_unnamed_refusal(refusal, boot_ms);
        };
        let number = refusal.number;
        match code {
            RefusalCode::WrongNumber => self.handle_wrong_number(lane, refusal, boot_ms),
            RefusalCode::Busy | RefusalCode::Internal => {
                let rest_ms = busy_pause_ms(refusal);
                self.lane_mut(lane).send_again_from(number, boot_ms + rest_ms);
            }
            _ => {
                self.lane_mut(lane).send_again_from(number, boot_ms + REFUSED_PAUSE_MS);
                self.effects.push_back(Effect::BatchRefused { lane, number, code, message });
            }
        }
    }

    /// A refusal that does not say of what: any batch under way may be meant, so
    /// all of them go out again, after a rest.
    fn handle_unnamed_refusal(&mut self, refusal: &Refusal, boot_ms: i64) {
        let rest_ms = match refusal.code() {
            RefusalCode::Busy | RefusalCode::Internal => busy_pause_ms(refusal),
            _ => REFUSED_PAUSE_MS,
        };
        for lane in Lane::ALL {
            self.lane_mut(lane).send_again(boot_ms + rest_ms);
        }
    }

    fn handle_wrong_number(&mut self, lane: Lane, refusal: &Refusal, boot_ms: i64) {
        let (number, expected) = (refusal.number, refusal.expected_number);
        let sending = self.lane_mut(lane);
        if !sending.is_in_flight(number) {
            return; // an answer to something that was already set back
        }
        if sending.holds(expected) {
            sending.send_again_from(expected, boot_ms + WRONG_NUMBER_PAUSE_MS);
        } else {
            // The next Welcome names the number again, and the spool heals it.
            self.close(Disconnect::Numbering);
        }
    }

    /// Sends heartbeats when due and gives up a session that is dead.
    pub fn handle_timeout(&mut self, boot_ms: i64) {
        match self.phase {
            Phase::Greeting { since_ms } if boot_ms >= since_ms + WELCOME_WITHIN_MS => {
                self.close(Disconnect::NoWelcome);
            }
            Phase::Established if boot_ms >= self.next_heartbeat_ms => {
                if self.unanswered.len() >= HEARTBEATS_UNANSWERED {
                    return self.close(Disconnect::NoHeartbeatReply);
                }
                self.unanswered.push_back(boot_ms);
                self.next_heartbeat_ms = boot_ms + self.heartbeat_every_ms;
                self.effects.push_back(Effect::SendHeartbeat { boot_ms });
            }
            _ => {}
        }
    }

    /// The bytes of a sealed batch are gone for good; the next Welcome decides
    /// what becomes of its number.
    pub fn handle_lost(&mut self, lane: Lane, number: u64) {
        self.lane_mut(lane).acknowledge(number);
        self.close(Disconnect::Numbering);
    }

    /// The next thing to do; `boot_ms` decides whether a resting lane may go
    /// on, and `room` whether the connection can take a batch now.
    pub fn poll_effect(&mut self, boot_ms: i64, room: bool) -> Option<Effect> {
        if let Some(effect) = self.effects.pop_front() {
            return Some(effect);
        }
        if self.phase != Phase::Established || !room {
            return None;
        }
        if let Some(number) = self.live.send_next(LIVE_WINDOW, boot_ms) {
            return Some(Effect::SendBatch { lane: Lane::Live, number });
        }
        let number = self.backlog.send_next(self.credit, boot_ms)?;
        Some(Effect::SendBatch { lane: Lane::Backlog, number })
    }

    /// When to call [`Self::handle_timeout`] and [`Self::poll_effect`] next.
    pub fn next_wakeup(&self, boot_ms: i64) -> Option<i64> {
        match self.phase {
            Phase::Greeting { since_ms } => Some(since_ms + WELCOME_WITHIN_MS),
            Phase::Established => {
                let resting = [&self.live, &self.backlog]
                    .into_iter()
                    .filter_map(|l| l.resting_until(boot_ms));
                Some(resting.fold(self.next_heartbeat_ms, i64::min))
            }
            Phase::Down | Phase::Reconciling | Phase::Closing => None,
        }
    }

    /// Whether results can be sent now.
    pub fn is_established(&self) -> bool {
        self.phase == Phase::Established
    }

    /// Batches not yet acknowledged.
    pub fn waiting(&self, lane: Lane) -> usize {
        match lane {
            Lane::Live => self.live.waiting(),
            Lane::Backlog => self.backlog.waiting(),
        }
    }

    /// The lowest number not yet acknowledged.
    pub fn first_waiting(&self, lane: Lane) -> Option<u64> {
        match lane {
            Lane::Live => self.live.first_waiting(),
            Lane::Backlog => self.backlog.first_waiting(),
        }
    }

    fn close(&mut self, why: Disconnect) {
        if matches!(self.phase, Phase::Down | Phase::Closing) {
            return;
        }
        self.phase = Phase::Closing;
        self.effects.push_back(Effect::Disconnect(why));
    }

    fn reset_connection(&mut self) {
        self.live.rewind();
        self.backlog.rewind();
        self.credit = 0;
        self.unanswered.clear();
        self.next_heartbeat_ms = i64::MAX;
        self.effects.retain(|effect| matches!(effect, Effect::Acknowledged { .. }));
    }
}

fn busy_pause_ms(refusal: &Refusal) -> i64 {
    i64::from(refusal.retry_after_ms).clamp(BUSY_PAUSE_MS.0, BUSY_PAUSE_MS.1)
}

/// Refusals of the agent itself rather than of one message.
fn is_rejection(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::NotEnrolled
            | RefusalCode::Revoked
            | RefusalCode::Quarantined
            | RefusalCode::TokenUnknown
            | RefusalCode::TokenExpired
            | RefusalCode::TokenUsed
    )
}
