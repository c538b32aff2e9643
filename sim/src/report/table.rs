//! A report for people: everything in the order of time.

use super::Report;
use std::fmt::Write;

/// The report as text.
pub fn table(report: &Report) -> String {
    let mut text = String::new();
    write(&mut text, report).unwrap_or_default();
    text
}

fn write(text: &mut String, report: &Report) -> std::fmt::Result {
    let Report { scenario, seed, duration_ms, .. } = report;
    writeln!(text, "{scenario}, seed {seed}, {}\n", time(*duration_ms))?;
    let mut lines = lines(report);
    lines.sort_by_key(|(at, _, _)| *at);
    for (at, what, line) in lines {
        writeln!(text, "{:>11}  {what:<9} {line}", time(at))?;
    }
    if !report.detections.is_empty() {
        writeln!(
            text,
            "\nfault          from        known      verdict after (least/median/most)   page after + group wait  pages"
        )?;
    }
    for it in &report.detections {
        let delays = it.verdict_delay_ms.map_or("-".to_owned(), |[least, middle, most]| {
            format!("{} / {} / {}", span(least), span(middle), span(most))
        });
        let page = it
            .page_delay_ms
            .zip(it.group_wait_ms)
            .map_or("-".to_owned(), |(page, wait)| format!("{} + {}", span(page), span(wait)));
        let known = format!("{}/{}", it.detected, it.reach_quorum);
        writeln!(
            text,
            "{:<14} {:<11} {known:<10} {delays:<37} {page:<24} {}",
            it.kind,
            time(it.from_ms),
            it.pages
        )?;
    }
    let counts = &report.counts;
    writeln!(
        text,
        "\n{} checks, {} of them in bursts; {} batches; {} transactions, {} tried again; {} events",
        counts.checks,
        counts.burst_checks,
        counts.batches,
        counts.transactions,
        counts.conflicts,
        counts.events
    )?;
    for it in &report.expectations {
        let met = if it.met { "as expected" } else { "NOT AS EXPECTED" };
        writeln!(text, "{met}: {} {} (wanted {})", it.what, it.found, it.wanted)?;
    }
    for violation in &report.violations {
        writeln!(text, "BROKEN: {violation}")?;
    }
    Ok(())
}

fn lines(report: &Report) -> Vec<(i64, &'static str, String)> {
    let mut lines = Vec::new();
    for it in &report.truth {
        let whom = [&it.monitors, &it.regions, &it.agents].map(|names| short(names)).join(" ");
        lines.push((it.from_ms, "fault", format!("{} {whom}", it.kind)));
        lines.push((it.until_ms, "fault", format!("{} over", it.kind)));
    }
    for it in &report.verdicts {
        let scope = it.scope.as_ref().map(|scope| format!(" ({scope})")).unwrap_or_default();
        let line = format!("{}: {} to {}{scope}; {}", it.monitor, it.from, it.to, it.vote);
        lines.push((it.at_ms, "verdict", line));
    }
    for it in &report.incidents {
        for event in &it.events {
            let line = format!("#{} {}: {}", it.id, event.kind, event.summary);
            lines.push((event.at_ms, "incident", line));
        }
    }
    for it in &report.pages {
        let group = it.group.map(|group| format!(" group {group}")).unwrap_or_default();
        let line = format!(
            "#{}{group} {} to {}: {}",
            it.incident,
            it.kind,
            it.channels.join(", "),
            it.summary
        );
        lines.push((it.at_ms, "PAGE", line));
    }
    for it in &report.held {
        lines.push((it.at_ms, "held", format!("#{} {}: {}", it.incident, it.kind, it.reason)));
    }
    lines
}

/// The first few of many names.
fn short(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [.., _] if names.len() > 4 => {
            format!("{} and {} more", names[..3].join(", "), names.len() - 3)
        }
        _ => names.join(", "),
    }
}

/// `1:02:03.456`.
fn time(ms: i64) -> String {
    let seconds = ms / 1_000;
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours}:{minutes:02}:{:02}.{:03}", seconds % 60, ms % 1_000)
}

fn span(ms: i64) -> String {
    format!("{}.{:03} s", ms / 1_000, ms % 1_000)
}
