//! Response codes by IANA's names ("DNS RCODEs").

use std::borrow::Cow;

/// Codes a name server may answer a query with. Those of TSIG and TKEY, which
/// stand in a record of their own, are not among them.
const RCODES: [(u16, &str); 14] = [
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (6, "YXDOMAIN"),
    (7, "YXRRSET"),
    (8, "NXRRSET"),
    (9, "NOTAUTH"),
    (10, "NOTZONE"),
    (11, "DSOTYPENI"),
    (16, "BADVERS"),
    (23, "BADCOOKIE"),
];

/// The name of `code`; `RCODE` and its number where it has none.
pub fn rcode_name(code: u16) -> Cow<'static, str> {
    match RCODES.iter().find(|(known, _)| *known == code) {
        Some((_, name)) => Cow::Borrowed(name),
        None => Cow::Owned(format!("RCODE{code}")),
    }
}

/// Whether `name` is the name of a code, in capital letters.
pub fn is_rcode(name: &str) -> bool {
    RCODES.iter().any(|(_, known)| *known == name)
}
