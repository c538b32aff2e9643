//! (being written)

pub mod clock;
pub mod probe;
