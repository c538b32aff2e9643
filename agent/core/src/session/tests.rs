use super::*;
use hyperverge_protocol::wire::LaneState;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn welcome() -> Welcome {
    Welcome { control_time_ms: 5_000, boot_time_ms: 0, region: "eu".into(), ..Welcome::default() }
}

fn effects(session: &mut Session, boot_ms: i64) -> Vec<Effect> {
    std::iter::from_fn(|| session.poll_effect(boot_ms, true)).collect()
}

fn establish(session: &mut Session, boot_ms: i64) -> Vec<Effect> {
    session.handle_connected(boot_ms);
    session.handle_welcome(&welcome());
    session.handle_reconciled(boot_ms);
    effects(session, boot_ms)
}

fn reply(boot_ms: i64, credit: u32) -> HeartbeatReply {
    HeartbeatReply { boot_time_ms: boot_ms, control_time_ms: 9_000, backlog_credit: credit }
}

fn ack(lane: Lane, number: u64) -> BatchAcknowledged {
    BatchAcknowledged { lane: lane.to_wire().into(), number, ..BatchAcknowledged::default() }
}

fn refusal(code: RefusalCode, lane: Lane, number: u64) -> Refusal {
    Refusal { code: code.into(), lane: lane.to_wire().into(), number, ..Refusal::default() }
}

fn sent(effects: &[Effect]) -> Vec<(Lane, u64)> {
    let batch = |effect: &Effect| match effect {
        Effect::SendBatch { lane, number } => Some((*lane, *number)),
        _ => None,
    };
    effects.iter().filter_map(batch).collect()
}

#[test]
fn nothing_is_sent_before_the_numbers_agree() {
    let mut session = Session::new([3], [1]);
    session.handle_connected(0);
    assert_eq!(effects(&mut session, 0), [Effect::SendHello { boot_ms: 0 }]);
    let lanes = vec![LaneState { lane: 1, next_number: 3, waiting_batches: 0 }];
    session.handle_welcome(&Welcome { lanes, ..welcome() });
    assert_eq!(
        effects(&mut session, 0),
        [
            Effect::Sample { sent_boot_ms: 0, control_ms: 5_000 },
            Effect::Reconcile { live: Some(3), backlog: None },
            Effect::Established { region: "eu".into() },
        ]
    );
    session.handle_reconciled(0);
    let now = effects(&mut session, 0);
    assert_eq!(now[0], Effect::SendHeartbeat { boot_ms: 0 });
    assert_eq!(sent(&now), [(Lane::Live, 3)], "the backlog has no credit yet");
    session.handle_heartbeat_reply(&reply(0, 5));
    assert_eq!(sent(&effects(&mut session, 1)), [(Lane::Backlog, 1)]);
}

#[test]
fn only_a_stored_batch_is_forgotten_and_only_once() {
    let mut session = Session::new([1, 2], []);
    establish(&mut session, 0);
    session.handle_acknowledged(&ack(Lane::Live, 1));
    session.handle_acknowledged(&ack(Lane::Live, 1));
    session.handle_acknowledged(&ack(Lane::Live, 9));
    assert_eq!(effects(&mut session, 0).len(), 1);
    session.handle_disconnected();
    assert_eq!(sent(&establish(&mut session, 10)), [(Lane::Live, 2)], "sent again");
}

#[test]
fn a_skipped_number_is_sent_from_where_it_is_expected() {
    let mut session = Session::new([4, 5, 6], []);
    establish(&mut session, 0);
    let wrong = |number| Refusal {
        expected_number: 4,
        ..refusal(RefusalCode::WrongNumber, Lane::Live, number)
    };
    session.handle_refusal(&wrong(5), 0);
    session.handle_refusal(&wrong(6), 0);
    assert_eq!(effects(&mut session, 0), []);
    let wake = session.next_wakeup(0).expect("a rest ends");
    assert_eq!(
        sent(&effects(&mut session, wake)),
        [(Lane::Live, 4), (Lane::Live, 5), (Lane::Live, 6)]
    );
    let missing =
        Refusal { expected_number: 2, ..refusal(RefusalCode::WrongNumber, Lane::Live, 4) };
    session.handle_refusal(&missing, wake);
    assert_eq!(effects(&mut session, wake), [Effect::Disconnect(Disconnect::Numbering)]);
}

#[test]
fn a_busy_control_plane_is_left_alone_as_long_as_it_asks() {
    let mut session = Session::new([1, 2], []);
    establish(&mut session, 0);
    let busy = Refusal { retry_after_ms: 700, ..refusal(RefusalCode::Busy, Lane::Live, 1) };
    session.handle_refusal(&busy, 100);
    assert_eq!(effects(&mut session, 799), []);
    assert_eq!(session.next_wakeup(100), Some(800));
    assert_eq!(sent(&effects(&mut session, 800)), [(Lane::Live, 1), (Lane::Live, 2)]);
}

#[test]
fn a_refusal_that_names_nothing_concerns_everything_under_way() {
    let mut session = Session::new([4, 5], [9]);
    establish(&mut session, 0);
    session.handle_heartbeat_reply(&reply(0, 2));
    assert_eq!(sent(&effects(&mut session, 0)), [(Lane::Backlog, 9)]);
    let busy =
        Refusal { code: RefusalCode::Busy.into(), retry_after_ms: 300, ..Refusal::default() };
    session.handle_refusal(&busy, 0);
    assert_eq!(effects(&mut session, 299), []);
    assert_eq!(
        sent(&effects(&mut session, 300)),
        [(Lane::Live, 4), (Lane::Live, 5), (Lane::Backlog, 9)]
    );
}

