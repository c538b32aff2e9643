//! Each invariant, broken once.
