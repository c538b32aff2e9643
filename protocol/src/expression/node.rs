//! An expression, ready to be evaluated: names resolved, patterns compiled.

use super::fact::Fact;
use crate::pattern::Pattern;

#[derive(Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Fact(Fact),
    /// Of a loop, by its place in the scope, with its name.
    Variable(usize, String),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Field(Box<Self>, String),
    Index(Box<[Self; 2]>),
    Has(Box<Self>, String),
    HasFact(Fact),
    Not(Box<Self>),
    Negate(Box<Self>),
    And(Box<[Self; 2]>),
    Or(Box<[Self; 2]>),
    /// Condition, then, else.
    If(Box<[Self; 3]>),
    Binary(Operator, Box<[Self; 2]>),
    Call(Function, Vec<Self>),
    Matches(Box<Self>, Box<Pattern>),
    Loop(Loop, Box<LoopNode>),
}

#[derive(Debug)]
pub(super) struct LoopNode {
    pub(super) range: Node,
    /// What must hold of an element; absent in a `map` of two.
    pub(super) test: Option<Node>,
    /// What an element becomes, in a `map`.
    pub(super) becomes: Option<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loop {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

impl Operator {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
        }
    }

    /// Whether the result is true or false.
    pub(super) fn is_test(self) -> bool {
        !matches!(self, Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Modulo)
    }
}

/// The functions there are; `matches` and the loops are nodes of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Contains,
    StartsWith,
    EndsWith,
    LowerAscii,
    UpperAscii,
    Trim,
    Size,
    Int,
    Uint,
    Double,
    Text,
}

/// Name, whether it is called on a value (`x.f(…)`), arguments with that value.
pub(super) const FUNCTIONS: [(Function, &str, bool, usize); 12] = [
    (Function::Contains, "contains", true, 2),
    (Function::StartsWith, "startsWith", true, 2),
    (Function::EndsWith, "endsWith", true, 2),
    (Function::LowerAscii, "lowerAscii", true, 1),
    (Function::UpperAscii, "upperAscii", true, 1),
    (Function::Trim, "trim", true, 1),
    (Function::Size, "size", true, 1),
    (Function::Size, "size", false, 1),
    (Function::Int, "int", false, 1),
    (Function::Uint, "uint", false, 1),
    (Function::Double, "double", false, 1),
    (Function::Text, "string", false, 1),
];

impl Function {
    pub(super) fn as_str(self) -> &'static str {
        FUNCTIONS.iter().find(|(function, ..)| *function == self).map_or("", |(_, name, ..)| name)
    }
}

impl Node {
    /// As in the source, where it is a name with fields and indices; else the
    /// part that cannot be named so is left out.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Fact(fact) => fact.name().to_owned(),
            Self::Variable(_, name) => name.clone(),
            Self::Field(of, field) => format!("{}.{field}", of.path()),
            Self::Index(pair) => match &pair[1] {
                Self::Text(key) => format!("{}[{key:?}]", pair[0].path()),
                Self::Int(index) => format!("{}[{index}]", pair[0].path()),
                other => format!("{}[{}]", pair[0].path(), other.path()),
            },
            Self::Call(function, _) => format!("{}(\u{2026})", function.as_str()),
            _ => "\u{2026}".to_owned(),
        }
    }

    /// The fact at the root of such a name, if the whole of it is known before
    /// evaluation.
    pub(super) fn fixed_path(&self) -> Option<Fact> {
        match self {
            Self::Fact(fact) => Some(*fact),
            Self::Field(of, _) => of.fixed_path(),
            Self::Index(pair) => match pair[1] {
                Self::Text(_) | Self::Int(_) => pair[0].fixed_path(),
                _ => None,
            },
            _ => None,
        }
    }

    /// `false` where the value is certainly not true or false.
    pub(super) fn may_be_bool(&self) -> bool {
        match self {
            Self::Null
            | Self::Int(_)
            | Self::Uint(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::List(_)
            | Self::Map(_)
            | Self::Negate(_)
            | Self::Call(Function::Size | Function::Int | Function::Uint, _)
            | Self::Call(Function::Double | Function::Text, _)
            | Self::Call(Function::LowerAscii | Function::UpperAscii | Function::Trim, _) => false,
            Self::Fact(fact) => !matches!(fact.sort(), super::fact::Sort::Other),
            Self::Binary(operator, _) => operator.is_test(),
            Self::If(parts) => parts[1].may_be_bool() && parts[2].may_be_bool(),
            Self::Loop(kind, _) => !matches!(kind, Loop::Map | Loop::Filter),
            _ => true,
        }
    }

    /// The nodes directly within.
    pub(super) fn children(&self) -> Vec<&Self> {
        match self {
            Self::List(nodes) | Self::Call(_, nodes) => nodes.iter().collect(),
            Self::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
            Self::Field(node, _)
            | Self::Has(node, _)
            | Self::Not(node)
            | Self::Negate(node)
            | Self::Matches(node, _) => vec![node],
            Self::Index(pair) | Self::And(pair) | Self::Or(pair) | Self::Binary(_, pair) => {
                pair.iter().collect()
            }
            Self::If(parts) => parts.iter().collect(),
            Self::Loop(_, parts) => {
                let LoopNode { range, test, becomes } = &**parts;
                [Some(range), test.as_ref(), becomes.as_ref()].into_iter().flatten().collect()
            }
            _ => Vec::new(),
        }
    }
}
