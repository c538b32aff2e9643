//! Leases: work that one process does at a time.
//!
//! A lease is held until a time of the database's clock and carries a fence,
//! which rises whenever it changes hands. Who commits work under a lease calls
//! [`guard`] in the same transaction: a holder that slept past its time then
//! finds itself replaced instead of writing over its successor.

use super::{StoreError, Tx};
use crate::params;
use uuid::Uuid;

/// A lease as its holder knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Nil for work that concerns the whole installation.
    pub organisation_id: Uuid,
    pub name: &'static str,
    pub holder: Uuid,
    pub fence: i64,
    pub held_until: i64,
}

/// Takes or renews the lease for `for_ms`; `None` while somebody else holds it.
pub async fn acquire(
    tx: &mut Tx,
    organisation_id: Uuid,
    name: &'static str,
    holder: Uuid,
    for_ms: i64,
) -> Result<Option<Lease>, StoreError> {
    const SQL: &str = "INSERT INTO leases (organisation_id, name, holder, fence, held_until)
        VALUES ($1, $2, $3, 1, $5)
        ON CONFLICT (organisation_id, name) DO UPDATE SET
            fence = CASE WHEN leases.holder = excluded.holder THEN leases.fence ELSE leases.fence + 1 END,
            holder = excluded.holder, held_until = excluded.held_until
        WHERE leases.holder = excluded.holder OR leases.held_until <= $4
        RETURNING fence";
    let now = tx.now().await?;
    let held_until = now + for_ms;
    let row =
        tx.fetch_optional(SQL, params![organisation_id, name, holder, now, held_until]).await?;
    row.map(|row| Ok(Lease { organisation_id, name, holder, fence: row.get("fence")?, held_until }))
        .transpose()
}

/// Whether `lease` is still held with its fence; locks its row until the commit.
pub async fn guard(tx: &mut Tx, lease: &Lease) -> Result<bool, StoreError> {
    const PLAIN: &str = "SELECT fence FROM leases
        WHERE organisation_id = $1 AND name = $2 AND holder = $3 AND fence = $4 AND held_until > $5";
    const LOCKING: &str = "SELECT fence FROM leases
        WHERE organisation_id = $1 AND name = $2 AND holder = $3 AND fence = $4 AND held_until > $5
        FOR UPDATE";
    let now = tx.now().await?;
    let sql = tx.for_update(PLAIN, LOCKING);
    let values = params![lease.organisation_id, lease.name, lease.holder, lease.fence, now];
    Ok(tx.fetch_optional(sql, values).await?.is_some())
}

/// Gives the lease back, so that another process need not wait for its end.
pub async fn release(tx: &mut Tx, lease: &Lease) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE leases SET held_until = 0
        WHERE organisation_id = $1 AND name = $2 AND holder = $3 AND fence = $4";
    tx.execute(SQL, params![lease.organisation_id, lease.name, lease.holder, lease.fence]).await?;
    Ok(())
}
