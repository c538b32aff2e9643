//! From the parser's tree to ours: every name and function is known, every
//! pattern compiled, every bound kept, or the expression is refused.

use super::Rule;
use super::fact::{FACTS, Fact};
use super::node::{FUNCTIONS, Loop, LoopNode, Node, Operator};
use crate::limits::{ASSERTION_DEPTH, ASSERTION_LOOPS, ASSERTION_NODES};
use crate::pattern::Pattern;
use cel::IdedExpr;
use cel::common::ast::{CallExpr, EntryExpr, Expr, ListExpr, LiteralValue, MapExpr, operators};

#[derive(Debug, Default)]
pub(super) struct Lowering {
    nodes: usize,
    depth: usize,
    loops: usize,
    /// Names of the variables of the loops around.
    scope: Vec<String>,
}

impl Lowering {
    pub(super) fn node(&mut self, expr: &IdedExpr) -> Result<Node, Rule> {
        self.nodes += 1;
        self.depth += 1;
        if self.nodes > ASSERTION_NODES {
            return Err(Rule::Nodes);
        }
        if self.depth > ASSERTION_DEPTH {
            return Err(Rule::Depth);
        }
        let node = match &expr.expr {
            Expr::Literal(literal) => literal_node(literal)?,
            Expr::Ident(name) => self.name(name)?,
            Expr::Select(select) => match fact_of(&expr.expr)? {
                Some(fact) => Node::Fact(fact),
                None => Node::Field(self.boxed(&select.operand)?, select.field.clone()),
            },
            Expr::List(ListExpr { elements, .. }) => Node::List(self.all(elements)?),
            Expr::Map(map) => self.map(map)?,
            Expr::Call(call) => self.call(call)?,
            Expr::Struct(_) => return Err(Rule::Unknown("messages such as `Name{…}`".to_owned())),
            Expr::Comprehension(_) | Expr::Unspecified => return Err(Rule::Syntax(String::new())),
        };
        self.depth -= 1;
        Ok(node)
    }

    fn boxed(&mut self, expr: &IdedExpr) -> Result<Box<Node>, Rule> {
        self.node(expr).map(Box::new)
    }

    fn all(&mut self, exprs: &[IdedExpr]) -> Result<Vec<Node>, Rule> {
        exprs.iter().map(|expr| self.node(expr)).collect()
    }

    /// Exactly `N` operands.
    fn operands<const N: usize>(&mut self, exprs: &[IdedExpr]) -> Result<Box<[Node; N]>, Rule> {
        let nodes = self.all(exprs)?.into_boxed_slice();
        nodes.try_into().map_err(|_| Rule::Syntax(String::new()))
    }

    fn name(&self, name: &str) -> Result<Node, Rule> {
        if let Some(place) = self.scope.iter().rposition(|variable| variable == name) {
            return Ok(Node::Variable(place, name.to_owned()));
        }
        let section = format!("{name}.");
        let fields = FACTS.iter().filter_map(|(_, fact, _)| fact.strip_prefix(&section));
        let fields: Vec<&str> = fields.collect();
        if fields.is_empty() {
            Err(unknown(name))
        } else {
            Err(Rule::Field(name.to_owned(), fields.join(", ")))
        }
    }

