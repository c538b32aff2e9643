//! What commands print. Nobody listening (a closed pipe) is no reason to fail.

use crate::client::{ClientError, FieldAtFault};
use reqwest::StatusCode;
use serde_json::Value;
use std::io::Write;
use std::process::ExitCode;

/// One line.
pub(crate) fn line(text: &str) {
    writeln!(std::io::stdout(), "{}", plain(text)).ok();
}

/// Text of several lines, as it is.
pub(crate) fn text(text: &str) {
    writeln!(std::io::stdout(), "{}", text.trim_end()).ok();
}

/// An answer as the API gave it.
pub(crate) fn json(answer: &Value) {
    let text = serde_json::to_string_pretty(answer).unwrap_or_else(|_| answer.to_string());
    writeln!(std::io::stdout(), "{text}").ok();
}

/// Columns, each as wide as its widest cell.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let write = |cells: Vec<&str>| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        line(padded.join("  ").trim_end());
    };
    write(head.to_vec());
    for row in rows {
        write(row.iter().map(String::as_str).collect());
    }
}

/// The text at a JSON pointer; empty where there is none.
pub(crate) fn at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// The list at a JSON pointer.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// What targets and people wrote must not steer the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Says what went wrong and answers the exit code (see [`crate::command`]).
pub fn failure(error: &anyhow::Error) -> ExitCode {
    let mut out = std::io::stderr();
    let Some(known) = error.downcast_ref::<ClientError>() else {
        writeln!(out, "hyperverge: {error:#}").ok();
        return ExitCode::FAILURE;
    };
    if let ClientError::Problem { title, detail, errors, .. } = known {
        let title = title.as_deref().unwrap_or("The control plane refused");
        writeln!(out, "hyperverge: {}: {}", plain(title), plain(detail)).ok();
        for FieldAtFault { field, rule } in errors {
            writeln!(out, "  {} {}", plain(field), plain(rule)).ok();
        }
    } else {
        writeln!(out, "hyperverge: {error:#}").ok();
    }
    ExitCode::from(code(known))
}

fn code(error: &ClientError) -> u8 {
    match error {
        ClientError::NotSignedIn => 3,
        ClientError::Unreachable { .. } => 6,
        ClientError::Tokens { .. } | ClientError::Shape { .. } => 1,
        ClientError::Problem { status, .. } => match *status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => 3,
            StatusCode::NOT_FOUND => 4,
            StatusCode::TOO_MANY_REQUESTS => 6,
            status if status.is_client_error() => 5,
            _ => 6,
        },
    }
}
