//! Operations that TensorFlow does not have, from libraries that others have built.
//!
//! In comes the path of a shared library, out come the names of the operations that it adds. They
//! are there for every model that is loaded from then on; models that were loaded before keep what
//! they have.
//!
//! Loading a library twice is nothing: TensorFlow keeps what it has loaded, for ever.

#![expect(unsafe_code, reason = "calls TensorFlow")]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use prost::Message;
use tensorgate_types::Error;

use crate::ffi::TF_Buffer;
use crate::library::{Library, OpenError};
use crate::status::Status;

/// The flag that names such libraries, for errors that can be mended with it.
const FLAG: &str = "--custom_op_libraries";

/// A `tensorflow.OpList`, of which the names are read.
#[derive(Clone, PartialEq, Message)]
struct OpList {
    #[prost(message, repeated, tag = "1")]
    op: Vec<Op>,
}

#[derive(Clone, PartialEq, Message)]
struct Op {
    #[prost(string, tag = "1")]
    name: String,
}

impl Library {
    /// Loads the library of operations at `path`, and gives the names of those that it registers.
    /// There are none in a library of nothing but kernels.
    ///
    /// # Errors
    /// With the path, what was expected, and the reason, of the system's loader or of TensorFlow.
    pub fn load_ops(self, path: &Path) -> Result<Vec<String>, OpenError> {
        let fail = |problem: String| {
            let what = format!("a library of operations for TensorFlow {}", self.version());
            OpenError::new(path, what, problem)
        };
        // The loader looks for a name without a slash elsewhere.
        let real = path
            .canonicalize()
            .map_err(|error| fail(error.to_string()))?;
        if !real.is_file() {
            return Err(fail("it is no file".to_owned()));
        }
        let name = CString::new(real.as_os_str().as_bytes())
            .map_err(|_| fail("its name has a zero byte in it".to_owned()))?;
        let api = self.api();
        let mut status = Status::new(api);
        // SAFETY: the name and the status live for the call. Opening a library runs its
        // initialisers: an operator who names one trusts it with the process. The handle is never
        // deleted, which would not unload the library either.
        let handle = unsafe { (api.TF_LoadLibrary)(name.as_ptr(), status.as_ptr()) };
        status
            .check()
            .map_err(|error| fail(error.message().to_owned()))?;
        // SAFETY: the handle is from a successful `TF_LoadLibrary`, which keeps the list for as
        // long as the handle.
        let TF_Buffer { data, length, .. } = unsafe { (api.TF_GetOpList)(handle) };
        if data.is_null() {
            return Ok(Vec::new());
        }
        // SAFETY: `length` bytes that nobody changes, and that live as long as the handle.
        let list = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) };
        let list = OpList::decode(list).map_err(|error| fail(error.to_string()))?;
        Ok(list.op.into_iter().map(|op| op.name).collect())
    }
}

/// An error of loading a model, with a word on how to supply an operation that is missing.
pub(crate) fn explain(error: Error) -> Error {
    let Some(op) = missing_op(error.message()) else {
        return error;
    };
    let message = format!(
        "{} The model needs the operation {op}, which TensorFlow does not have: name the shared \
         library that has it with {FLAG}.",
        error.message().trim_end()
    );
    Error::new(error.code(), message)
}

/// The operation in TensorFlow's words: `Op type not registered 'X' in binary running on ...`.
fn missing_op(message: &str) -> Option<&str> {
    let rest = message.split_once("Op type not registered '")?.1;
    rest.split_once('\'').map(|(op, _rest)| op)
}

#[cfg(test)]
mod tests {
    use tensorgate_types::ErrorCode;

    use super::*;

    #[test]
    fn an_operation_that_is_missing_is_named_with_the_flag_that_supplies_it() {
        let told = "Op type not registered 'Tokenize' in binary running on host. Make sure. ";
        let error = explain(Error::not_found(told));
        assert_eq!(error.code(), ErrorCode::NotFound);
        assert_eq!(
            error.message(),
            "Op type not registered 'Tokenize' in binary running on host. Make sure. The model \
             needs the operation Tokenize, which TensorFlow does not have: name the shared library \
             that has it with --custom_op_libraries."
        );
        let other = explain(Error::not_found("Op type not"));
        assert_eq!(other.message(), "Op type not");
    }
}
