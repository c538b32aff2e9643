//! Telling agents at once that the process they talked to is gone.
//!
//! After a crash the sessions are unknown here, and agents would send into the
//! void until their idle timeout. QUIC has an answer, the stateless reset (RFC
//! 9000, 10.3): a token only the one who opened the connection can have made.
//! So its key, and the one by which we know our own connection ids again, come
//! from the link's key, which outlives the process, instead of from chance.
//!
//! Replicas with one link key can reset each other's connections. Only somebody
//! who reads an agent's packets on their way could make use of that, and he can
//! as well drop them; and where a balancer sends an agent to another replica, a
//! reset is just what makes it connect again.

use ed25519_dalek::SigningKey;
use hmac::{Hmac, KeyInit, Mac};
use quinn::EndpointConfig;
use quinn::crypto::{CryptoError, HmacKey};
use quinn_proto::HashedConnectionIdGenerator;
use sha2::{Digest, Sha256};
use std::sync::Arc;

const RESET_KEY: &[u8] = b"hyperverge link stateless reset key\0";
const CONNECTION_IDS: &[u8] = b"hyperverge link connection ids\0";

/// How the endpoint names its connections and resets those of a predecessor.
pub(super) fn endpoint_config(link: &SigningKey) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(ResetKey(derived(link, RESET_KEY))));
    let link = link.clone();
    config.cid_generator(move || Box::new(connection_ids(&link)));
    config
}

fn connection_ids(link: &SigningKey) -> HashedConnectionIdGenerator {
    let key = derived(link, CONNECTION_IDS);
    let key = key.first_chunk().copied().map(u64::from_le_bytes).unwrap_or_default();
    HashedConnectionIdGenerator::from_key(key)
}

fn derived(link: &SigningKey, purpose: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(purpose).chain_update(link.as_bytes()).finalize().into()
}

/// HMAC-SHA256 under a key of its own.
struct ResetKey([u8; 32]);

impl ResetKey {
    fn mac(&self, data: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(data);
        mac
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], out: &mut [u8]) {
        out.copy_from_slice(&self.mac(data).finalize().into_bytes());
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        self.mac(data).verify_slice(signature).map_err(|_| CryptoError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quinn::ConnectionIdGenerator;

    #[test]
    fn a_later_process_makes_the_same_tokens_and_another_installation_does_not() {
        let (ours, theirs) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let token = |link: &SigningKey| {
            let mut token = [0; 32];
            ResetKey(derived(link, RESET_KEY)).sign(b"connection", &mut token);
            token
        };
        assert_eq!(token(&ours), token(&SigningKey::from_bytes(&[1; 32])));
        assert_ne!(token(&ours), token(&theirs));
        assert!(ResetKey(derived(&ours, RESET_KEY)).verify(b"connection", &token(&ours)).is_ok());
        assert!(
            ResetKey(derived(&ours, RESET_KEY)).verify(b"connection", &token(&theirs)).is_err()
        );
    }

    #[test]
    fn a_later_process_knows_its_predecessors_connection_ids() {
        let link = SigningKey::from_bytes(&[1; 32]);
        let id = connection_ids(&link).generate_cid();
        assert!(connection_ids(&link).validate(&id).is_ok());
        assert!(connection_ids(&SigningKey::from_bytes(&[2; 32])).validate(&id).is_err());
    }
}
