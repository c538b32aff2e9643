//! `hyperverge backtest`: stored results through another policy.

use crate::print;
use crate::session::{Output, client};
use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

/// What is proposed; what is not named stays as it is.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The monitor's name or id.
    monitor: String,
    /// RFC 3339; a day before --to when absent.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// RFC 3339; now when absent.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// any, majority, all, or a number of regions.
    #[arg(long)]
    quorum: Option<String>,
    /// Failures in a row that make a region down.
    #[arg(long)]
    fail_after: Option<u32>,
    /// Successes in a row that make it up again.
    #[arg(long)]
    recover_after: Option<u32>,
    /// How old a vote may be, such as 90s.
    #[arg(long, value_name = "DURATION")]
    stale_after: Option<String>,
    /// Openings and resolutions that make it flapping; 0: never.
    #[arg(long, value_name = "CHANGES")]
    flap_changes: Option<u32>,
    /// Within how long, such as 30m.
    #[arg(long, value_name = "DURATION")]
    flap_within: Option<String>,
    /// How long it must then be well, such as 10m.
    #[arg(long, value_name = "DURATION")]
    flap_settle: Option<String>,
    /// The regions that vote, with commas between.
    #[arg(long, value_delimiter = ',')]
    regions: Option<Vec<String>>,
    #[command(flatten)]
    output: Output,
}

/// Asks for the backtest and prints it.
pub async fn run(options: Options) -> Result<()> {
    let answer: Value = client()?.post("backtests", &question(&options)?).await?;
    if options.output.json {
        print::json(&answer);
    } else {
        told(&answer);
    }
    Ok(())
}

fn question(options: &Options) -> Result<Value> {
    let mut policy = Map::new();
    let mut flap = Map::new();
    let numbers = [("fail_after", options.fail_after), ("recover_after", options.recover_after)];
    for (name, value) in numbers {
        policy.extend(value.map(|value| (name.to_owned(), json!(value))));
    }
    let stale = options.stale_after.as_ref();
    policy.extend(stale.map(|value| ("stale_after".to_owned(), json!(value))));
    flap.extend(options.flap_changes.map(|value| ("changes".to_owned(), json!(value))));
    for (name, value) in [("within", &options.flap_within), ("settle", &options.flap_settle)] {
        flap.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
    }
    if !flap.is_empty() {
        policy.insert("flap".to_owned(), Value::Object(flap));
    }
    if let Some(quorum) = &options.quorum {
        policy.insert("quorum".to_owned(), read_quorum(quorum)?);
    }
    let mut body = json!({ "monitor": options.monitor, "policy": policy });
    for (name, value) in [("from", &options.from), ("to", &options.to)] {
        if let Some(value) = value {
            body[name] = json!(value);
        }
    }
    if let Some(regions) = &options.regions {
        body["regions"] = json!(regions);
    }
    Ok(body)
}

fn read_quorum(word: &str) -> Result<Value> {
    match (word, word.parse::<u32>()) {
        ("any" | "majority" | "all", _) => Ok(json!(word)),
        (_, Ok(count)) => Ok(json!({ "count": count })),
        _ => bail!("--quorum must be any, majority, all or a number"),
    }
}

fn told(answer: &Value) {
    print::line(print::at(answer, "/summary"));
    print::line("");
    let delay = |value: &Value| match value.as_i64() {
        Some(ms) => format!("{:.1}s", ms as f64 / 1_000.0),
        None => "-".to_owned(),
    };
    let cells = |item: &Value| {
        vec![
            print::at(item, "/difference").to_owned(),
            print::at(item, "/first_failed_at").to_owned(),
            delay(&item["other_delay_ms"]),
            delay(&item["proposed_delay_ms"]),
            print::at(item, "/why").to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> =
        print::list(answer, "/against_sent/items").iter().map(cells).collect();
    print::table(&["PAGE", "FIRST FAILED CHECK", "TOLD AFTER", "NOW AFTER", "WHY"], &rows);
    print::line("");
    print::line(&format!(
        "The present policy makes {} paged outages of the same {} results.",
        answer["present"]["paged"], answer["read"]["results"]
    ));
    for said in print::list(answer, "/unknown") {
        print::line(&format!("Not known: {}", said.as_str().unwrap_or("")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        options: Options,
    }

    fn asked(words: &[&str]) -> Result<Value> {
        let typed = [&["backtest", "shop"], words].concat();
        question(&Typed::try_parse_from(typed)?.options)
    }

    #[test]
    fn only_what_is_named_is_proposed() {
        assert_eq!(asked(&[]).expect("asked"), json!({ "monitor": "shop", "policy": {} }));
        let words =
            ["--fail-after", "3", "--quorum", "2", "--flap-within", "1h", "--regions", "a,b"];
        let policy =
            json!({ "fail_after": 3, "quorum": { "count": 2 }, "flap": { "within": "1h" } });
        let body = json!({ "monitor": "shop", "policy": policy, "regions": ["a", "b"] });
        assert_eq!(asked(&words).expect("asked"), body);
        assert!(asked(&["--quorum", "most"]).is_err());
    }
}