    fn map(&mut self, map: &MapExpr) -> Result<Node, Rule> {
        let mut entries = Vec::with_capacity(map.entries.len());
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return Err(Rule::Syntax(String::new()));
            };
            entries.push((self.node(&entry.key)?, self.node(&entry.value)?));
        }
        Ok(Node::Map(entries))
    }

    fn call(&mut self, call: &CallExpr) -> Result<Node, Rule> {
        if let Some(fact) = called_fact(call) {
            return Ok(Node::Fact(fact));
        }
        let args = &call.args[..];
        if let Some(operator) = binary(&call.func_name) {
            return Ok(Node::Binary(operator, self.operands(args)?));
        }
        match (&*call.func_name, call.target.as_deref(), args) {
            (operators::LOGICAL_AND, ..) => Ok(Node::And(self.operands(args)?)),
            (operators::LOGICAL_OR, ..) => Ok(Node::Or(self.operands(args)?)),
            (operators::LOGICAL_NOT, _, [of]) => Ok(Node::Not(self.boxed(of)?)),
            (operators::NEGATE, _, [of]) => Ok(Node::Negate(self.boxed(of)?)),
            (operators::INDEX, ..) => Ok(Node::Index(self.operands(args)?)),
            (operators::CONDITIONAL, ..) => Ok(Node::If(self.operands(args)?)),
            (operators::HAS, None, [of]) => self.has(of),
            ("matches", Some(text), [pattern]) | ("matches", None, [text, pattern]) => {
                self.matches(text, pattern)
            }
            (name, Some(range), args) if loop_named(name).is_some() => {
                self.go_through(name, range, args)
            }
            (name, target, args) => self.function(name, target, args),
        }
    }

    fn has(&mut self, of: &IdedExpr) -> Result<Node, Rule> {
        if let Some(fact) = fact_of(&of.expr)? {
            return Ok(Node::HasFact(fact));
        }
        match &of.expr {
            Expr::Select(select) => {
                Ok(Node::Has(self.boxed(&select.operand)?, select.field.clone()))
            }
            _ => Err(Rule::Has),
        }
    }

    fn matches(&mut self, text: &IdedExpr, pattern: &IdedExpr) -> Result<Node, Rule> {
        let Expr::Literal(LiteralValue::String(source)) = &pattern.expr else {
            return Err(Rule::PatternLiteral);
        };
        let pattern = Pattern::parse(source.inner())?;
        Ok(Node::Matches(self.boxed(text)?, Box::new(pattern)))
    }

    fn go_through(
        &mut self,
        name: &str,
        range: &IdedExpr,
        args: &[IdedExpr],
    ) -> Result<Node, Rule> {
        let kind = loop_named(name).ok_or_else(|| Rule::Unknown(name.to_owned()))?;
        let (variable, test, becomes) = match (kind, args) {
            (Loop::Map, [variable, becomes]) => (variable, None, Some(becomes)),
            (Loop::Map, [variable, test, becomes]) => (variable, Some(test), Some(becomes)),
            (Loop::Map, _) => return Err(Rule::Arguments("map".to_owned(), "2 or 3")),
            (_, [variable, test]) => (variable, Some(test), None),
            _ => return Err(Rule::Arguments(name.to_owned(), "2")),
        };
        let Expr::Ident(variable) = &variable.expr else { return Err(Rule::Variable) };
        // What is gone through is outside of the loop, and without its variable.
        let range = self.node(range)?;
        self.loops += 1;
        if self.loops > ASSERTION_LOOPS {
            return Err(Rule::Loops);
        }
        self.scope.push(variable.clone());
        let test = test.map(|test| self.node(test)).transpose()?;
        let becomes = becomes.map(|becomes| self.node(becomes)).transpose()?;
        self.scope.pop();
        self.loops -= 1;
        Ok(Node::Loop(kind, Box::new(LoopNode { range, test, becomes })))
    }

    fn function(
        &mut self,
        name: &str,
        target: Option<&IdedExpr>,
        args: &[IdedExpr],
    ) -> Result<Node, Rule> {
        let named = |(_, other, on_value, _): &&(_, &str, bool, usize)| {
            *other == name && *on_value == target.is_some()
        };
        let Some((function, _, _, wanted)) = FUNCTIONS.iter().find(named) else {
            return Err(unknown(&format!("{name}()")));
        };
        let mut nodes = Vec::with_capacity(*wanted);
        for expr in target.into_iter().chain(args) {
            nodes.push(self.node(expr)?);
        }
        if nodes.len() != *wanted {
            let count = if wanted - usize::from(target.is_some()) == 0 { "no" } else { "1" };
            return Err(Rule::Arguments(name.to_owned(), count));
        }
        Ok(Node::Call(*function, nodes))
    }
}

fn literal_node(literal: &LiteralValue) -> Result<Node, Rule> {
    Ok(match literal {
        LiteralValue::Null => Node::Null,
        LiteralValue::Boolean(value) => Node::Bool(*value.inner()),
        LiteralValue::Int(value) => Node::Int(*value.inner()),
        LiteralValue::UInt(value) => Node::Uint(*value.inner()),
        LiteralValue::Double(value) => Node::Double(*value.inner()),
        LiteralValue::String(value) => Node::Text(value.inner().to_owned()),
        LiteralValue::Bytes(_) => return Err(Rule::Unknown("bytes such as b\"…\"".to_owned())),
    })
}

/// `section.field`, where the section is none of ours: `None`. A field that the
/// section does not have is refused.
fn fact_of(expr: &Expr) -> Result<Option<Fact>, Rule> {
    let Expr::Select(select) = expr else { return Ok(None) };
    let Expr::Ident(section) = &select.operand.expr else { return Ok(None) };
    let prefix = format!("{section}.");
    if !FACTS.iter().any(|(_, name, _)| name.starts_with(&prefix)) {
        return Ok(None);
    }
    let name = format!("{prefix}{}", select.field);
    Fact::by_name(&name).map(Some).ok_or_else(|| unknown(&name))
}

/// `response.json()`.
fn called_fact(call: &CallExpr) -> Option<Fact> {
    let Expr::Ident(section) = &call.target.as_deref()?.expr else { return None };
    let name = format!("{section}.{}()", call.func_name);
    Fact::by_name(&name).filter(|_| call.args.is_empty())
}

fn unknown(name: &str) -> Rule {
    let known = FACTS.iter().map(|(_, fact, _)| *fact);
    let nearest = known
        .map(|fact| (strsim::levenshtein(fact, name), fact))
        .min()
        .filter(|(distance, fact)| *distance <= 1 + fact.len() / 6);
    match nearest {
        Some((_, fact)) => Rule::Misspelt(name.to_owned(), fact),
        None => Rule::Unknown(name.to_owned()),
    }
}

fn loop_named(name: &str) -> Option<Loop> {
    Some(match name {
        "all" => Loop::All,
        "exists" => Loop::Exists,
        "exists_one" | "existsOne" => Loop::ExistsOne,
        "filter" => Loop::Filter,
        "map" => Loop::Map,
        _ => return None,
    })
}

fn binary(name: &str) -> Option<Operator> {
    Some(match name {
        operators::ADD => Operator::Add,
        operators::SUBSTRACT => Operator::Subtract,
        operators::MULTIPLY => Operator::Multiply,
        operators::DIVIDE => Operator::Divide,
        operators::MODULO => Operator::Modulo,
        operators::EQUALS => Operator::Equal,
        operators::NOT_EQUALS => Operator::NotEqual,
        operators::LESS => Operator::Less,
        operators::LESS_EQUALS => Operator::LessOrEqual,
        operators::GREATER => Operator::Greater,
        operators::GREATER_EQUALS => Operator::GreaterOrEqual,
        operators::IN => Operator::In,
        _ => return None,
    })
}
