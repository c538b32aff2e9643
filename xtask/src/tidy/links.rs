//! Links between the pages of the tree lead somewhere.

use super::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.with_extension("md")
        .flat_map(|(path, text)| {
            text.lines().zip(1..).flat_map(move |(line, number)| {
                targets(line)
                    .filter(move |target| {
                        !target.is_empty() && !tree.exists(&resolve(path, target))
                    })
                    .map(move |target| {
                        Finding::at(path, number, format!("the link to `{target}` leads nowhere"))
                    })
            })
        })
        .collect()
}

/// What stands in `](…)`, without anchors, and without links that leave the tree.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains(':') && !target.starts_with('/'))
        .map(|target| target.split('#').next().unwrap_or(target))
}

/// A target as seen from the page's folder, from the root.
fn resolve(page: &str, target: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_page_that_is_gone_is_found() {
        let tree = Tree::of(&[
            (
                "README.md",
                "[a](docs/a.md#top) [b](https://example.com) [c](docs/gone.md) [d](#below)\n",
            ),
            ("docs/a.md", "[up](../README.md) [out](../gone.md)\n"),
        ]);
        let found: Vec<String> = check(&tree).into_iter().map(|found| found.message).collect();
        assert_eq!(
            found,
            ["the link to `docs/gone.md` leads nowhere", "the link to `../gone.md` leads nowhere"]
        );
    }
}
