//! The manifests of the pure crates name nothing that does I/O or reads a clock.
//!
//! Their Cargo.toml is the proof that a decision is a function of its inputs: what
//! is not a dependency cannot be called. `[dev-dependencies]` are held to it too,
//! because a test that needs a runtime tests a shell.

use super::{Finding, PURE_CRATES, Tree};

/// A dependency is refused by its name and by its name as a prefix (`tokio-util`).
const FORBIDDEN: [&str; 23] = [
    "async-std",
    "axum",
    "futures",
    "getrandom",
    "hickory",
    "hyper",
    "lettre",
    "log",
    "mio",
    "quinn",
    "reqwest",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "sqlx",
    "tempfile",
    "time",
    "tokio",
    "tonic",
    "tower",
    "tracing",
    "tungstenite",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    PURE_CRATES.iter().flat_map(|folder| check_crate(tree, folder)).collect()
}

fn check_crate(tree: &Tree, folder: &str) -> Vec<Finding> {
    let path = format!("{folder}/Cargo.toml");
    let Some(text) = tree.text(&path) else { return Vec::new() };
    let manifest: toml::Table = match text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![Finding::of(&path, format!("not a manifest: {error}"))],
    };
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let per_target =
        targets.into_iter().flat_map(|of| of.values()).filter_map(toml::Value::as_table);
    std::iter::once(&manifest)
        .chain(per_target)
        .flat_map(|table| ["dependencies", "dev-dependencies"].map(|section| table.get(section)))
        .flatten()
        .filter_map(toml::Value::as_table)
        .flat_map(toml::Table::iter)
        .filter_map(|(name, given)| {
            // `package = "…"` is the crate behind a name of one's own choice.
            let real = given.get("package").and_then(toml::Value::as_str).unwrap_or(name);
            is_forbidden(real).then(|| {
                Finding::of(
                    &path,
                    format!("a pure crate may not depend on `{real}`; it belongs in a shell"),
                )
            })
        })
        .collect()
}

fn is_forbidden(name: &str) -> bool {
    FORBIDDEN.iter().any(|forbidden| {
        name.strip_prefix(forbidden)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_in(manifest: &str) -> usize {
        check(&Tree::of(&[
            ("agent/core/Cargo.toml", manifest),
            ("agent/Cargo.toml", "[dependencies]\ntokio = \"1\"\n"),
        ]))
        .len()
    }

    #[test]
    fn a_forbidden_dependency_is_found_wherever_it_hides() {
        assert_eq!(
            found_in("[dependencies]\nserde = \"1\"\nhyperverge-protocol.workspace = true\n"),
            0
        );
        assert_eq!(found_in("[dependencies]\ntokio.workspace = true\n"), 1);
        assert_eq!(found_in("[dev-dependencies]\ntokio-util = \"0.7\"\n"), 1);
        assert_eq!(
            found_in("[dependencies]\nnet = { package = \"quinn\", version = \"0.11\" }\n"),
            1
        );
        assert_eq!(found_in("[target.'cfg(unix)'.dependencies]\nrustix = \"1\"\n"), 1);
    }
}
