//! From our tensors to TensorFlow's.
//!
//! Numbers go as they lie in memory: TensorFlow gets the address, and the bytes stay alive until
//! it says that it has done with them. Memory that is not aligned as Eigen wants it is copied
//! first, and counted.
//!
//! Strings are copied into TensorFlow's own string type. It has views, but an operation that
//! copies a view copies the address, and a table or queue of the model may then hold it for
//! longer than the request lives.
//!
//! **Invariant:** what TensorFlow would end the process over (it asserts on shapes that overflow,
//! and on too many dimensions) is refused here.

#![expect(unsafe_code, reason = "hands memory to TensorFlow")]

use std::ffi::{c_int, c_void};

use tensorgate_types::{
    AlignedBuffer, Counter, DType, Elements, Error, Place, Result, StringData, Tensor, TensorData,
    copy,
};

use crate::ffi::{Api, TF_TString, TF_Tensor};
use crate::library::Library;

/// TensorFlow's shapes have at most this many dimensions; one more ends the process.
const MAX_RANK: usize = 254;

/// Bytes that were copied on the way to TensorFlow, and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CopyCount {
    /// Of numbers whose memory was not aligned.
    pub unaligned: u64,
    /// Of strings that were given to it.
    pub strings: u64,
    /// Of strings that it gave.
    pub strings_out: u64,
}

/// The same, as it grows.
#[derive(Debug, Default)]
pub struct CopyCounters {
    unaligned: Counter,
    strings: Counter,
    pub(crate) strings_out: Counter,
}

impl CopyCounters {
    /// What there has been so far.
    #[must_use]
    pub fn read(&self) -> CopyCount {
        CopyCount {
            unaligned: self.unaligned.get(),
            strings: self.strings.get(),
            strings_out: self.strings_out.get(),
        }
    }
}

/// A tensor of TensorFlow's, made from one of ours.
#[repr(transparent)]
pub(crate) struct Feed(*mut TF_Tensor);

/// Feeds behind one another, as a run wants them; deleted together.
pub(crate) struct Feeds {
    api: &'static Api,
    feeds: Vec<Feed>,
}

impl Feeds {
    pub(crate) fn with_capacity(api: &'static Api, capacity: usize) -> Self {
        Self {
            api,
            feeds: Vec::with_capacity(capacity),
        }
    }

    /// Adds `tensor`.
    pub(crate) fn push(
        &mut self,
        library: Library,
        tensor: &Tensor,
        copied: &CopyCounters,
    ) -> Result<()> {
        check_shape(tensor.shape())?;
        let raw = match tensor.data() {
            TensorData::Fixed(bytes) => {
                if tensor.dtype() == DType::BOOL {
                    check_bools(bytes)?;
                }
                let bytes = aligned(bytes, library.alignment(), copied);
                new_fixed(self.api, tensor.dtype(), tensor.shape(), bytes)
            }
            TensorData::Strings(strings) => {
                // By TensorFlow itself.
                copied.strings.add(strings.bytes().len() as u64);
                new_strings(self.api, tensor.shape(), strings)
            }
        };
        if raw.is_null() {
            return Err(Error::internal(format!(
                "TensorFlow refused a {} tensor of shape {:?}",
                tensor.dtype(),
                tensor.shape()
            )));
        }
        self.feeds.push(Feed(raw));
        Ok(())
    }

    pub(crate) fn as_ptr(&self) -> *const *mut TF_Tensor {
        // `Feed` is nothing but the pointer.
        self.feeds.as_ptr().cast()
    }

    pub(crate) fn len(&self) -> usize {
        self.feeds.len()
    }
}

impl Drop for Feeds {
    fn drop(&mut self) {
        for feed in &self.feeds {
            // SAFETY: from `TF_NewTensor`, deleted once. Its memory lives on while TensorFlow
            // uses it elsewhere, in an output that is the same tensor, say.
            unsafe { (self.api.TF_DeleteTensor)(feed.0) }
        }
    }
}

/// What TensorFlow asserts of a shape. A tensor without elements can have dimensions whose
/// product overflows all the same.
fn check_shape(shape: &[i64]) -> Result<()> {
    if shape.len() > MAX_RANK {
        return Err(Error::invalid_argument(format!(
            "a tensor can have {MAX_RANK} dimensions, not {}",
            shape.len()
        )));
    }
    shape
        .iter()
        .try_fold(1i64, |product, dim| product.checked_mul((*dim).max(1)))
        .map(|_product| ())
        .ok_or_else(|| Error::invalid_argument(format!("shape {shape:?} is too large")))
}

/// To compiled kernels a bool is 0 or 1; another byte is undefined behaviour in them.
fn check_bools(bytes: &[u8]) -> Result<()> {
    // All bits together, not byte by byte with an early end: this is a vector loop.
    let all = bytes.iter().fold(0, |all, byte| all | byte);
    if all <= 1 {
        Ok(())
    } else {
        Err(Error::invalid_argument(
            "a bool tensor has a byte that is neither 0 nor 1",
        ))
    }
}

