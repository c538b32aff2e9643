//! What the documentation shows must be taken as it stands there.

use hyperverge_protocol::expression::Expression;
use hyperverge_protocol::monitor::{Kind, MonitorSpec};

#[test]
fn every_monitor_in_the_documentation_is_accepted() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/monitors.md");
    let text = std::fs::read_to_string(path).expect("the page");
    let examples: Vec<&str> = text
        .split("```json\n")
        .skip(1)
        .map(|rest| rest.split("```").next().expect("an end"))
        .collect();
    assert!(!examples.is_empty(), "the page shows none");
    for example in examples {
        let spec = MonitorSpec::from_json(example.as_bytes());
        assert!(spec.is_ok(), "{:?}\n{example}", spec.err());
    }
}

#[test]
fn every_assertion_in_the_documentation_is_accepted() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/assertions.md");
    let text = std::fs::read_to_string(path).expect("the page");
    for kind in Kind::ALL {
        let fence = format!("```{}\n", kind.as_str());
        let mut examples = text.split(&fence).skip(1).peekable();
        assert!(examples.peek().is_some(), "the page shows none for {fence}");
        let lines = examples.flat_map(|rest| rest.split("```").next().expect("an end").lines());
        for source in lines {
            let parsed = Expression::parse(source, kind);
            assert!(parsed.is_ok(), "{source} {}", parsed.expect_err("a rule"));
        }
    }
}

/// Whoever adds a fact tells people about it.
#[test]
fn every_name_of_an_expression_is_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/assertions.md");
    let text = std::fs::read_to_string(path).expect("the page");
    for name in hyperverge_protocol::expression::names() {
        assert!(text.contains(&format!("`{name}`")), "{name}");
    }
}
