//! Evaluation, step by step, each paid for.

use super::error::Error;
use super::fact::Facts;
use super::functions;
use super::node::{Loop, LoopNode, Node, Operator};
use super::operators;
use super::value::{List, Map, Text, Value};

/// The value of `root` for `facts`.
pub(super) fn evaluate<'a>(root: &'a Node, facts: &'a Facts<'_>) -> Result<Value<'a>, Error> {
    Evaluation { facts, scope: Vec::new() }.value(root)
}

struct Evaluation<'a, 'f> {
    facts: &'a Facts<'f>,
    /// The variables of the loops around.
    scope: Vec<Value<'a>>,
}

impl<'a> Evaluation<'a, '_> {
    fn value(&mut self, node: &'a Node) -> Result<Value<'a>, Error> {
        self.facts.charge(1)?;
        Ok(match node {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(value) => Value::Int(*value),
            Node::Uint(value) => Value::Uint(*value),
            Node::Double(value) => Value::Double(*value),
            Node::Text(text) => Value::Text(Text::Lent(text)),
            Node::Fact(fact) => {
                self.facts.get(*fact)?.ok_or_else(|| Error::Missing(node.path()))?
            }
            Node::HasFact(fact) => Value::Bool(self.facts.get(*fact)?.is_some()),
            Node::Variable(place, _) => {
                self.scope.get(*place).cloned().ok_or_else(|| Error::Missing(node.path()))?
            }
            Node::List(nodes) => {
                let values = nodes.iter().map(|node| self.value(node));
                Value::list(values.collect::<Result<_, _>>()?)
            }
            Node::Map(entries) => self.map(entries)?,
            Node::Field(of, field) => self.field(node, of, field)?,
            Node::Has(of, field) => Value::Bool(self.fields(of, field)?.get(field).is_some()),
            Node::Index(pair) => self.index(node, &pair[0], &pair[1])?,
            Node::Not(of) => Value::Bool(!self.truth(of)?),
            Node::Negate(of) => operators::negate(self.value(of)?)?,
            Node::And(pair) => Value::Bool(!self.either(pair, false)?),
            Node::Or(pair) => Value::Bool(self.either(pair, true)?),
            Node::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                let chosen = if self.truth(condition)? { then } else { otherwise };
                self.value(chosen)?
            }
            Node::Binary(operator, pair) => self.binary(*operator, pair)?,
            Node::Call(function, nodes) => {
                let args: Vec<Value<'a>> =
                    nodes.iter().map(|node| self.value(node)).collect::<Result<_, _>>()?;
                functions::call(*function, &args, self.facts)?
            }
            Node::Matches(of, pattern) => match self.value(of)? {
                Value::Text(text) => {
                    self.facts.charge(pattern.steps(text.as_str().len()))?;
                    let found = pattern.is_match(text.as_str().as_bytes());
                    Value::Bool(found.map_err(|_| Error::Pattern)?)
                }
                other => {
                    return Err(Error::Operand { name: "matches", sort: other.sort() });
                }
            },
            Node::Loop(kind, parts) => self.go_through(*kind, parts)?,
        })
    }

    fn truth(&mut self, node: &'a Node) -> Result<bool, Error> {
        match self.value(node)? {
            Value::Bool(value) => Ok(value),
            other => Err(Error::NotBool { path: node.path(), sort: other.sort() }),
        }
    }

    /// Whether one of both is `wanted`. As in CEL, either side may decide
    /// alone, even if the other has no value.
    fn either(&mut self, pair: &'a [Node; 2], wanted: bool) -> Result<bool, Error> {
        let first = self.truth(&pair[0]);
        match first {
            Ok(value) if value == wanted => return Ok(true),
            Err(error) if !error.may_be_absorbed() => return Err(error),
            _ => {}
        }
        if self.truth(&pair[1])? == wanted { Ok(true) } else { first.map(|_| false) }
    }

    fn map(&mut self, entries: &'a [(Node, Node)]) -> Result<Value<'a>, Error> {
        let mut made: Vec<(Value<'a>, Value<'a>)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = self.value(key)?;
            if matches!(key, Value::Null | Value::Double(_) | Value::List(_) | Value::Map(_)) {
                return Err(Error::Key(key.sort()));
            }
            self.facts.charge(made.len())?;
            for (other, _) in &made {
                if operators::equal(other, &key, self.facts)? {
                    return Err(Error::RepeatedKey);
                }
            }
            made.push((key, self.value(value)?));
        }
        Ok(Value::Map(Map::Made(made.into())))
    }

    /// The map in which `field` is to be looked up.
    fn fields(&mut self, of: &'a Node, field: &str) -> Result<Map<'a>, Error> {
        match self.value(of)? {
            Value::Map(map) => {
                self.facts.charge(map.lookup_steps(field.len()))?;
                Ok(map)
            }
            other => Err(Error::NoFields { path: of.path(), sort: other.sort() }),
        }
    }

    fn field(&mut self, node: &Node, of: &'a Node, field: &str) -> Result<Value<'a>, Error> {
        self.fields(of, field)?.get(field).ok_or_else(|| Error::Missing(node.path()))
    }

    fn index(&mut self, node: &Node, of: &'a Node, key: &'a Node) -> Result<Value<'a>, Error> {
        let (of_value, key) = (self.value(of)?, self.value(key)?);
        match (&of_value, &key) {
            (Value::List(list), _) => {
                let Some(index) = operators::whole(&key) else {
                    return Err(operators::mismatch("[]", &of_value, &key));
                };
                let found = usize::try_from(index).ok().and_then(|index| list.get(index));
                found.ok_or_else(|| Error::Index {
                    path: of.path(),
                    index: index.to_string(),
                    len: list.len(),
                })
            }
            (Value::Map(map), Value::Text(name)) => {
                self.facts.charge(map.lookup_steps(name.as_str().len()))?;
                map.get(name.as_str()).ok_or_else(|| Error::Missing(node.path()))
            }
            (Value::Map(Map::Made(entries)), _) => {
                for (other, value) in entries.iter() {
                    if operators::equal(other, &key, self.facts)? {
                        return Ok(value.clone());
                    }
                }
                Err(Error::Missing(node.path()))
            }
            _ => Err(operators::mismatch("[]", &of_value, &key)),
        }
    }

    fn binary(&mut self, operator: Operator, pair: &'a [Node; 2]) -> Result<Value<'a>, Error> {
        let (left, right) = (self.value(&pair[0])?, self.value(&pair[1])?);
        operators::binary(operator, left, right, self.facts)
    }

    fn go_through(&mut self, kind: Loop, parts: &'a LoopNode) -> Result<Value<'a>, Error> {
        let list = match self.value(&parts.range)? {
            Value::List(list) => list,
            Value::Map(map) => {
                self.facts.charge(1 + map.len())?;
                List::Made(map.keys().into())
            }
            other => {
                let path = parts.range.path();
                return Err(Error::NotIterable { path, sort: other.sort() });
            }
        };
        let mut gathered = Vec::new();
        let mut count = 0_usize;
        let mut open = None;
        for index in 0..list.len() {
            let Some(element) = list.get(index) else { break };
            self.scope.push(element);
            let step = self.element(parts);
            let element = self.scope.pop();
            match (kind, step) {
                (Loop::All, Ok((false, _))) => return Ok(Value::Bool(false)),
                (Loop::Exists, Ok((true, _))) => return Ok(Value::Bool(true)),
                (Loop::All | Loop::Exists, Ok(_)) => {}
                (Loop::All | Loop::Exists, Err(error)) if error.may_be_absorbed() => {
                    open = open.or(Some(error));
                }
                (_, Err(error)) => return Err(error),
                (Loop::Map, Ok((_, value))) => gathered.extend(value),
                (Loop::Filter, Ok((true, _))) => gathered.extend(element),
                (Loop::ExistsOne, Ok((true, _))) => count += 1,
                (Loop::Filter | Loop::ExistsOne, Ok(_)) => {}
            }
        }
        match (kind, open) {
            (Loop::All | Loop::Exists, Some(error)) => Err(error),
            (Loop::All, None) => Ok(Value::Bool(true)),
            (Loop::Exists, None) => Ok(Value::Bool(false)),
            (Loop::ExistsOne, _) => Ok(Value::Bool(count == 1)),
            (Loop::Filter | Loop::Map, _) => Ok(Value::list(gathered)),
        }
    }

    /// Whether the element at the top of the scope passes, and what it becomes.
    fn element(&mut self, parts: &'a LoopNode) -> Result<(bool, Option<Value<'a>>), Error> {
        self.facts.charge(1)?;
        let passes = parts.test.as_ref().map_or(Ok(true), |test| self.truth(test))?;
        match &parts.becomes {
            Some(becomes) if passes => Ok((passes, Some(self.value(becomes)?))),
            _ => Ok((passes, None)),
        }
    }
}
