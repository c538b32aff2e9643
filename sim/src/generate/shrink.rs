//! A failing scenario, made as small as it still fails.

use crate::command::simulate;
use crate::scenario::{File, Scenario, read};

/// Runs that one scenario may cost.
const RUNS: usize = 60;

/// The smallest scenario found that breaks the same invariant.
pub fn shrink(scenario: &Scenario, seed: u64) -> Scenario {
    let Some(broken) = breaks(scenario, seed) else { return scenario.clone() };
    let mut smallest = scenario.clone();
    let mut runs = 0;
    loop {
        let smaller = candidates(&smallest.file).into_iter().find_map(|file| {
            runs += 1;
            let text = toml::to_string(&file).ok()?;
            let scenario = read(&text, &smallest.name).ok()?;
            (runs <= RUNS && breaks(&scenario, seed).as_ref() == Some(&broken)).then_some(scenario)
        });
        match smaller {
            Some(smaller) if runs <= RUNS => smallest = smaller,
            _ => return smallest,
        }
    }
}

/// What it breaks first, without the numbers and names.
fn breaks(scenario: &Scenario, seed: u64) -> Option<String> {
    let first = simulate(scenario, seed).violations.into_iter().next()?;
    let words = first.split_whitespace();
    let plain = |word: &&str| !word.contains(|c: char| c.is_ascii_digit());
    Some(words.filter(plain).collect::<Vec<_>>().join(" "))
}

/// Everything that is one step smaller.
fn candidates(file: &File) -> Vec<File> {
    let mut smaller = Vec::new();
    for index in 0..file.faults.len() {
        let mut file = file.clone();
        file.faults.remove(index);
        smaller.push(file);
    }
    for index in 0..file.monitors.len() {
        let mut file = file.clone();
        file.monitors.remove(index);
        smaller.push(file);
    }
    if file.control.replicas > 1 {
        let mut file = file.clone();
        file.control.replicas = 1;
        smaller.push(file);
    }
    smaller
}
