//! How bad an incident is.

use super::Severity;
use crate::correlation::{Scope, Verdict};
use std::collections::BTreeMap;

/// The label of a monitor that caps its incidents' severity from above.
pub const SEVERITY_LABEL: &str = "severity";

/// Down is critical; degraded, and anything below a quorum, is a warning. The
/// label [`SEVERITY_LABEL`] can lower that and never raise it; another word than
/// a severity in it changes nothing.
pub fn severity(verdict: Verdict, scope: Scope, labels: &BTreeMap<String, String>) -> Severity {
    let seen = match (verdict, scope) {
        (Verdict::Down, Scope::Regional | Scope::Global) => Severity::Critical,
        _ => Severity::Warning,
    };
    let cap = labels.get(SEVERITY_LABEL).and_then(|word| word.parse().ok());
    seen.min(cap.unwrap_or(Severity::Critical))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Scope::{Global, Local, Regional};
    use Severity::{Critical, Info, Warning};
    use Verdict::{Degraded, Down, Unknown, Up};

    fn labelled(word: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(SEVERITY_LABEL.to_owned(), word.to_owned())])
    }

    #[test]
    fn verdict_and_scope_decide_and_the_label_caps() {
        for (verdict, scope, label, expected) in [
            (Down, Global, "", Critical),
            (Down, Regional, "", Critical),
            (Down, Local, "", Warning),
            (Up, Local, "", Warning),
            (Unknown, Local, "", Warning),
            (Degraded, Global, "", Warning),
            (Down, Global, "critical", Critical),
            (Down, Global, "warning", Warning),
            (Down, Global, "info", Info),
            (Degraded, Regional, "critical", Warning),
            (Degraded, Regional, "info", Info),
            (Up, Local, "critical", Warning),
            (Down, Global, "Critical!", Critical),
        ] {
            let found = severity(verdict, scope, &labelled(label));
            assert_eq!(found, expected, "{verdict} {scope} {label}");
        }
        assert_eq!(severity(Down, Global, &BTreeMap::new()), Critical);
    }
}
