//! Assertions: expressions in CEL (the Common Expression Language) over what a check saw.
//!
//! An author of assertions and a target may both be hostile, or merely
//! careless. The crate `cel` parses; it puts no bound on evaluation, so that
//! part is ours:
//!
//! - before: length of the source, parts, depth and loops are bounded, names
//!   and functions are a closed list, patterns are literals and compiled once.
//!   The parser recurses, so it runs on a stack of its own.
//! - during: each step is paid for by the size of what it works on, from one
//!   budget for all assertions of a check; memory is bounded by it too. An
//!   assertion that uses it up fails and says so; what was not worked out is
//!   never guessed.
//!
//! In three respects it is kinder than CEL: whole numbers, signed or not, and
//! fractions mix (`response.json().price * 2` does not depend on whether the
//! price has a fraction today); header names may be in any letters; and a
//! phase that did not take place can be asked for with `has(phases.tls)`.
//!
//! To add a name: `fact.rs`. To add a function: `node.rs` and `functions.rs`.
//! People read about both in docs/assertions.md.

mod error;
mod evaluate;
mod fact;
mod functions;
mod json;
mod lower;
mod message;
mod node;
mod operators;
mod value;

use crate::limits::{
    ASSERTION_BYTES, ASSERTION_DEPTH, ASSERTION_LOOPS, ASSERTION_NESTING, ASSERTION_NODES,
    ASSERTION_STACK_BYTES,
};
use crate::monitor::Kind;
use crate::pattern::{Pattern, PatternRule};
use error::Error;
use fact::Fact;
pub use fact::Facts;
use node::Node;
use value::Value;

/// Why an expression is refused; reads on after the field's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    #[error("must be 1 to {ASSERTION_BYTES} bytes")]
    Length,
    #[error("must be an expression in CEL{0}")]
    Syntax(String),
    #[error("must have at most {ASSERTION_NODES} names, values, operators and calls")]
    Nodes,
    #[error("must not nest, or chain operators, deeper than {ASSERTION_DEPTH}")]
    Depth,
    #[error(
        "must not have more than {ASSERTION_LOOPS} of all, exists, filter and map within one another"
    )]
    Loops,
    #[error("must only use known names and functions: `{0}` is none")]
    Unknown(String),
    #[error("must only use known names: `{0}` is none; did you mean `{1}`?")]
    Misspelt(String, &'static str),
    #[error("must say which field of `{0}` is meant: {1}")]
    Field(String, String),
    #[error("must call `{0}` with {1} argument(s)")]
    Arguments(String, &'static str),
    #[error("must ask for a field with `has`, such as has(response.json().status)")]
    Has,
    #[error("must name the variable of a loop, as in list.all(x, x > 0)")]
    Variable,
    #[error("must give `matches` its pattern as a literal")]
    PatternLiteral,
    #[error("must have a good pattern in `matches`, which {0}")]
    Pattern(#[from] PatternRule),
    #[error("must be true or false as a whole, such as response.status == 200")]
    NotATest,
    #[error("must not use `{0}`, which kind {1} does not have")]
    Kind(&'static str, &'static str),
}

/// The names an expression may use, for whoever lists them.
pub fn names() -> impl Iterator<Item = &'static str> {
    fact::FACTS.iter().map(|(_, name, _)| *name)
}

/// What a probe has to keep for an expression to see it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uses {
    /// All of the body, in one piece.
    pub body: bool,
    pub headers: bool,
}

/// One assertion, compiled.
#[derive(Debug)]
pub struct Expression {
    source: String,
    root: Node,
}

impl Expression {
    /// Compiles `source` for monitors of `kind`.
    pub fn parse(source: &str, kind: Kind) -> Result<Self, Rule> {
        if !(1..=ASSERTION_BYTES).contains(&source.len()) {
            return Err(Rule::Length);
        }
        let root = stacker::grow(ASSERTION_STACK_BYTES, || {
            let env = cel::Env::default().with_optional_support(false);
            let tree = env.parser().max_recursion_depth(ASSERTION_NESTING).parse(source);
            lower::Lowering::default().node(&tree.map_err(syntax)?)
        })?;
        if !root.may_be_bool() {
            return Err(Rule::NotATest);
        }
        let expression = Self { source: source.trim().to_owned(), root };
        match expression.facts().into_iter().find(|fact| !fact.kinds().contains(&kind)) {
            Some(fact) => Err(Rule::Kind(fact.name(), kind.as_str())),
            None => Ok(expression),
        }
    }

    /// What must be kept of an answer.
    pub fn uses(&self) -> Uses {
        let facts = self.facts();
        let any = |wanted: &[Fact]| facts.iter().any(|fact| wanted.contains(fact));
        Uses { body: any(&[Fact::Body, Fact::Json]), headers: any(&[Fact::Headers]) }
    }

    /// Whether the expression is true of `facts`; if not, the sentence that
    /// says so, with the values it saw.
    pub fn judge(&self, facts: &Facts<'_>) -> Result<(), String> {
        match evaluate::evaluate(&self.root, facts) {
            Ok(Value::Bool(true)) => Ok(()),
            Ok(Value::Bool(false)) => Err(message::is_false(&self.source, &self.root, facts)),
            Ok(other) => {
                let error = Error::NotBool { path: "it".to_owned(), sort: other.sort() };
                Err(message::has_no_value(&self.source, &error))
            }
            Err(error) => Err(message::has_no_value(&self.source, &error)),
        }
    }

    /// Every pattern of a `matches`.
    pub(crate) fn patterns(&self) -> Vec<&Pattern> {
        let mut found = Vec::new();
        for node in self.nodes() {
            if let Node::Matches(_, pattern) = node {
                found.push(&**pattern);
            }
        }
        found
    }

    /// Every fact that is used, once for each use.
    fn facts(&self) -> Vec<Fact> {
        let fact = |node: &Node| match node {
            Node::Fact(fact) | Node::HasFact(fact) => Some(*fact),
            _ => None,
        };
        self.nodes().filter_map(fact).collect()
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        let mut open = vec![&self.root];
        std::iter::from_fn(move || {
            let node = open.pop()?;
            open.extend(node.children());
            Some(node)
        })
    }
}

/// The parser's first complaint, as one line.
fn syntax(errors: cel::ParseErrors) -> Rule {
    let Some(first) = errors.errors.first() else { return Rule::Syntax(String::new()) };
    let (line, column) = first.pos;
    let mut sentence: String = first.msg.chars().filter(|c| !c.is_control()).take(160).collect();
    if let Some(end) = sentence.find(" expecting {") {
        sentence.truncate(end);
    }
    Rule::Syntax(format!(" (line {line}, column {column}: {sentence})"))
}
