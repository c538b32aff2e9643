//! Markdown tables.

use std::fmt::Write;

/// One table under its title.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, head: &[&'static str]) -> Self {
        Self { title: title.into(), head: head.to_vec(), rows: Vec::new(), notes: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub(crate) fn text(&self) -> String {
        let mut out = format!("## {}\n\n| {} |\n", self.title, self.head.join(" | "));
        let _ok = writeln!(out, "|{}", "---|".repeat(self.head.len()));
        for row in &self.rows {
            let _ok = writeln!(out, "| {} |", row.join(" | "));
        }
        for note in &self.notes {
            let _ok = write!(out, "\n{note}\n");
        }
        out
    }
}

/// A figure with `digits` after the point.
pub(crate) fn figure(value: f64, digits: usize) -> String {
    format!("{value:.digits$}")
}

/// The middle of several rounds, with the lowest and the highest.
pub(crate) fn spread(values: &[f64], digits: usize) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.as_slice() {
        [] => "none".to_owned(),
        [one] => figure(*one, digits),
        [low, .., high] => format!(
            "{} ({} to {})",
            figure(median(values), digits),
            figure(*low, digits),
            figure(*high, digits)
        ),
    }
}

/// The middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    crate::tally::quantile(values.iter().copied(), 0.5)
}
