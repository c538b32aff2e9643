//! Markdown tables, and the goals that their figures are held to.

use std::fmt::Write;

/// What issue or design wants of a figure, and whether it came out so.
#[derive(Debug)]
pub(crate) struct Goal {
    of: String,
    wanted: String,
    reached: String,
    pub(crate) met: bool,
}

/// All goals in one table.
pub(crate) fn goals(goals: &[Goal]) -> String {
    let mut table = Table::new("goals", &["", "goal", "reached", "met"]);
    for goal in goals {
        let met = if goal.met { "yes" } else { "**no**" };
        table.row([goal.of.clone(), goal.wanted.clone(), goal.reached.clone(), met.to_owned()]);
    }
    table.text()
}

/// One table under its title.
#[derive(Debug, Default)]
pub(crate) struct Table {
    title: String,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
    pub(crate) goals: Vec<Goal>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, head: &[&'static str]) -> Self {
        Self { title: title.into(), head: head.to_vec(), rows: Vec::new(), ..Self::default() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Holds a figure of the table to a goal.
    pub(crate) fn goal(&mut self, of: impl Into<String>, wanted: &str, reached: String, met: bool) {
        self.goals.push(Goal { of: of.into(), wanted: wanted.to_owned(), reached, met });
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
