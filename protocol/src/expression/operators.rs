//! Operators. Numbers compare and compute across their types, whole numbers exactly.

use super::error::Error;
use super::fact::Facts;
use super::node::Operator;
use super::value::{List, Map, Value};
use std::cmp::Ordering;

/// Bytes of a text that one step goes through.
pub(super) const BYTES_A_STEP: usize = 32;

/// How much more than a look at something a copy of it takes.
const COPY: usize = 4;

pub(super) fn mismatch(operator: &'static str, left: &Value<'_>, right: &Value<'_>) -> Error {
    Error::Operands { operator, left: left.sort(), right: right.sort() }
}

pub(super) fn binary<'a>(
    operator: Operator,
    left: Value<'a>,
    right: Value<'a>,
    facts: &Facts<'_>,
) -> Result<Value<'a>, Error> {
    Ok(match operator {
        Operator::Equal => Value::Bool(equal(&left, &right, facts)?),
        Operator::NotEqual => Value::Bool(!equal(&left, &right, facts)?),
        Operator::In => Value::Bool(within(&left, &right, facts)?),
        Operator::Add => add(left, right, facts)?,
        Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Modulo => {
            compute(operator, &left, &right)?
        }
        _ => Value::Bool(compare(operator, &left, &right, facts)?),
    })
}

pub(super) fn negate(value: Value<'_>) -> Result<Value<'_>, Error> {
    match (&value, whole(&value)) {
        (Value::Double(value), _) => Ok(Value::Double(-value)),
        (_, Some(number)) => integer(-number, "-"),
        _ => Err(Error::Operand { name: "-", sort: value.sort() }),
    }
}

/// A whole number; fractions are none, even if nothing follows the point.
pub(super) fn whole(value: &Value<'_>) -> Option<i128> {
    match value {
        Value::Int(value) => Some(i128::from(*value)),
        Value::Uint(value) => Some(i128::from(*value)),
        _ => None,
    }
}

fn integer<'a>(number: i128, operator: &'static str) -> Result<Value<'a>, Error> {
    match (i64::try_from(number), u64::try_from(number)) {
        (Ok(number), _) => Ok(Value::Int(number)),
        (_, Ok(number)) => Ok(Value::Uint(number)),
        _ => Err(Error::Overflow(operator)),
    }
}

fn as_double(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Uint(value) => Some(*value as f64),
        Value::Double(value) => Some(*value),
        _ => None,
    }
}

fn compute<'a>(
    operator: Operator,
    left: &Value<'_>,
    right: &Value<'_>,
) -> Result<Value<'a>, Error> {
    let sign = operator.as_str();
    if let (Some(a), Some(b)) = (whole(left), whole(right)) {
        // 65 bits at most on either side, so that only a product may not fit.
        let result = match operator {
            Operator::Add => Some(a + b),
            Operator::Subtract => Some(a - b),
            Operator::Multiply => a.checked_mul(b),
            _ if b == 0 => return Err(Error::DivisionByZero),
            Operator::Divide => Some(a / b),
            _ => Some(a % b),
        };
        return integer(result.ok_or(Error::Overflow(sign))?, sign);
    }
    match (as_double(left), as_double(right), operator) {
        (Some(a), Some(b), Operator::Add) => Ok(Value::Double(a + b)),
        (Some(a), Some(b), Operator::Subtract) => Ok(Value::Double(a - b)),
        (Some(a), Some(b), Operator::Multiply) => Ok(Value::Double(a * b)),
        (Some(a), Some(b), Operator::Divide) => Ok(Value::Double(a / b)),
        _ => Err(mismatch(sign, left, right)),
    }
}

fn add<'a>(left: Value<'a>, right: Value<'a>, facts: &Facts<'_>) -> Result<Value<'a>, Error> {
    match (&left, &right) {
        (Value::Text(a), Value::Text(b)) => {
            let (a, b) = (a.as_str(), b.as_str());
            facts.charge(COPY * (a.len() + b.len()) / BYTES_A_STEP)?;
            Ok(Value::text([a, b].concat()))
        }
        (Value::List(a), Value::List(b)) => {
            facts.charge(COPY * (a.len() + b.len()))?;
            Ok(Value::list(elements(a).chain(elements(b)).collect()))
        }
        _ => compute(Operator::Add, &left, &right),
    }
}

