//! Who asks, and what they may do.
//!
//! People sign in with e-mail and password ([`password`], [`throttle`]) and get
//! two tokens: a short-lived signed one that every request carries
//! ([`access`]), and an opaque one that fetches the next pair and is good for
//! one use ([`refresh`]). A request's [`Caller`] is read from the first and
//! checked against the database each time, so that a changed role, a changed
//! password or a logout holds at once and on every replica. Handlers name the
//! role they want in their signature: [`Viewer`], [`Editor`] or [`Admin`].

pub mod access;
mod caller;
pub mod email;
pub mod password;
pub mod refresh;
mod role;
pub mod throttle;

pub use caller::{Admin, Caller, Editor, Viewer};
pub use role::{Role, UnknownRole};
