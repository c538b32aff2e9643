//! Which metrics an expression in PromQL reads.
//!
//! Not a parser: a tokenizer that knows where a word cannot be a metric, which is
//! inside `{}`, `[]` and quotes, before a `(`, and in the lists after `by`, `on` and
//! their like. Enough for the rules and dashboards of this tree.

const KEYWORDS: [&str; 14] = [
    "and",
    "atan2",
    "bool",
    "by",
    "end",
    "group_left",
    "group_right",
    "ignoring",
    "inf",
    "nan",
    "offset",
    "on",
    "or",
    "start",
];
const MORE_KEYWORDS: [&str; 2] = ["unless", "without"];
/// After these a list of labels stands in parentheses.
const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Names in order of appearance, repeated where the expression repeats them.
pub(super) fn metrics_in(expression: &str) -> Vec<&str> {
    let mut metrics = Vec::new();
    let mut rest = expression;
    let mut labels_follow = false;
    while let Some(first) = rest.chars().next() {
        if is_name_start(first) {
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            let (word, tail) = rest.split_at(end);
            rest = tail;
            let lower = word.to_ascii_lowercase();
            let keyword =
                KEYWORDS.contains(&lower.as_str()) || MORE_KEYWORDS.contains(&lower.as_str());
            labels_follow = BEFORE_LABELS.contains(&lower.as_str());
            // `sum (x)` and `sum by (y) (x)`: what comes before a parenthesis or a `by` is a function.
            let next = tail.trim_start();
            let function =
                next.starts_with('(') || next.starts_with("by") || next.starts_with("without");
            if !keyword && !function {
                metrics.push(word);
            }
            continue;
        }
        rest = match first {
            '{' => after(rest, '}'),
            '[' => after(rest, ']'),
            '(' if labels_follow => after(rest, ')'),
            '"' | '\'' => after(&rest[1..], first),
            // A number takes its unit along: `5m`, `1e3`, `0x1f`.
            '0'..='9' | '.' => {
                &rest[rest.find(|c: char| !is_name(c) && c != '.').unwrap_or(rest.len())..]
            }
            other => &rest[other.len_utf8()..],
        };
        labels_follow = labels_follow && first.is_whitespace();
    }
    metrics
}

fn after(text: &str, close: char) -> &str {
    text.find(close).map_or("", |end| &text[end + close.len_utf8()..])
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == ':'
}

fn is_name(c: char) -> bool {
    is_name_start(c) || c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_metrics_and_nothing_else() {
        let cases: [(&str, &[&str]); 6] = [
            ("up == 0", &["up"]),
            ("sum by (region) (rate(probe_total{kind=\"http\"}[5m])) > 1e3", &["probe_total"]),
            (
                "sum(rate(a_total[1h])) by (region) / on (region) group_left (x) b_total",
                &["a_total", "b_total"],
            ),
            (
                "histogram_quantile(0.99, sum(rate(d_seconds_bucket[5m])) by (le))",
                &["d_seconds_bucket"],
            ),
            ("a_total offset 5m unless b_total", &["a_total", "b_total"]),
            ("label_replace(a_total, \"x\", \"$1\", \"y\", \"(.*)\")", &["a_total"]),
        ];
        for (expression, metrics) in cases {
            assert_eq!(metrics_in(expression), metrics, "{expression}");
        }
    }
}
