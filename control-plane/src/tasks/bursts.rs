//! Signs the orders of bursts, and settles bursts whose time is over.
//!
//! A failure is confirmed within seconds, so a hint starts a round at once; the
//! timer is for what another process asked for. There is no lease: whichever
//! scheduler comes first signs, and the signature of another would be the same.

use super::reconcile;
use crate::limits::{BURST_ORDERS_SIGNED, BURST_POLL, BURSTS_EXPIRED};
use crate::shared::Shared;
use crate::store::StoreError;
use crate::store::bursts::{self, UnsignedOrder};
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use hyperverge_protocol::envelope::{self, Purpose};
use hyperverge_protocol::identity::{Fingerprint, IdentityError};
use hyperverge_protocol::wire::BurstOrder;
use prost::Message;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
pub enum BurstError {
    #[error("the database did not do it")]
    Store(#[from] StoreError),
    #[error("this process holds no assignment key")]
    NoKey,
    #[error("an agent has a name that is no fingerprint")]
    AgentId(#[from] IdentityError),
}

/// Runs until stopped. Needs the assignment key.
pub async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    reconcile("bursts", &shared, &shared.wake.bursts, BURST_POLL, stop, || round(&shared)).await;
}

/// Signs what waits for it, and settles what has expired.
pub async fn round(shared: &Shared) -> Result<(), BurstError> {
    let mut tx = shared.store.read().await?;
    let now = tx.now().await?;
    let orders = bursts::unsigned(&mut tx, now, BURST_ORDERS_SIGNED).await?;
    let over = bursts::any_expired(&mut tx, now).await?;
    drop(tx);
    if orders.is_empty() && !over {
        return Ok(());
    }
    let key = shared.keys.assignment().ok_or(BurstError::NoKey)?;
    let mut tx = shared.store.begin().await?;
    let mut signed = 0;
    for order in &orders {
        let envelope = sign(order, key)?;
        signed += u64::from(bursts::put_envelope(&mut tx, order, &envelope).await?);
    }
    let expired = bursts::expire(&mut tx, now, BURSTS_EXPIRED).await?;
    tx.commit().await?;
    shared.metrics.burst_orders_signed_total.inc_by(signed);
    if signed > 0 {
        shared.wake.gateway.notify_one();
    }
    if expired > 0 {
        shared.wake.correlator.notify_one();
    }
    if orders.len() as i64 >= BURST_ORDERS_SIGNED {
        shared.wake.bursts.notify_one();
    }
    Ok(())
}

/// The encoded envelope around an order.
fn sign(order: &UnsignedOrder, key: &SigningKey) -> Result<Vec<u8>, IdentityError> {
    let agent: Fingerprint = order.agent_id.parse()?;
    let wire = BurstOrder {
        agent_id: Bytes::copy_from_slice(agent.as_bytes()),
        burst_id: Bytes::copy_from_slice(order.burst_id.as_bytes()),
        monitor_id: Bytes::copy_from_slice(order.monitor_id.as_bytes()),
        revision: order.revision.unsigned_abs(),
        failures: order.failures,
        asked_ms: order.asked_at,
        expires_ms: order.expires_at,
    };
    let payload = wire.encode_to_vec().into();
    Ok(envelope::seal(Purpose::BurstOrder, payload, key).encode_to_vec())
}
