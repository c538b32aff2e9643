//! brotli (RFC 7932), with its memory counted.
//!
//! What a decoder takes is up to the stream: a window of up to 16 MiB, which it
//! fills with zeros before use, and tables. The stream's head says less than that,
//! and a window is often far smaller than announced. So it is counted as it is taken.

use brotli_decompressor::writer::DecompressorWriterCustomAlloc;
use brotli_decompressor::{Allocator, SliceWrapper, StandardAlloc};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is handed on at once.
const BUFFER: usize = 4 * 1024;

type Bytes = <StandardAlloc as Allocator<u8>>::AllocatedMemory;
type Decoder<W> = DecompressorWriterCustomAlloc<W, Bytes, Counted, Counted, Counted>;

/// Writes what it unpacks into `W`.
pub(super) struct Unbrotli<W: Write> {
    decoder: Decoder<W>,
    taken: Arc<AtomicUsize>,
}

impl<W: Write> Unbrotli<W> {
    pub(super) fn new(outlet: W) -> Self {
        let counted = Counted::default();
        let taken = Arc::clone(&counted.0);
        let [mut bytes, words, tables] = [counted.clone(), counted.clone(), counted];
        let buffer = Allocator::<u8>::alloc_cell(&mut bytes, BUFFER);
        Self { decoder: Decoder::new(outlet, buffer, bytes, words, tables), taken }
    }

    pub(super) fn write_all(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.decoder.write_all(chunk)
    }

    /// The stream is over, and must have come to its end.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.decoder.close()
    }

    pub(super) fn get_mut(&mut self) -> &mut W {
        self.decoder.get_mut()
    }

    /// Bytes of memory that it takes now.
    pub(super) fn memory(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// The library's allocator, with a count of what is out. Shared by the decoder's three kinds of memory.
#[derive(Debug, Clone, Default)]
struct Counted(Arc<AtomicUsize>);

impl<T: Clone + Default> Allocator<T> for Counted {
    type AllocatedMemory = <StandardAlloc as Allocator<T>>::AllocatedMemory;

    fn alloc_cell(&mut self, len: usize) -> Self::AllocatedMemory {
        self.0.fetch_add(len * size_of::<T>(), Ordering::Relaxed);
        StandardAlloc::default().alloc_cell(len)
    }

    fn free_cell(&mut self, cell: Self::AllocatedMemory) {
        self.0.fetch_sub(size_of_val(cell.slice()), Ordering::Relaxed);
        StandardAlloc::default().free_cell(cell);
    }
}
