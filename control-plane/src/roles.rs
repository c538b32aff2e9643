//! Which of the four services this process is.

use clap::ValueEnum;
use std::collections::BTreeSet;

/// One service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Role {
    /// REST, console, status pages.
    Api,
    /// The agents' link and ingest.
    Gateway,
    /// Assignment, liveness, correlation, retention.
    Scheduler,
    /// Delivery of notifications.
    Notifier,
}

impl Role {
    const ALL: [Self; 4] = [Self::Api, Self::Gateway, Self::Scheduler, Self::Notifier];

    /// The word on the command line and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Gateway => "gateway",
            Self::Scheduler => "scheduler",
            Self::Notifier => "notifier",
        }
    }

    /// The tcp port of a process that is only this.
    fn port(self) -> u16 {
        match self {
            Self::Api => 4000,
            Self::Gateway => 4004,
            Self::Scheduler => 4002,
            Self::Notifier => 4003,
        }
    }
}

/// The services of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// The named ones, or all if none is named.
    pub fn new(named: &[Role]) -> Self {
        let named: BTreeSet<_> = named.iter().copied().collect();
        if named.is_empty() { Self(Role::ALL.into()) } else { Self(named) }
    }

    /// Whether this process is `role`.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Whether this process decides what agents do, and so holds the assignment key.
    pub fn signs_assignments(&self) -> bool {
        self.has(Role::Scheduler)
    }

    /// The tcp port, unless configuration names one: the API's when it is here.
    pub fn default_port(&self) -> u16 {
        self.0.first().copied().unwrap_or(Role::Api).port()
    }

    /// Their words, in a fixed order.
    pub fn words(&self) -> Vec<&'static str> {
        self.0.iter().map(|role| role.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_alone_has_its_own_port() {
        assert_eq!(Roles::new(&[]).default_port(), 4000);
        assert_eq!(Roles::new(&[Role::Notifier]).default_port(), 4003);
        assert_eq!(Roles::new(&[Role::Scheduler, Role::Gateway]).default_port(), 4004);
        assert!(!Roles::new(&[Role::Api]).signs_assignments());
    }
}