/// `bytes` if TensorFlow can take them where they lie, else a copy that it can.
fn aligned(bytes: &Elements, alignment: usize, copied: &CopyCounters) -> Elements {
    if bytes.as_ptr().addr().is_multiple_of(alignment) {
        return bytes.clone();
    }
    let mut place = Place::new(bytes.len());
    copy(bytes, &mut place, &copied.unaligned);
    place.into_elements()
}

fn new_fixed(api: &Api, dtype: DType, shape: &[i64], bytes: Elements) -> *mut TF_Tensor {
    unsafe extern "C" fn release(_data: *mut c_void, _len: usize, bytes: *mut c_void) {
        // SAFETY: `bytes` is from `Box::into_raw` below, and TensorFlow calls this once, on
        // whichever thread is last; `Elements` may be dropped on any.
        drop(unsafe { Box::from_raw(bytes.cast::<Elements>()) });
    }
    let (data, len) = (bytes.as_ptr(), bytes.len());
    let keeper = Box::into_raw(Box::new(bytes));
    // SAFETY: `data` is `len` bytes that live until `release` is called, which happens here if
    // TensorFlow refuses them. It does not write to them: it reuses an input's memory for an
    // output only when nobody else holds it, and the feed holds it until the run has ended.
    // `shape` is valid for its length.
    unsafe {
        (api.TF_NewTensor)(
            number(dtype),
            shape.as_ptr(),
            rank(shape),
            data.cast_mut().cast(),
            len,
            release,
            keeper.cast(),
        )
    }
}

/// The strings of a feed, until TensorFlow has done with them.
struct StringArray {
    api: &'static Api,
    /// `TF_TString`s; from the start all zero, which is the empty string. Aligned as everything
    /// that kernels read, which they assert for strings too.
    buffer: AlignedBuffer,
    len: usize,
}

impl StringArray {
    fn strings(&mut self) -> *mut TF_TString {
        self.buffer.as_mut_slice().as_mut_ptr().cast()
    }
}

impl Drop for StringArray {
    fn drop(&mut self) {
        let strings = self.strings();
        for index in 0..self.len {
            // SAFETY: `index` is in the array, and every string in it is valid: empty from the
            // start, or written by TensorFlow. Each is freed once.
            unsafe { (self.api.TF_StringDealloc)(strings.add(index)) }
        }
    }
}

fn new_strings(api: &'static Api, shape: &[i64], strings: &StringData) -> *mut TF_Tensor {
    unsafe extern "C" fn release(_data: *mut c_void, _len: usize, array: *mut c_void) {
        // SAFETY: `array` is from `Box::into_raw` below, and TensorFlow calls this once.
        drop(unsafe { Box::from_raw(array.cast::<StringArray>()) });
    }
    let len = size_of::<TF_TString>() * strings.len();
    let mut array = Box::new(StringArray {
        api,
        buffer: AlignedBuffer::zeroed(len),
        len: strings.len(),
    });
    let data = array.strings();
    for (index, string) in strings.iter().enumerate() {
        // SAFETY: `index` is in the array, the string there is a valid empty one, and `string` is
        // valid for its length; TensorFlow copies it.
        unsafe { (api.TF_StringCopy)(data.add(index), string.as_ptr().cast(), string.len()) }
    }
    let keeper = Box::into_raw(array);
    // SAFETY: as in `new_fixed`; the memory is `len` bytes of valid strings. Its address is taken
    // from where the keeper now lies for good.
    unsafe {
        let data = (*keeper).strings();
        (api.TF_NewTensor)(
            number(DType::STRING),
            shape.as_ptr(),
            rank(shape),
            data.cast(),
            len,
            release,
            keeper.cast(),
        )
    }
}

fn number(dtype: DType) -> c_int {
    // TensorFlow's numbers end long before.
    c_int::try_from(dtype.number()).unwrap_or(0)
}

fn rank(shape: &[i64]) -> c_int {
    // `check_shape` has bounded it.
    c_int::try_from(shape.len()).unwrap_or(c_int::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_that_would_end_the_process_are_refused() {
        for good in [&[][..], &[0], &[2, 3], &[0, i64::MAX], &[1; MAX_RANK]] {
            assert!(check_shape(good).is_ok(), "{good:?}");
        }
        for bad in [
            &[i64::MAX, 4, 0][..],
            &[0, i64::MAX, 2],
            &[1 << 40, 1 << 40],
            &[1; MAX_RANK + 1],
        ] {
            assert!(check_shape(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn bools_are_zero_or_one() {
        assert!(check_bools(&[0, 1, 1]).is_ok());
        assert!(check_bools(&[0, 2]).is_err());
        assert!(check_bools(&[255]).is_err());
    }

    #[test]
    fn only_unaligned_memory_is_copied() {
        let counters = CopyCounters::default();
        let buffer = Elements::from(AlignedBuffer::copy_of(&[7; 128]).into_bytes());
        assert_eq!(aligned(&buffer, 64, &counters).as_ptr(), buffer.as_ptr());
        assert_eq!(counters.read().unaligned, 0);
        let shifted = buffer.slice(1..128);
        let copy = aligned(&shifted, 64, &counters);
        assert_eq!(copy.as_ptr().addr() % 64, 0);
        assert_eq!(copy[..], shifted[..]);
        assert_eq!(counters.read().unaligned, 127);
    }
}
