//! `tcp.steps`: what a monitor says, and what it waits for.

use super::session::Secure;
use crate::probe::conversation::Conversation;
use crate::probe::deadline::Deadline;
use crate::probe::failure::Failure;
use crate::probe::limits;
use hyperverge_protocol::monitor::Step;
use hyperverge_protocol::outcome::{Observation, Reason};
use hyperverge_protocol::pattern::Pattern;
use hyperverge_protocol::problem::FieldProblem;
use memchr::memmem::Finder;

/// A monitor's dialogue, compiled once.
#[derive(Debug)]
pub(super) struct Steps(Vec<Action>);

#[derive(Debug)]
enum Action {
    Say(Vec<u8>),
    Await(Box<Wanted>),
    BeginTls,
}

#[derive(Debug)]
enum Wanted {
    /// Text: a protocol in lines.
    Text(Finder<'static>),
    Bytes(Finder<'static>),
    Pattern(Pattern),
}

impl Steps {
    pub(super) fn new(steps: &[Step]) -> Result<Self, FieldProblem> {
        let compiled = steps.iter().enumerate().map(|(at, step)| {
            let problem = |rule: String| FieldProblem::new(format!("tcp.steps[{at}]"), rule);
            let bytes = |digits: &str| {
                hex::decode(digits).map_err(|_| problem("must be hexadecimal digits".to_owned()))
            };
            let wanted = |wanted| Action::Await(Box::new(wanted));
            Ok(match step {
                Step::Send(text) => Action::Say(text.as_bytes().to_vec()),
                Step::SendHex(digits) => Action::Say(bytes(digits)?),
                Step::Expect(text) => wanted(Wanted::Text(Finder::new(text).into_owned())),
                Step::ExpectHex(digits) => {
                    wanted(Wanted::Bytes(Finder::new(&bytes(digits)?).into_owned()))
                }
                Step::ExpectRegex(source) => {
                    let pattern = Pattern::parse(source).map_err(|rule| problem(rule.to_string()));
                    wanted(Wanted::Pattern(pattern?))
                }
                Step::Starttls => Action::BeginTls,
            })
        });
        compiled.collect::<Result<_, _>>().map(Self)
    }

    /// Goes through all of them.
    pub(super) async fn take(
        &self,
        talk: &mut Conversation<'_>,
        tls: Option<&Secure>,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<(), Failure> {
        let mut looks = Looks::default();
        for (at, action) in self.0.iter().enumerate() {
            match (action, tls) {
                (Action::Say(bytes), _) => talk.say(bytes, deadline).await?,
                (Action::Await(wanted), _) => {
                    listen(at, wanted, talk, &mut looks, deadline).await?;
                }
                (Action::BeginTls, Some(tls)) => {
                    talk.begin_tls(&tls.client, &tls.name, deadline, seen).await?;
                }
                (Action::BeginTls, None) => {}
            }
        }
        Ok(())
    }
}

/// When to search an answer that grows: whenever more has come, until the searches
/// of a check have taken [`limits::SEARCH_STEPS`]; from then on when twice as much
/// is there, and when no more will come.
#[derive(Debug, Default)]
struct Looks {
    spent: usize,
    /// Bytes that were searched last.
    searched: usize,
}

impl Looks {
    /// Whether to search an answer of `len` bytes now, which takes `steps`.
    fn is_due(&mut self, len: usize, steps: usize) -> bool {
        let due = self.spent < limits::SEARCH_STEPS || len >= 2 * self.searched;
        if due {
            self.spent = self.spent.saturating_add(steps);
            self.searched = len;
        }
        due
    }
}

/// Waits until `wanted`, of the step `at`, is in the answer.
async fn listen(
    at: usize,
    wanted: &Wanted,
    talk: &mut Conversation<'_>,
    looks: &mut Looks,
    deadline: &mut Deadline<'_>,
) -> Result<(), Failure> {
    looks.searched = 0;
    loop {
        let answer = talk.answer();
        if looks.is_due(answer.len(), wanted.steps(answer.len()))
            && wanted.is_in(answer).ok_or_else(|| tiresome(at, talk))?
        {
            return Ok(());
        }
        let heard = talk.hear_or_end(deadline).await;
        let over = !matches!(heard, Ok(true)) && looks.searched < talk.answer().len();
        if over && wanted.is_in(talk.answer()).ok_or_else(|| tiresome(at, talk))? {
            return Ok(());
        }
        match heard {
            Ok(true) => {}
            // Whoever closes in order after saying something has said it all.
            Ok(false) if !talk.answer().is_empty() => return Err(wrong(at, "closed", talk)),
            Ok(false) => return Err(talk.ended()),
            // Nor is there more to come of an answer that is whole and was not the right one.
            Err(failure) if is_timeout(&failure) && wanted.was_missed(talk.answer()) => {
                return Err(wrong(at, "fell silent", talk));
            }
            Err(failure) => return Err(failure),
        }
    }
}

fn is_timeout(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::TimeoutProcessing | Reason::TimeoutTransfer)
}

/// Never shows what was expected: it may be a secret.
fn wrong(at: usize, how: &str, talk: &Conversation<'_>) -> Failure {
    let (shown, count) = (talk.shown(), talk.answer().len());
    let message =
        format!("{shown} {how} after {count} bytes that are not what tcp.steps[{at}] expects");
    Failure::target(Reason::Response, message)
}

fn tiresome(at: usize, talk: &Conversation<'_>) -> Failure {
    let message = format!(
        "{} answers in a way that takes too many steps to search for what tcp.steps[{at}] expects",
        talk.shown()
    );
    Failure::target(Reason::Response, message)
}

impl Wanted {
    /// What a search of `len` bytes takes at most.
    fn steps(&self, len: usize) -> usize {
        match self {
            Self::Text(_) | Self::Bytes(_) => 1 + len / 32,
            Self::Pattern(pattern) => pattern.steps(len),
        }
    }

    /// `None`: given up.
    fn is_in(&self, answer: &[u8]) -> Option<bool> {
        match self {
            Self::Text(finder) | Self::Bytes(finder) => Some(finder.find(answer).is_some()),
            Self::Pattern(pattern) => pattern.is_match(answer).ok(),
        }
    }

    /// Whether `answer`, which is not the right one, looks whole rather than broken
    /// off: as many bytes as were wanted, or a line with its end.
    fn was_missed(&self, answer: &[u8]) -> bool {
        match self {
            Self::Bytes(finder) => answer.len() >= finder.needle().len(),
            Self::Text(_) | Self::Pattern(_) => answer.ends_with(b"\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_very_many_pieces_is_searched_now_and_then() {
        let wanted = Wanted::Pattern(Pattern::parse("(?-u)(?:x.{1,200}){1,5}y").expect("good"));
        let mut looks = Looks::default();
        let mut searches = 0;
        for len in 0..=limits::CONVERSATION_BYTES {
            searches += usize::from(looks.is_due(len, wanted.steps(len)));
        }
        assert!(searches < 1_000, "{searches}");
        let most = wanted.steps(limits::CONVERSATION_BYTES);
        assert!(looks.spent < limits::SEARCH_STEPS + 16 * most, "{looks:?}");
        assert!(looks.searched >= limits::CONVERSATION_BYTES / 2, "{looks:?}");
        // What is cheap is searched whenever more has come.
        let mut looks = Looks::default();
        let wanted = Wanted::Text(Finder::new("220").into_owned());
        assert!((0..1_000).all(|len| looks.is_due(len, wanted.steps(len))));
    }

    #[test]
    fn what_cannot_be_compiled_names_its_step() {
        for (step, sentence) in [
            (Step::SendHex("0g".to_owned()), "tcp.steps[1] must be hexadecimal digits"),
            (Step::ExpectHex("012".to_owned()), "tcp.steps[1] must be hexadecimal digits"),
            (
                Step::ExpectRegex("(".to_owned()),
                "tcp.steps[1] must be a regular expression: unclosed group",
            ),
        ] {
            let problem = Steps::new(&[Step::Send("x".to_owned()), step]).expect_err("a problem");
            assert_eq!(problem.to_string(), sentence);
        }
    }
}