#[test]
fn a_rejected_agent_stops_sending() {
    for code in [RefusalCode::Revoked, RefusalCode::NotEnrolled, RefusalCode::Quarantined] {
        let mut session = Session::new([1], []);
        session.handle_connected(0);
        effects(&mut session, 0);
        session.handle_refusal(&Refusal { code: code.into(), ..Refusal::default() }, 0);
        let [Effect::Disconnect(why)] = &effects(&mut session, 0)[..] else { panic!("{code:?}") };
        assert!(why.is_rejection());
        assert_eq!(session.next_wakeup(0), None);
        assert_eq!(session.waiting(Lane::Live), 1, "and loses nothing");
    }
}

#[test]
fn three_unanswered_heartbeats_end_a_session() {
    let mut session = Session::new([], []);
    establish(&mut session, 0);
    let mut now = 0;
    let mut beats = 1;
    let why = loop {
        now = session.next_wakeup(now).expect("alive");
        session.handle_timeout(now);
        match session.poll_effect(now, true) {
            Some(Effect::SendHeartbeat { .. }) => beats += 1,
            Some(Effect::Disconnect(why)) => break why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((beats, why), (3, Disconnect::NoHeartbeatReply));
    session.handle_disconnected();
    session.handle_connected(now);
    session.handle_timeout(now + WELCOME_WITHIN_MS);
    assert!(effects(&mut session, now).contains(&Effect::Disconnect(Disconnect::NoWelcome)));
}

#[derive(Debug, Clone)]
enum Step {
    Seal(bool),
    Deliver,
    Drop,
    Busy,
    Reconnect,
    Pass(i64),
}

proptest! {
    /// Against a control plane that takes only the number it expects, over a
    /// wire that loses everything at a disconnect: within a lane nothing is
    /// stored out of order, nothing unstored is forgotten, and in the end all arrives.
    #[test]
    fn everything_arrives_in_order_and_only_that_is_forgotten(
        steps in prop::collection::vec(prop_oneof![
            5 => any::<bool>().prop_map(Step::Seal),
            8 => Just(Step::Deliver),
            2 => Just(Step::Drop),
            1 => Just(Step::Busy),
            1 => Just(Step::Reconnect),
            3 => (0i64..3_000).prop_map(Step::Pass),
        ], 1..150),
    ) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
            world.pump();
        }
        for _ in 0..400 {
            world.take(Step::Reconnect);
            for _ in 0..50 {
                world.take(Step::Deliver);
                world.pump();
            }
        }
        prop_assert_eq!(&world.forgotten, &world.sealed, "all that was sealed arrived");
    }
}

/// A session, the wire behind it, and a control plane that stores in order.
struct World {
    session: Session,
    now: i64,
    wire: VecDeque<(Lane, u64)>,
    sealed: BTreeSet<(Lane, u64)>,
    stored: BTreeSet<(Lane, u64)>,
    forgotten: BTreeSet<(Lane, u64)>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            session: Session::new([], []),
            now: 0,
            wire: VecDeque::new(),
            sealed: BTreeSet::new(),
            stored: BTreeSet::new(),
            forgotten: BTreeSet::new(),
        };
        world.take(Step::Reconnect);
        world
    }

    fn expected(&self, lane: Lane) -> u64 {
        self.stored.iter().filter(|(l, _)| *l == lane).count() as u64 + 1
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Seal(live) => {
                let lane = if live { Lane::Live } else { Lane::Backlog };
                let number = self.sealed.iter().filter(|(l, _)| *l == lane).count() as u64 + 1;
                self.sealed.insert((lane, number));
                self.session.handle_sealed(lane, number);
            }
            Step::Deliver => {
                if let Some((lane, number)) = self.wire.pop_front() {
                    self.deliver(lane, number);
                }
            }
            Step::Drop => drop(self.wire.pop_back()),
            Step::Busy => {
                if let Some((lane, number)) = self.wire.pop_front() {
                    let busy =
                        Refusal { retry_after_ms: 50, ..refusal(RefusalCode::Busy, lane, number) };
                    self.session.handle_refusal(&busy, self.now);
                }
            }
            Step::Reconnect => {
                self.wire.clear();
                self.session.handle_disconnected();
                self.session.handle_connected(self.now);
                self.session.handle_welcome(&welcome());
                self.session.handle_reconciled(self.now);
            }
            Step::Pass(ms) => self.now += ms,
        }
    }

    fn deliver(&mut self, lane: Lane, number: u64) {
        let expected = self.expected(lane);
        if number > expected {
            let wrong = Refusal {
                expected_number: expected,
                ..refusal(RefusalCode::WrongNumber, lane, number)
            };
            return self.session.handle_refusal(&wrong, self.now);
        }
        self.stored.insert((lane, number));
        self.session.handle_acknowledged(&ack(lane, number));
    }

    fn pump(&mut self) {
        self.session.handle_timeout(self.now);
        let mut in_order: std::collections::BTreeMap<Lane, u64> = Default::default();
        while let Some(effect) = self.session.poll_effect(self.now, true) {
            match effect {
                Effect::SendBatch { lane, number } => {
                    assert!(in_order.insert(lane, number).is_none_or(|before| before < number));
                    self.wire.push_back((lane, number));
                }
                Effect::SendHeartbeat { .. } => {
                    self.session.handle_heartbeat_reply(&reply(self.now, 4))
                }
                Effect::Acknowledged { lane, number, .. } => {
                    assert!(self.stored.contains(&(lane, number)), "forgot what is not stored");
                    assert!(self.forgotten.insert((lane, number)), "forgot twice");
                }
                Effect::Disconnect(_) => {
                    self.take(Step::Reconnect);
                }
                _ => {}
            }
        }
        self.now += 10;
    }
}
