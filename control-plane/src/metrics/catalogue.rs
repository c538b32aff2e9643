//! Registers metrics and keeps what the documentation needs.

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

/// One metric, as documented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: &'static str,
    /// counter, gauge or histogram.
    pub kind: &'static str,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

#[derive(Debug, Default)]
pub(super) struct Catalogue {
    pub(super) registry: Registry,
    pub(super) entries: Vec<Entry>,
}

type Names = &'static [&'static str];

impl Catalogue {
    fn add<C: Collector + Clone + 'static>(
        &mut self,
        entry: Entry,
        made: prometheus::Result<C>,
    ) -> C {
        let metric = made.expect("names of the catalogue are constants, checked by every test");
        self.registry
            .register(Box::new(metric.clone()))
            .expect("a name stands once in the catalogue");
        self.entries.push(entry);
        metric
    }

    pub(super) fn counter(&mut self, name: &'static str, help: &'static str) -> IntCounter {
        let entry = Entry { name, kind: "counter", labels: &[], help };
        self.add(entry, IntCounter::new(name, help))
    }

    pub(super) fn counters(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Names,
    ) -> IntCounterVec {
        let entry = Entry { name, kind: "counter", labels, help };
        self.add(entry, IntCounterVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str) -> IntGauge {
        let entry = Entry { name, kind: "gauge", labels: &[], help };
        self.add(entry, IntGauge::new(name, help))
    }

    pub(super) fn gauges(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Names,
    ) -> IntGaugeVec {
        let entry = Entry { name, kind: "gauge", labels, help };
        self.add(entry, IntGaugeVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn float_gauge(&mut self, name: &'static str, help: &'static str) -> Gauge {
        let entry = Entry { name, kind: "gauge", labels: &[], help };
        self.add(entry, Gauge::new(name, help))
    }

    pub(super) fn float_gauges(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Names,
    ) -> GaugeVec {
        let entry = Entry { name, kind: "gauge", labels, help };
        self.add(entry, GaugeVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        buckets: &[f64],
    ) -> Histogram {
        let entry = Entry { name, kind: "histogram", labels: &[], help };
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.add(entry, Histogram::with_opts(options))
    }

    pub(super) fn histograms(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Names,
        buckets: &[f64],
    ) -> HistogramVec {
        let entry = Entry { name, kind: "histogram", labels, help };
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.add(entry, HistogramVec::new(options, labels))
    }
}
