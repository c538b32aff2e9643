//! What the demo prints. Nobody listening (a closed pipe) is no reason to stop.

use std::io::Write;

/// One line.
pub(super) fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").ok();
}

/// One line of something that happened by itself, set apart from the telling.
pub(super) fn note(line: &str) {
    say(&format!("      >> {line}"));
}

/// A heading.
pub(super) fn heading(line: &str) {
    say("");
    say(&format!("== {line}"));
}

/// The question of the menu, with the cursor left beside it.
pub(super) fn ask(question: &str) {
    let mut out = std::io::stdout();
    write!(out, "{question}").ok();
    out.flush().ok();
}
