//! A body on its way to who reads it: decoded, and cut off at the limit.
//!
//! Decoders write what they make into [`Outlet`], which refuses everything past
//! the limit. So a few kilobytes that stand for gigabytes cost what the limit
//! allows and not more. What a decoder itself needs is bounded by its format
//! (gzip and deflate 32 KiB, brotli 16 MiB) or here (zstd 8 MiB, RFC 9659), and
//! counts in what all checks share ([`crate::probe::budget`]).
//!
//! A coding that nobody registered leaves the body as it came, as browsers do;
//! so does a list of several codings, which no server sends on purpose.
//!
//! To add a coding: a variant of [`Stage`] and its word in [`Coding::of`].

use super::gunzip::Gunzip;
use super::unbrotli::Unbrotli;
use ::http::HeaderMap;
use ::http::header::CONTENT_ENCODING;
use flate2::{Decompress, FlushDecompress, Status};
use hyperverge_agent_core::judge::BodyReader;
use std::io::{self, Write};
use std::mem;
use zstd::stream::write::Decoder as ZstdDecoder;

/// RFC 9659: the largest window a client has to accept, as a power of two.
const ZSTD_WINDOW_LOG: u32 = 23;
/// RFC 1951, section 2: how far deflate looks back.
const INFLATE_WINDOW: usize = 32 * 1024;
/// What zstd's decoder takes beside its window.
const ZSTD_STATE: usize = 160 * 1024;
/// What a deflate decoder hands on at once.
const INFLATE_BUFFER: usize = 16 * 1024;

/// What a client may be sent; the value of `Accept-Encoding`.
pub(super) const ACCEPTED: &str = "gzip, br, zstd";

/// The body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// RFC 9110, section 8.4.1, and IANA's registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    fn of(headers: &HeaderMap) -> Self {
        let mut all = headers.get_all(CONTENT_ENCODING).iter();
        let (Some(only), None) = (all.next(), all.next()) else { return Self::Identity };
        match only.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "br" => Self::Brotli,
            "zstd" => Self::Zstd,
            _ => Self::Identity,
        }
    }
}

/// Takes a body chunk by chunk.
pub(super) struct Intake<'a> {
    stage: Stage<'a>,
    /// Anything came at all: an empty body is complete in every coding.
    fed: bool,
}

