//! Frames on a stream. The length is judged before there is room made for it.

use crate::limits::{FAREWELL, FRAME_WRITE};
use bytes::BytesMut;
use hyperverge_protocol::frame::{self, FrameError};
use hyperverge_protocol::wire::{AgentFrame, ControlFrame, agent_frame, control_frame};
use quinn::{ReadExactError, RecvStream, SendStream};

/// Why there is no next frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The peer ended the stream or the connection.
    #[error("the peer left: {0}")]
    Left(String),
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame of a kind this version does not know.
    #[error("frame body is missing or of an unknown kind")]
    Unknown,
}

/// Why a frame could not be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("the peer left: {0}")]
    Left(String),
    #[error("the peer does not read")]
    Stuck,
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// The next message. Not cancel safe: bytes may be lost.
pub(super) async fn read(stream: &mut RecvStream) -> Result<agent_frame::Body, ReadError> {
    let mut prefix = [0; frame::PREFIX_BYTES];
    read_exact(stream, &mut prefix).await?;
    let mut body = BytesMut::zeroed(frame::length(prefix)?);
    read_exact(stream, &mut body).await?;
    let frame: AgentFrame = frame::decode(body.freeze())?;
    frame.body.ok_or(ReadError::Unknown)
}

async fn read_exact(stream: &mut RecvStream, into: &mut [u8]) -> Result<(), ReadError> {
    stream.read_exact(into).await.map_err(|error| match error {
        ReadExactError::FinishedEarly(_) => ReadError::Left("stream finished".into()),
        ReadExactError::ReadError(error) => ReadError::Left(error.to_string()),
    })
}

/// The sending half of a session's stream.
#[derive(Debug)]
pub(super) struct Writer {
    stream: SendStream,
    /// Whether a frame was begun and not finished: whatever followed would be
    /// read as the rest of it.
    torn: bool,
}

impl Writer {
    pub(super) fn new(stream: SendStream) -> Self {
        Self { stream, torn: false }
    }

    /// Sends one message, unless the peer does not read for [`FRAME_WRITE`]. When
    /// this is cancelled, nothing more can be sent.
    pub(super) async fn write(&mut self, body: control_frame::Body) -> Result<(), WriteError> {
        if self.torn {
            return Err(WriteError::Stuck);
        }
        let bytes = frame::encode(&ControlFrame { body: Some(body) })?;
        self.torn = true;
        match tokio::time::timeout(FRAME_WRITE, self.stream.write_all(&bytes)).await {
            Ok(Ok(())) => {
                self.torn = false;
                Ok(())
            }
            Ok(Err(error)) => Err(WriteError::Left(error.to_string())),
            Err(_) => Err(WriteError::Stuck),
        }
    }

    /// Ends the stream and waits until the peer has everything, within [`FAREWELL`].
    pub(super) async fn finish(mut self) {
        if self.torn || self.stream.finish().is_err() {
            return;
        }
        let received = tokio::time::timeout(FAREWELL, self.stream.stopped()).await;
        tracing::trace!(received = received.is_ok(), "farewell");
    }
}
