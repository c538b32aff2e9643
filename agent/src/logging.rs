//! Structured logs: JSON lines on standard error, or text for people.

use crate::config::{Log, LogFormat};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{Directive, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// Crates that below `info` tell of whole requests and frames, and so of what
/// monitors keep secret: they are silent there unless the filter names them.
/// What a target begins with is matched, hence `hyper::`, which we are not.
const TALKATIVE: [&str; 10] = [
    "h2",
    "h3",
    "hickory",
    "hyper::",
    "hyper_util",
    "quinn",
    "reqwest",
    "rustls",
    "tokio_rustls",
    "tonic",
];

/// The filter that `level` says. A level for everything is one for our own words.
fn filter(level: &str) -> EnvFilter {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let directives = || level.split(',').map(str::trim);
    let general = directives().filter_map(|word| word.parse::<LevelFilter>().ok()).max();
    if general.is_none_or(|general| general <= LevelFilter::INFO) {
        return filter;
    }
    let named = |target: &str| {
        directives().any(|word| word.starts_with(target.trim_end_matches(':')) && !is_ours(word))
    };
    let quiet = TALKATIVE.into_iter().filter(|target| !named(target));
    quiet
        .filter_map(|target| format!("{target}=info").parse::<Directive>().ok())
        .fold(filter, EnvFilter::add_directive)
}

fn is_ours(directive: &str) -> bool {
    directive.starts_with("hyperverge")
}

/// Starts logging; once per process. The configuration has judged the level.
pub fn start(log: &Log) -> Result<(), TryInitError> {
    let registry = tracing_subscriber::registry().with(filter(&log.level));
    match log.format {
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .with_writer(std::io::stderr);
            registry.with(layer).try_init()
        }
        LogFormat::Text => {
            registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr)).try_init()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn who_knows_of_secrets_is_silent_unless_it_is_named() {
        let heard = |level: &str| {
            let subscriber = tracing_subscriber::registry().with(filter(level));
            tracing::subscriber::with_default(subscriber, || {
                [
                    tracing::enabled!(target: "hyperverge_agent::link", Level::DEBUG),
                    tracing::enabled!(target: "hyper::proto::h1", Level::DEBUG),
                    tracing::enabled!(target: "quinn_proto::connection", Level::DEBUG),
                    tracing::enabled!(target: "hickory_net::udp", Level::DEBUG),
                    tracing::enabled!(target: "h2::codec", Level::INFO),
                ]
            })
        };
        assert_eq!(heard("info"), [false, false, false, false, true]);
        assert_eq!(heard("trace"), [true, false, false, false, true]);
        assert_eq!(heard("debug,hyperverge_agent=trace"), [true, false, false, false, true]);
        assert_eq!(heard("debug,hyper=trace"), [true, true, false, false, true]);
        assert_eq!(heard("trace,quinn_proto=debug"), [true, false, true, false, true]);
        assert_eq!(heard("error"), [false; 5]);
    }
}
