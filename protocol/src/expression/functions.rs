//! Functions on values.

use super::error::Error;
use super::fact::Facts;
use super::node::Function;
use super::operators::{BYTES_A_STEP, whole};
use super::value::{Text, Value};

/// Calls `function`; the number of `args` was checked when it was compiled.
pub(super) fn call<'a>(
    function: Function,
    args: &[Value<'a>],
    facts: &Facts<'_>,
) -> Result<Value<'a>, Error> {
    let refused =
        |value: &Value<'_>| Error::Operand { name: function.as_str(), sort: value.sort() };
    for arg in args {
        if let Value::Text(text) = arg {
            facts.charge(text.as_str().len() / BYTES_A_STEP)?;
        }
    }
    match args {
        [Value::Text(text), Value::Text(part)] => {
            of_two(function, text.as_str(), part.as_str()).ok_or_else(|| refused(&Value::Null))
        }
        [of, part] => Err(refused(if matches!(of, Value::Text(_)) { part } else { of })),
        [Value::Text(text)] => of_text(function, text),
        [value] => of_value(function, value, facts).unwrap_or_else(|| Err(refused(value))),
        _ => Err(refused(&Value::Null)),
    }
}

fn of_two<'a>(function: Function, text: &str, part: &str) -> Option<Value<'a>> {
    Some(Value::Bool(match function {
        Function::Contains => text.contains(part),
        Function::StartsWith => text.starts_with(part),
        Function::EndsWith => text.ends_with(part),
        _ => return None,
    }))
}

fn of_text<'a>(function: Function, text: &Text<'a>) -> Result<Value<'a>, Error> {
    let unread = || Error::Operand { name: function.as_str(), sort: "a text that is no number" };
    let str = text.as_str();
    Ok(match function {
        Function::LowerAscii => Value::text(str.to_ascii_lowercase()),
        Function::UpperAscii => Value::text(str.to_ascii_uppercase()),
        Function::Trim => Value::text(str.trim()),
        Function::Size => Value::Int(i64::try_from(str.chars().count()).unwrap_or(i64::MAX)),
        Function::Int => Value::Int(str.parse().map_err(|_| unread())?),
        Function::Uint => Value::Uint(str.parse().map_err(|_| unread())?),
        Function::Double => Value::Double(str.parse().map_err(|_| unread())?),
        Function::Text => Value::Text(text.clone()),
        Function::Contains | Function::StartsWith | Function::EndsWith => {
            return Err(Error::Operand { name: function.as_str(), sort: "one text" });
        }
    })
}

/// `None`: the function does not apply to such a value.
fn of_value<'a>(
    function: Function,
    value: &Value<'a>,
    facts: &Facts<'_>,
) -> Option<Result<Value<'a>, Error>> {
    let overflow = || Error::Overflow(function.as_str());
    let number = match (whole(value), value) {
        // Towards zero; what does not fit is found by the conversion below.
        (None, Value::Double(double)) if double.is_finite() => Some(*double as i128),
        (number, _) => number,
    };
    let size = |len: usize| Value::Int(i64::try_from(len).unwrap_or(i64::MAX));
    Some(match (function, value) {
        (Function::Size, Value::List(list)) => Ok(size(list.len())),
        (Function::Size, Value::Map(map)) => facts.charge(1).map(|()| size(map.len())),
        (Function::Text, Value::Bool(value)) => Ok(Value::text(value.to_string())),
        (Function::Text, Value::Double(value)) => Ok(Value::text(value.to_string())),
        (Function::Text, _) => Ok(Value::text(number?.to_string())),
        (Function::Int, Value::Double(value)) if !value.is_finite() => Err(overflow()),
        (Function::Uint, Value::Double(value)) if !value.is_finite() => Err(overflow()),
        (Function::Int, _) => i64::try_from(number?).map(Value::Int).map_err(|_| overflow()),
        (Function::Uint, _) => u64::try_from(number?).map(Value::Uint).map_err(|_| overflow()),
        (Function::Double, Value::Double(value)) => Ok(Value::Double(*value)),
        (Function::Double, _) => Ok(Value::Double(number? as f64)),
        _ => return None,
    })
}
