//! The one place of this crate that asks for entropy. It reads no clock: every
//! wait is a condition with a deadline ([`crate::wait`]).

use rand::RngExt;
use rand::distr::Alphanumeric;

/// Characters of a generated password.
const PASSWORD_CHARS: usize = 20;

/// A password nobody chose.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn password() -> String {
    rand::rng().sample_iter(Alphanumeric).take(PASSWORD_CHARS).map(char::from).collect()
}
