//! PostgreSQL: `SSLRequest`, answered by one byte (PostgreSQL documentation,
//! "Frontend/Backend Protocol", section "SSL Session Encryption").

use super::{at_least, exactly, refused};
use crate::probe::conversation::Conversation;
use crate::probe::deadline::Deadline;
use crate::probe::failure::Failure;

/// Its length, 8, and the code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

pub(super) async fn negotiate(
    talk: &mut Conversation<'_>,
    deadline: &mut Deadline<'_>,
) -> Result<(), Failure> {
    talk.say(&SSL_REQUEST, deadline).await?;
    at_least(1, talk, deadline).await?;
    match talk.answer() {
        [b'S', ..] => exactly(1, talk),
        [b'N'] => Err(refused(talk, "is a PostgreSQL server without TLS")),
        [b'E', ..] => Err(refused(talk, "answered the request for TLS with an error")),
        _ => Err(refused(talk, "did not answer as a PostgreSQL server does")),
    }
}
