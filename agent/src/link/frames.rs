//! Frames over a QUIC stream: a reader that judges the length before it makes
//! room for it, and a writer task with a short queue.

use bytes::{Bytes, BytesMut};
use hyperverge_protocol::frame::{self, FrameError};
use hyperverge_protocol::wire::{AgentFrame, ControlFrame, agent_frame};
use quinn::{ReadExactError, RecvStream, SendStream};

/// Why reading or writing ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkIoError {
    #[error("the control plane closed the stream")]
    Closed,
    #[error("the connection was lost: {0}")]
    Lost(String),
    #[error("the control plane sent what is not a frame: {0}")]
    Frame(#[from] FrameError),
}

/// The next message; not cancel safe.
pub async fn read(recv: &mut RecvStream) -> Result<ControlFrame, LinkIoError> {
    let mut prefix = [0; frame::PREFIX_BYTES];
    read_exact(recv, &mut prefix).await?;
    let length = frame::length(prefix)?;
    let mut body = BytesMut::zeroed(length);
    read_exact(recv, &mut body).await?;
    Ok(frame::decode(body.freeze())?)
}

async fn read_exact(recv: &mut RecvStream, into: &mut [u8]) -> Result<(), LinkIoError> {
    recv.read_exact(into).await.map_err(|error| match error {
        ReadExactError::FinishedEarly(_) => LinkIoError::Closed,
        ReadExactError::ReadError(error) => LinkIoError::Lost(error.to_string()),
    })
}

/// One message as bytes.
pub fn encode(body: agent_frame::Body) -> Result<Bytes, FrameError> {
    frame::encode(&AgentFrame { body: Some(body) })
}

/// The [`AgentFrame`] of a batch that was sealed, whose envelope is bytes already.
#[derive(Clone, PartialEq, prost::Message)]
struct BatchFrame {
    #[prost(bytes = "bytes", tag = "4")]
    result_batch: Bytes,
}

/// A batch as a message: `envelope` as the spool keeps it.
pub fn encode_batch(envelope: Bytes) -> Result<Bytes, FrameError> {
    frame::encode(&BatchFrame { result_batch: envelope })
}

/// Writes one message.
pub async fn write(send: &mut SendStream, bytes: &[u8]) -> Result<(), LinkIoError> {
    send.write_all(bytes).await.map_err(|error| LinkIoError::Lost(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyperverge_protocol::wire::Envelope;
    use prost::Message;

    #[test]
    fn a_batch_is_framed_as_it_was_sealed() {
        let envelope = Envelope {
            payload: vec![1; 300].into(),
            key_id: vec![2; 32].into(),
            signature: vec![3; 64].into(),
        };
        let kept = Bytes::from(envelope.encode_to_vec());
        let whole = encode(agent_frame::Body::ResultBatch(envelope));
        assert_eq!(encode_batch(kept), whole);
    }
}
