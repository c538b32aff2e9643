//! `probe_success == 0` for a minute, and Alertmanager behind it.
//!
//! The rule is the one that is passed around for `blackbox_exporter`
//! (awesome-prometheus-alerts, `dist/rules/blackbox/blackbox-exporter.yml` at
//! a853318): `expr: probe_success == 0`, `for: 1m`, one series for each target and
//! prober. Scrapes are the monitor's checks; rules are evaluated every 15 s, as in
//! the configuration that Prometheus ships (its built-in default is a minute); a
//! series without a sample for five minutes is gone.

use super::alertmanager::{Group, Labels};
use super::failed;
use crate::control::note::Seen;
use crate::rule::{Fleet, Rule, RulePage};
use hyperverge_control_core::notification::NoticeKind;
use std::collections::{BTreeMap, BTreeSet};

const FOR_MS: i64 = 60_000;
const EVALUATION_MS: i64 = 15_000;
const LOOKBACK_MS: i64 = 300_000;

/// See the module's head.
#[derive(Debug, Default)]
pub struct Prometheus {
    /// Newest sample: when, and whether the probe failed.
    samples: BTreeMap<Labels, (i64, bool)>,
    /// Since when the expression holds.
    pending: BTreeMap<Labels, i64>,
    /// Since when an alert fires.
    firing: BTreeMap<Labels, i64>,
    evaluated_at: i64,
    group: Group,
}

impl Prometheus {
    fn evaluate(&mut self, now: i64) {
        self.evaluated_at = now;
        let holds: BTreeSet<Labels> = self
            .samples
            .iter()
            .filter(|(_, (at, fails))| *fails && now - at < LOOKBACK_MS)
            .map(|(labels, _)| *labels)
            .collect();
        self.pending.retain(|labels, _| holds.contains(labels));
        self.firing.retain(|labels, _| holds.contains(labels));
        for labels in holds {
            let since = *self.pending.entry(labels).or_insert(now);
            if now - since >= FOR_MS {
                self.firing.entry(labels).or_insert(now);
            }
        }
    }
}

impl Rule for Prometheus {
    fn name(&self) -> &'static str {
        "Prometheus and Alertmanager"
    }

    fn observe(&mut self, seen: &Seen, _: &Fleet<'_>, now: i64, _: &mut Vec<RulePage>) {
        let Some(fails) = failed(seen, now) else { return };
        self.samples.insert((seen.monitor, seen.agent), (now, fails));
    }

    fn tick(&mut self, _: &Fleet<'_>, now: i64, pages: &mut Vec<RulePage>) {
        if now - self.evaluated_at >= EVALUATION_MS {
            self.evaluate(now);
        }
        let Some(told) = self.group.update(self.firing.clone(), now) else { return };
        if told.resolved {
            pages.push(RulePage { kind: NoticeKind::Resolved, monitors: Vec::new(), waited: 0 });
        }
        // What is known is known since the first of them fired; the rest is waiting.
        let Some(first) = told.new.iter().map(|(_, since)| *since).min() else { return };
        let monitors: BTreeSet<_> = told.new.iter().map(|((monitor, _), _)| *monitor).collect();
        pages.push(RulePage {
            kind: NoticeKind::Opened,
            monitors: monitors.into_iter().collect(),
            waited: now - first,
        });
    }
}
