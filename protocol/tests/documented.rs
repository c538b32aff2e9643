//! What the documentation shows must be taken as it stands there.

use hyperverge_protocol::monitor::MonitorSpec;

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
