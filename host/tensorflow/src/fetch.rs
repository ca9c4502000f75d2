//! From TensorFlow's tensors to ours.
//!
//! Numbers stay where TensorFlow has put them: the tensor is kept until its bytes are dropped.
//! Strings are gathered into one buffer.
//!
//! **Invariant:** a type that cannot be served becomes an error with its name, whatever number
//! TensorFlow gives.

#![expect(unsafe_code, reason = "reads TensorFlow's memory")]

use std::ffi::c_int;

use bytes::Bytes;
use tensorgate_types::{Counter, DType, Error, Result, StringData, Tensor, copy};

use crate::ffi::{Api, TF_TString, TF_Tensor};

/// An output of a run; deleted when dropped.
pub(crate) struct Fetched {
    api: &'static Api,
    raw: *mut TF_Tensor,
}

// SAFETY: a TF_Tensor is a counted reference to memory that is no longer written to; TensorFlow
// counts atomically, and a tensor may be deleted on any thread.
unsafe impl Send for Fetched {}

impl Fetched {
    /// Takes an output that a run gave.
    ///
    /// # Safety
    /// `raw` must be a tensor of the library behind `api`, and the caller's to delete.
    pub(crate) unsafe fn own(api: &'static Api, raw: *mut TF_Tensor) -> Self {
        Self { api, raw }
    }

    /// The tensor, without a copy of its numbers; `copied` counts strings. `name` is for the error.
    pub(crate) fn into_tensor(self, name: &str, copied: &Counter) -> Result<Tensor> {
        // SAFETY: `raw` lives until `drop`.
        let number = unsafe { (self.api.TF_TensorType)(self.raw) };
        let dtype = u32::try_from(number).map_or(DType::INVALID, DType::from_number);
        if !dtype.is_servable() {
            return Err(Error::unimplemented(format!(
                "output {name} is of type {dtype}, which cannot be served"
            )));
        }
        let shape = self.shape();
        let tensor = if dtype == DType::STRING {
            Tensor::strings(shape, self.strings(copied)?)
        } else {
            Tensor::fixed(dtype, shape, self.into_bytes())
        };
        // TensorFlow's own output: a mismatch is not the caller's mistake.
        tensor.map_err(|error| Error::internal(format!("output {name}: {}", error.message())))
    }

    fn shape(&self) -> Vec<i64> {
        // SAFETY: `raw` lives until `drop`.
        let rank: c_int = unsafe { (self.api.TF_NumDims)(self.raw) };
        (0..rank)
            // SAFETY: as above, and `dim` is below the rank.
            .map(|dim| unsafe { (self.api.TF_Dim)(self.raw, dim) })
            .collect()
    }

    fn strings(&self, copied: &Counter) -> Result<StringData> {
        // SAFETY: `raw` lives until `drop`.
        let count = unsafe { (self.api.TF_TensorElementCount)(self.raw) };
        let count = usize::try_from(count).unwrap_or(0);
        // SAFETY: as above. The memory of a string tensor is an array of `TF_TString`s.
        let strings = unsafe { (self.api.TF_TensorData)(self.raw) }.cast::<TF_TString>();
        let size = |index: usize| {
            // SAFETY: `index` is below the count; the string is valid and nobody writes to it.
            unsafe { (self.api.TF_StringGetSize)(strings.add(index)) }
        };
        let total = (0..count).map(size).sum();
        let mut bytes: Vec<u8> = Vec::with_capacity(total);
        let mut offsets = Vec::with_capacity(count + 1);
        offsets.push(0);
        for index in 0..count {
            let len = size(index);
            if len > 0 {
                // SAFETY: as for `size`; the pointer is valid for as many bytes, and not null, as
                // there are some.
                let string = unsafe {
                    let data = (self.api.TF_StringGetDataPointer)(strings.add(index));
                    std::slice::from_raw_parts(data.cast(), len)
                };
                copy(string, &mut bytes, copied);
            }
            offsets.push(bytes.len() as u64);
        }
        StringData::new(offsets, Bytes::from(bytes))
    }

    fn into_bytes(self) -> Bytes {
        // SAFETY: `raw` lives until `drop`.
        let (data, len) = unsafe {
            (
                (self.api.TF_TensorData)(self.raw).cast::<u8>(),
                (self.api.TF_TensorByteSize)(self.raw),
            )
        };
        if data.is_null() || len == 0 {
            return Bytes::new();
        }
        Bytes::from_owner(Numbers {
            data,
            len,
            _tensor: self,
        })
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        // SAFETY: the caller of `own` gave it away; deleted once.
        unsafe { (self.api.TF_DeleteTensor)(self.raw) }
    }
}

/// The memory of a tensor of numbers, with the tensor that keeps it.
struct Numbers {
    data: *const u8,
    len: usize,
    _tensor: Fetched,
}

// SAFETY: as for `Fetched`, which the pointer points into.
unsafe impl Send for Numbers {}

impl AsRef<[u8]> for Numbers {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `len` initialised bytes that live as long as the tensor, which `self` keeps. An
        // output may share its memory with a variable, and then TensorFlow writes a new value
        // elsewhere for as long as somebody else holds the old one.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}
