//! Memory that TensorFlow takes as it is.
//!
//! Eigen wants 64-byte alignment (the widest vector of the CPUs that it is built for); a buffer
//! that has it is handed to a session without a copy, one that has not is copied first.

use bytemuck::Zeroable;
use bytes::Bytes;

/// The alignment of [`AlignedBuffer`], in bytes.
pub const ALIGNMENT: usize = 64;

#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Block([u8; ALIGNMENT]);

/// A byte buffer of fixed length, aligned to [`ALIGNMENT`], zeroed when made.
///
/// Filled once through [`as_mut_slice`](Self::as_mut_slice), then turned into [`Bytes`], which
/// are shared without a copy.
pub struct AlignedBuffer {
    blocks: Box<[Block]>,
    len: usize,
}

impl AlignedBuffer {
    /// A buffer of `len` zero bytes. Large ones come straight from the kernel, zeroed already.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        // bytemuck allocates zeroed memory in one step; a `vec![Block; n]` would write it twice.
        let blocks = bytemuck::zeroed_slice_box(len.div_ceil(ALIGNMENT));
        Self { blocks, len }
    }

    /// A copy of `bytes`.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut blocks = Vec::with_capacity(bytes.len().div_ceil(ALIGNMENT));
        let (whole, rest) = bytes.as_chunks::<ALIGNMENT>();
        blocks.extend(whole.iter().map(|chunk| Block(*chunk)));
        if !rest.is_empty() {
            let mut last = Block::zeroed();
            last.0[..rest.len()].copy_from_slice(rest);
            blocks.push(last);
        }
        Self {
            blocks: blocks.into_boxed_slice(),
            len: bytes.len(),
        }
    }

    /// The bytes, to be filled.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.blocks)[..self.len]
    }

    /// The bytes as shareable memory, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for AlignedBuffer {
    fn as_ref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.blocks)[..self.len]
    }
}

impl std::fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlignedBuffer")
            .field("len", &self.len)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_aligned_and_holds_exactly_its_bytes() {
        for len in [0, 1, 63, 64, 65, 1000] {
            let source: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let mut zeroed = AlignedBuffer::zeroed(len);
            assert!(zeroed.as_ref().iter().all(|byte| *byte == 0));
            zeroed.as_mut_slice().copy_from_slice(&source);
            for buffer in [zeroed, AlignedBuffer::copy_of(&source)] {
                let bytes = buffer.into_bytes();
                assert_eq!(bytes, source);
                if len > 0 {
                    assert_eq!(bytes.as_ptr() as usize % ALIGNMENT, 0);
                }
            }
        }
    }
}
