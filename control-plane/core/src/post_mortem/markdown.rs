//! Markdown (CommonMark with GitHub's tables) around texts from anywhere.
//!
//! What a target answers, or a person writes, must come out as the text it is:
//! no heading, list, link, image, HTML, row or column of its own. Whoever adds a
//! piece of Markdown passes every text that is not a literal of ours through
//! [`inline`] or [`quote`].

use crate::notification::clean;

/// A text within a line: one line, at most 300 characters, nothing special in it.
pub(super) fn inline(text: &str) -> String {
    escaped(&clean(text))
}

/// A text of several lines as a block of its own.
pub(super) fn quote(text: &str) -> String {
    let mut block = String::new();
    for line in text.lines() {
        // Folded first: leading spaces would make a block of code of it.
        let line: String = line.chars().map(|c| if shown(c) { c } else { ' ' }).collect();
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        block.push_str("> ");
        block.push_str(&line_start(&escaped(&line)));
        // A hard break, so that lines stay lines.
        block.push_str(if line.is_empty() { "\n" } else { "\\\n" });
    }
    match block.strip_suffix("\\\n") {
        Some(whole) => format!("{whole}\n"),
        None => block,
    }
}

/// A row of a table; its cells are escaped already.
pub(super) fn row<const N: usize>(cells: [&str; N]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// The head of a table.
pub(super) fn head<const N: usize>(names: [&str; N]) -> String {
    format!("{}|{}\n", row(names), " --- |".repeat(N))
}

fn shown(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut before = ' ';
    for c in text.chars() {
        match c {
            // As entities: they hold where backslashes do not, and in every table.
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '|' => out.push_str("&#124;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '$' | '^' | '=' | '{' | '}' | '!' => {
                out.push('\\');
                out.push(c);
            }
            // Addresses become links by themselves, unless their beginning is broken.
            '/' if before == ':' => out.push_str("\\/"),
            '.' if before.eq_ignore_ascii_case(&'w') => out.push_str("\\."),
            '@' => out.push_str("\\@"),
            c => out.push(c),
        }
        before = c;
    }
    out
}

/// What would begin a block at the start of a line does not.
fn line_start(line: &str) -> String {
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = line.split_at(digits);
    match rest.chars().next() {
        Some('-' | '+' | ':') if digits == 0 => format!("\\{line}"),
        Some('.' | ')') if digits > 0 => format!("{number}\\{rest}"),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag};

    /// Everything but the one that rewrites quotation marks.
    fn options() -> Options {
        Options::all().difference(Options::ENABLE_SMART_PUNCTUATION)
    }

    /// What a reader sees, and the tags of all that is not plain text.
    fn rendered(markdown: &str) -> (String, Vec<String>) {
        let (mut text, mut tags) = (String::new(), Vec::new());
        for event in Parser::new_ext(markdown, options()) {
            match event {
                Event::Text(part) => text.push_str(&part),
                Event::SoftBreak | Event::HardBreak => text.push('\n'),
                Event::Start(Tag::Paragraph) | Event::End(_) => {}
                Event::Start(tag) => tags.push(format!("{tag:?}")),
                other => tags.push(format!("{other:?}")),
            }
        }
        (text, tags)
    }

    #[test]
    fn what_is_hostile_is_text() {
        for hostile in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "[click](javascript:alert(1))",
            "![x](https://evil.example/p.png)",
            "<https://evil.example>",
            "a | b | c",
            "a \\| b",
            "`code` **bold** _it_ ~~gone~~ $x$ ^up^ ==mark== {{ x }}",
            "&lt;b&gt; &#60;",
            "# heading #",
            "\\",
            "[^1] [x]: https://evil.example",
            "https://evil.example www.evil.example a@evil.example",
        ] {
            let (text, tags) = rendered(&format!("x {} y", inline(hostile)));
            assert_eq!((text, tags), (format!("x {hostile} y"), vec![]), "{}", inline(hostile));
        }
    }

    #[test]
    fn a_quote_keeps_its_lines_and_nothing_else() {
        let text =
            "# one\n- two\n1. three\n---\n===\n    code\n> deep\n\n| a | b |\n|---|---|\n+ x\n: y";
        let (read, tags) = rendered(&quote(text));
        assert_eq!(tags, ["BlockQuote(None)"], "{}", quote(text));
        for line in ["# one", "- two", "1. three", "---", "===", "code", "> deep", "+ x"] {
            assert!(read.contains(line), "{line} in {read}");
        }
        assert_eq!(quote("a\r\nb\u{202e}c"), "> a\\\n> b c\n");
        assert_eq!(quote("[!NOTE]\nx"), "> \\[\\!NOTE\\]\\\n> x\n", "no alert either");
    }

    /// Texts made of what Markdown and HTML care about.
    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a", "1", ".", ")", " ", "  ", "\n", "\t", "#", "-", "+", "*", "_", "`", "~", "|",
            "\\", "<", ">", "&", "[", "]", "(", ")", "!", "=", ":", "/", "//", "$", "^", "{", "}",
            "\"", "'", "<b>", "</", "<!--", "-->", "&lt;", "http://a", "www.", "@", "\u{202e}",
            "\u{0}", "---", "===", "```", "> ", "1. ", "- ", "[x]: a", "|---|", "\r", "ä", "%",
        ]);
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8 * ProptestConfig::default().cases))]

        #[test]
        fn no_text_becomes_anything_else(text in hostile()) {
            let (read, tags) = rendered(&format!("x {} y", inline(&text)));
            prop_assert!(tags.is_empty(), "{tags:?} of {:?}", inline(&text));
            let folded = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let whole = format!("x {} y", clean(&text));
            prop_assert_eq!(folded(&read), folded(&whole));
            let (_, tags) = rendered(&quote(&text));
            prop_assert!(tags.iter().all(|tag| tag == "BlockQuote(None)"), "{tags:?} of {:?}", quote(&text));
            prop_assert!(tags.len() <= 1);
        }

        #[test]
        fn no_text_adds_a_cell_or_a_row(one in hostile(), two in hostile()) {
            let table = head(["A", "B"]) + &row([&inline(&one), &inline(&two)]);
            let cells = Parser::new_ext(&table, options())
                .filter(|event| matches!(event, Event::Start(Tag::TableCell | Tag::TableRow)))
                .count();
            prop_assert_eq!(cells, 5, "two of the head, a row and its two: {}", table);
        }
    }
}
