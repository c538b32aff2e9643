//! The packaged `agent.toml`, in which every key stands commented with its default.

use hyperverge_agent::config::Config;
use hyperverge_protocol::settings::layered;
use serde_json::Value;

const SHIPPED: &str = include_str!("../../packaging/config/agent.toml");

/// The file with each `#key = value` set; prose has a blank after its `#`.
fn with_every_key_set() -> String {
    SHIPPED.lines().map(|line| uncommented(line).unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

fn uncommented(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
}

#[test]
fn as_shipped_it_changes_nothing() {
    assert_eq!(layered::<Config>(Some(SHIPPED), &[]), Ok(Config::default()));
}

#[test]
fn each_commented_key_is_known_and_shows_its_default() {
    assert_eq!(layered::<Config>(Some(&with_every_key_set()), &[]), Ok(Config::default()));
}

#[test]
fn no_key_is_missing() {
    let Ok(Value::Object(sections)) = serde_json::to_value(Config::default()) else {
        panic!("configuration is a table of sections");
    };
    let text = with_every_key_set();
    for (name, value) in &sections {
        let Some(keys) = value.as_object() else {
            assert!(text.contains(&format!("\n{name} = ")), "no `{name}`");
            continue;
        };
        let from = text.find(&format!("\n[{name}]\n")).unwrap_or_else(|| panic!("no [{name}]"));
        let part = text[from + 2..].split("\n[").next().unwrap_or_default();
        for key in keys.keys() {
            assert!(part.contains(&format!("\n{key} = ")), "no `{key}` in [{name}]");
        }
    }
}
