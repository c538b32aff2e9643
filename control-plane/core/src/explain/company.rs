//! What belonging to a group means for an incident, in one clause.

use crate::words::words;

/// What an incident is in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Its notices are the group's.
    Lead,
    /// It was told with the group.
    Member,
    /// It depends on another that is down, and its own notice is held.
    Listed,
}
words!(Role, "role in a group", Lead = "lead", Member = "member", Listed = "listed");

/// Who was told of it, and by what; `lead`: the name of what the lead is about.
pub fn in_company(role: Role, lead: &str, paged: bool) -> String {
    match (role, paged) {
        (Role::Lead, true) => "its notice told the whole group".to_owned(),
        (Role::Member, true) => {
            format!(
                "told with {lead}; it has no notice of its own, and its end is told when all of the group is over"
            )
        }
        (Role::Lead | Role::Member, false) => "nobody was told of the group".to_owned(),
        (Role::Listed, _) => {
            format!(
                "listed with {lead}; its own notice is held, and comes if it still hurts when what it depends on is back"
            )
        }
    }
}
