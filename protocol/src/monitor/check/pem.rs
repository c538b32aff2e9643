//! Whether a text is PEM (RFC 7468). What the blocks hold is for those who use
//! them to read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The labels of all blocks, in order; `None` if a block is broken. Text
/// outside of blocks is passed over, as everybody does.
pub(super) fn labels(text: &str) -> Option<Vec<&str>> {
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = boundary(line, "-----BEGIN ") else { continue };
        let mut content = String::new();
        let end = loop {
            let line = lines.next()?;
            match boundary(line, "-----END ") {
                Some(end) => break end,
                None => content.push_str(line),
            }
        };
        // Old encrypted keys have header lines, which are no base64.
        if end != label || content.is_empty() || STANDARD.decode(content).is_err() {
            return None;
        }
        found.push(label);
    }
    Some(found)
}

fn boundary<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix("-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_by_their_labels() {
        let block = "-----BEGIN A-----\nAAAA\nBBBB\n-----END A-----\n";
        assert_eq!(labels(""), Some(vec![]));
        assert_eq!(labels("nonsense"), Some(vec![]));
        assert_eq!(labels(block), Some(vec!["A"]));
        assert_eq!(labels(&block.replace('\n', "\r\n")), Some(vec!["A"]));
        assert_eq!(labels(&format!("a comment\n{block}\n{block}")), Some(vec!["A", "A"]));
        for broken in [
            "-----BEGIN A-----\nAAAA\n",
            "-----BEGIN A-----\n-----END A-----\n",
            "-----BEGIN A-----\nAAAA\n-----END B-----\n",
            "-----BEGIN A-----\nA!\n-----END A-----\n",
            "-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END A-----\n",
        ] {
            assert_eq!(labels(broken), None, "{broken}");
        }
    }
}
