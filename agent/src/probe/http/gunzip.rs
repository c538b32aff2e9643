//! gzip (RFC 1952): one member after another.
//!
//! What follows a complete member and is no other one is left alone, as gzip and
//! every browser do: some servers pad their files, or append what they should not.
//!
//! The limit of a body does not bound its members, since an empty one adds nothing
//! to it; so they have a limit of their own.

use crate::probe::limits;
use flate2::write::GzDecoder;
use std::io::{self, Write};
use std::mem;

/// How a member begins.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Writes what it unpacks into `W`.
pub(super) struct Gunzip<W: Write> {
    member: GzDecoder<W>,
    /// How many members began.
    members: usize,
    /// `member` is complete, and was checked.
    complete: bool,
    /// The first bytes after it, until it is known what they begin.
    after: Vec<u8>,
}

impl<W: Write> Gunzip<W> {
    pub(super) fn new(outlet: W) -> Self {
        Self { member: GzDecoder::new(outlet), members: 1, complete: false, after: Vec::new() }
    }

    pub(super) fn get_mut(&mut self) -> &mut W {
        self.member.get_mut()
    }

    /// Takes `chunk`; `closed` stands where the outlet was for a moment.
    pub(super) fn take(&mut self, mut chunk: &[u8], closed: fn() -> W) -> io::Result<()> {
        while !chunk.is_empty() {
            if !self.complete {
                let taken = self.member.write(chunk)?;
                chunk = &chunk[taken..];
                if taken == 0 {
                    self.finish()?;
                }
                continue;
            }
            let wanted = MAGIC.len().saturating_sub(self.after.len()).min(chunk.len());
            self.after.extend_from_slice(&chunk[..wanted]);
            chunk = &chunk[wanted..];
            if self.after == MAGIC {
                if self.members == limits::GZIP_MEMBERS {
                    return Err(io::ErrorKind::QuotaExceeded.into());
                }
                self.members += 1;
                self.after.clear();
                self.complete = false;
                let outlet = mem::replace(self.member.get_mut(), closed());
                self.member = GzDecoder::new(outlet);
                self.member.write_all(&MAGIC)?;
            } else if self.after.len() == MAGIC.len() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// There is no more: the member must have come to its end.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if !self.complete {
            self.member.try_finish()?;
            self.complete = true;
        }
        Ok(())
    }
}