fn elements<'a>(list: &List<'a>) -> impl Iterator<Item = Value<'a>> {
    (0..list.len()).filter_map(|index| list.get(index))
}

/// Values of different sorts are not equal; that is no error.
pub(super) fn equal(left: &Value<'_>, right: &Value<'_>, facts: &Facts<'_>) -> Result<bool, Error> {
    facts.charge(1)?;
    Ok(match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Text(a), Value::Text(b)) => {
            let (a, b) = (a.as_str(), b.as_str());
            facts.charge(a.len().min(b.len()) / BYTES_A_STEP)?;
            a == b
        }
        (Value::List(a), Value::List(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in elements(a).zip(elements(b)) {
                if !equal(&a, &b, facts)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(a), Value::Map(b)) => equal_maps(a, b, facts)?,
        _ => numbers(left, right) == Some(Ordering::Equal),
    })
}

fn equal_maps(a: &Map<'_>, b: &Map<'_>, facts: &Facts<'_>) -> Result<bool, Error> {
    facts.charge(1 + a.len())?;
    if a.len() != b.len() {
        return Ok(false);
    }
    for key in a.keys() {
        let (Some(a), Some(b)) = (value_at(a, &key, facts)?, value_at(b, &key, facts)?) else {
            return Ok(false);
        };
        if !equal(&a, &b, facts)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn value_at<'a>(
    map: &Map<'a>,
    key: &Value<'_>,
    facts: &Facts<'_>,
) -> Result<Option<Value<'a>>, Error> {
    if let Value::Text(name) = key {
        facts.charge(map.lookup_steps(name.as_str().len()))?;
        return Ok(map.get(name.as_str()));
    }
    facts.charge(map.lookup_steps(0))?;
    let Map::Made(entries) = map else { return Ok(None) };
    for (other, value) in entries.iter() {
        if equal(other, key, facts)? {
            return Ok(Some(value.clone()));
        }
    }
    Ok(None)
}

fn within(element: &Value<'_>, of: &Value<'_>, facts: &Facts<'_>) -> Result<bool, Error> {
    match of {
        Value::List(list) => {
            for other in elements(list) {
                if equal(element, &other, facts)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Map(map) => Ok(value_at(map, element, facts)?.is_some()),
        _ => Err(mismatch("in", element, of)),
    }
}

fn compare(
    operator: Operator,
    left: &Value<'_>,
    right: &Value<'_>,
    facts: &Facts<'_>,
) -> Result<bool, Error> {
    let ordering = match (left, right) {
        (Value::Text(a), Value::Text(b)) => {
            let (a, b) = (a.as_str(), b.as_str());
            facts.charge(a.len().min(b.len()) / BYTES_A_STEP)?;
            Some(a.cmp(b))
        }
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ if as_double(left).is_some() && as_double(right).is_some() => numbers(left, right),
        _ => return Err(mismatch(operator.as_str(), left, right)),
    };
    // Nothing is more or less than what is not a number.
    Ok(ordering.is_some_and(|ordering| match operator {
        Operator::Less => ordering.is_lt(),
        Operator::LessOrEqual => ordering.is_le(),
        Operator::Greater => ordering.is_gt(),
        _ => ordering.is_ge(),
    }))
}

fn numbers(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (whole(left), whole(right), left, right) {
        (Some(a), Some(b), ..) => Some(a.cmp(&b)),
        (Some(a), None, _, Value::Double(b)) => whole_and_double(a, *b),
        (None, Some(b), Value::Double(a), _) => whole_and_double(b, *a).map(Ordering::reverse),
        (None, None, Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        _ => None,
    }
}

/// Exactly, where a conversion to either type would round.
fn whole_and_double(a: i128, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    // Saturates, far beyond what 64 bits can hold.
    let floor = b.floor();
    let ordering = a.cmp(&(floor as i128));
    Some(if ordering.is_eq() && b > floor { Ordering::Less } else { ordering })
}
