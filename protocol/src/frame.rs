//! Frames: four bytes of length (big endian), then that many bytes of message.
//!
//! The length is judged before anything is allocated for it, so a peer cannot
//! make us reserve more than [`limits::FRAME_BYTES`].

use crate::limits;
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

/// The bytes of the length in front of a frame.
pub const PREFIX_BYTES: usize = 4;

/// Why a frame is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("frame of {length} bytes exceeds the limit of {limit}")]
    TooLarge { length: usize, limit: usize },
    #[error("frame is empty")]
    Empty,
    #[error("frame is not a message of this protocol")]
    Malformed,
}

/// The length a frame's prefix announces, if it is allowed.
pub fn length(prefix: [u8; PREFIX_BYTES]) -> Result<usize, FrameError> {
    let length = u32::from_be_bytes(prefix) as usize;
    match length {
        0 => Err(FrameError::Empty),
        _ if length > limits::FRAME_BYTES => {
            Err(FrameError::TooLarge { length, limit: limits::FRAME_BYTES })
        }
        _ => Ok(length),
    }
}

/// `message` as a frame, prefix included.
pub fn encode(message: &impl Message) -> Result<Bytes, FrameError> {
    let length = message.encoded_len();
    if length > limits::FRAME_BYTES {
        return Err(FrameError::TooLarge { length, limit: limits::FRAME_BYTES });
    }
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + length);
    out.put_u32(length as u32);
    message.encode(&mut out).map_err(|_| FrameError::Malformed)?;
    Ok(out.freeze())
}

/// Reads the message of a frame, without its prefix.
pub fn decode<M: Message + Default>(body: Bytes) -> Result<M, FrameError> {
    M::decode(body).map_err(|_| FrameError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ControlFrame, Heartbeat};
    use proptest::prelude::*;

    #[test]
    fn the_length_is_judged_before_the_body() {
        assert_eq!(length([0, 0, 0, 0]), Err(FrameError::Empty));
        assert!(matches!(length([0xff; 4]), Err(FrameError::TooLarge { .. })));
        assert_eq!(length([0, 0, 1, 2]), Ok(258));
    }

    proptest! {
        #[test]
        fn a_frame_holds_its_message(boot_time_ms: i64, spool_bytes: u64) {
            let message = Heartbeat { boot_time_ms, spool_bytes, ..Heartbeat::default() };
            let frame = encode(&message).expect("small");
            let prefix = frame[..PREFIX_BYTES].try_into().expect("four bytes");
            prop_assert_eq!(length(prefix), Ok(frame.len() - PREFIX_BYTES));
            prop_assert_eq!(decode::<Heartbeat>(frame.slice(PREFIX_BYTES..)), Ok(message));
        }

        #[test]
        fn no_bytes_crash_the_decoder(bytes: Vec<u8>) {
            let _ignored = decode::<ControlFrame>(Bytes::from(bytes));
        }
    }
}
