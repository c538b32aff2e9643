//! Why it was decided so: for a person who was woken, or who was not.
//!
//! - [`decided_again`] asks the present planner what was asked then, with the
//!   stored evidence, and says whether it still decides the same.
//! - [`votes()`] says of each seat how it voted, or why it did not.
//! - [`at_night`] puts an incident into one sentence.
//! - [`in_company`] says what its group means for an incident.
//! - [`why_at`] says in a sentence why there was a page at a time, or none.
//!
//! Evidence is read generously: what another version wrote is `unknown` and says
//! so, and never keeps the rest from being explained.

mod company;
mod decision;
mod moment;
mod night;
mod planners;
mod votes;

pub use company::{Role, in_company};
pub use decision::{Decided, Replayed, Stored, asked, decided_again};
pub use moment::{At, Told, why_at};
pub use night::{Night, NoticeStands, at_night};
pub use votes::{Vote, votes};