enum Stage<'a> {
    Plain(Outlet<'a>),
    Gzip(Box<Gunzip<Outlet<'a>>>),
    /// `deflate` before it is known whether it is meant with zlib's frame, as
    /// RFC 9110 says, or bare, as some servers send it.
    Deflate(Outlet<'a>, Vec<u8>),
    Inflate(Box<Inflate<'a>>),
    Brotli(Box<Unbrotli<Outlet<'a>>>),
    Zstd(Box<ZstdDecoder<'static, Outlet<'a>>>),
}

/// The reader, as a decoder sees it.
struct Outlet<'a> {
    reader: BodyReader<'a>,
    limit: usize,
}

impl Outlet<'_> {
    /// Stands where another one was taken away.
    fn closed() -> Self {
        Self { reader: BodyReader::sampling(), limit: 0 }
    }
}

impl Write for Outlet<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.reader.take(bytes, self.limit) {
            Ok(bytes.len())
        } else {
            Err(io::ErrorKind::QuotaExceeded.into())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> Intake<'a> {
    /// Hands the body that `headers` announce to `reader`, at most `limit` bytes of it.
    pub(super) fn new(headers: &HeaderMap, reader: BodyReader<'a>, limit: usize) -> Self {
        let outlet = Outlet { reader, limit };
        let stage = match Coding::of(headers) {
            Coding::Identity => Stage::Plain(outlet),
            Coding::Gzip => Stage::Gzip(Box::new(Gunzip::new(outlet))),
            Coding::Deflate => Stage::Deflate(outlet, Vec::new()),
            Coding::Brotli => Stage::Brotli(Box::new(Unbrotli::new(outlet))),
            Coding::Zstd => zstd(outlet),
        };
        Self { stage, fed: false }
    }

    /// Takes `chunk`; `Ok(false)` once there is more than the limit.
    pub(super) fn take(&mut self, chunk: &[u8]) -> Result<bool, Broken> {
        if let Stage::Plain(outlet) = &mut self.stage {
            return Ok(outlet.reader.take(chunk, outlet.limit));
        }
        self.fed |= !chunk.is_empty();
        let written = self.write(chunk);
        self.unless_cut(written)
    }

    /// The body is over: it must have come to its end in its coding too.
    pub(super) fn finish(&mut self) -> Result<(), Broken> {
        if !self.fed {
            return Ok(());
        }
        let finished = match &mut self.stage {
            Stage::Plain(_) => Ok(()),
            Stage::Gzip(decoder) => decoder.finish(),
            // One byte is neither.
            Stage::Deflate(..) => Err(io::ErrorKind::UnexpectedEof.into()),
            Stage::Inflate(decoder) => decoder.finish(),
            Stage::Brotli(decoder) => decoder.finish(),
            Stage::Zstd(decoder) => decoder.do_finish(),
        };
        self.unless_cut(finished).map(|_| ())
    }

    /// Bytes of memory that this takes: what is kept of the body, and what its decoder
    /// needs. zstd touches no more of its window than it wrote there, and pages that
    /// nobody touched are not there.
    pub(super) fn memory(&mut self) -> usize {
        let decoded = usize::try_from(self.outlet().reader.bytes()).unwrap_or(usize::MAX);
        let decoder = match &self.stage {
            Stage::Plain(_) | Stage::Deflate(..) => 0,
            Stage::Gzip(_) | Stage::Inflate(_) => INFLATE_WINDOW,
            Stage::Brotli(decoder) => decoder.memory(),
            Stage::Zstd(_) => ZSTD_STATE.saturating_add(decoded),
        };
        self.outlet().reader.memory().saturating_add(decoder)
    }

    /// What was taken.
    pub(super) fn into_reader(mut self) -> BodyReader<'a> {
        mem::replace(self.outlet(), Outlet::closed()).reader
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        match &mut self.stage {
            Stage::Plain(outlet) => outlet.write_all(chunk),
            Stage::Gzip(decoder) => decoder.take(chunk, Outlet::closed),
            Stage::Inflate(decoder) => decoder.write_all(chunk),
            Stage::Brotli(decoder) => decoder.write_all(chunk),
            Stage::Zstd(decoder) => decoder.write_all(chunk),
            Stage::Deflate(outlet, begun) => {
                begun.extend_from_slice(chunk);
                if begun.len() < 2 {
                    return Ok(());
                }
                let begun = mem::take(begun);
                let outlet = mem::replace(outlet, Outlet::closed());
                let zlib = has_zlib_header(&begun);
                self.stage = Stage::Inflate(Box::new(Inflate::new(outlet, zlib)));
                self.write(&begun)
            }
        }
    }

    /// A decoder that could not write because of the limit is not at fault.
    fn unless_cut(&mut self, done: io::Result<()>) -> Result<bool, Broken> {
        match done {
            _ if self.outlet().reader.cut() => Ok(false),
            Ok(()) => Ok(true),
            Err(_) => Err(Broken),
        }
    }

    fn outlet(&mut self) -> &mut Outlet<'a> {
        match &mut self.stage {
            Stage::Plain(outlet) | Stage::Deflate(outlet, _) => outlet,
            Stage::Gzip(decoder) => decoder.get_mut(),
            Stage::Inflate(decoder) => &mut decoder.outlet,
            Stage::Brotli(decoder) => decoder.get_mut(),
            Stage::Zstd(decoder) => decoder.get_mut(),
        }
    }
}

/// Deflate, in zlib's frame or bare. flate2's own writers do not tell a stream
/// that ended from one that was broken off.
struct Inflate<'a> {
    outlet: Outlet<'a>,
    state: Decompress,
    buffer: Vec<u8>,
    ended: bool,
}

impl<'a> Inflate<'a> {
    fn new(outlet: Outlet<'a>, zlib: bool) -> Self {
        let buffer = Vec::with_capacity(INFLATE_BUFFER);
        Self { outlet, state: Decompress::new(zlib), buffer, ended: false }
    }

    fn write_all(&mut self, mut chunk: &[u8]) -> io::Result<()> {
        while !self.ended {
            self.buffer.clear();
            let before = self.state.total_in();
            let status =
                self.state.decompress_vec(chunk, &mut self.buffer, FlushDecompress::None)?;
            let taken = usize::try_from(self.state.total_in() - before).unwrap_or(usize::MAX);
            chunk = &chunk[taken.min(chunk.len())..];
            self.outlet.write_all(&self.buffer)?;
            self.ended = status == Status::StreamEnd;
            if chunk.is_empty() && self.buffer.len() < self.buffer.capacity() {
                break;
            }
            if taken == 0 && self.buffer.is_empty() {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(())
    }

    fn finish(&self) -> io::Result<()> {
        if self.ended { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

fn zstd(outlet: Outlet<'_>) -> Stage<'_> {
    let raw = zstd::stream::raw::Decoder::new().and_then(|mut raw| {
        use zstd::zstd_safe::DParameter;
        raw.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
        Ok(raw)
    });
    match raw {
        Ok(raw) => Stage::Zstd(Box::new(ZstdDecoder::with_decoder(outlet, raw))),
        // Out of memory: what came is taken as it is.
        Err(_) => Stage::Plain(outlet),
    }
}

/// RFC 1950, section 2.2: the method is 8, and both bytes are a multiple of 31.
fn has_zlib_header(begun: &[u8]) -> bool {
    let [first, second, ..] = *begun else { return false };
    first & 0x0f == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}
