//! Who did something, with an address people know them by.

use crate::api::Problem;
use crate::store::{Tx, users};
use serde::Serialize;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Somebody of the organisation.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Person)]
pub(super) struct PersonView {
    pub(super) id: Uuid,
    /// Null when they are no longer here.
    pub(super) email: Option<String>,
}

/// The addresses of some people.
#[derive(Debug, Default)]
pub(super) struct People(BTreeMap<Uuid, String>);

impl People {
    /// Looks these people up.
    pub(super) async fn of(
        tx: &mut Tx,
        organisation: Uuid,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<Self, Problem> {
        let mut ids: Vec<Uuid> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self(users::emails(tx, organisation, ids).await?.into_iter().collect()))
    }

    /// As they are shown.
    pub(super) fn person(&self, id: Uuid) -> PersonView {
        PersonView { id, email: self.0.get(&id).cloned() }
    }

    /// What a text calls them.
    pub(super) fn name(&self, id: Uuid) -> String {
        self.0.get(&id).cloned().unwrap_or_else(|| "somebody who left".to_owned())
    }
}
