//! TensorFlow's status, and the error that it becomes: its own code, its own words.

#![expect(unsafe_code, reason = "calls TensorFlow")]

use std::ffi::CStr;

use tensorgate_types::{Error, ErrorCode, Result};

use crate::ffi::{Api, TF_Status};

/// A status to pass to one call after another.
pub(crate) struct Status {
    api: &'static Api,
    raw: *mut TF_Status,
}

impl Status {
    pub(crate) fn new(api: &'static Api) -> Self {
        // SAFETY: takes nothing; what it gives is freed in `drop`.
        let raw = unsafe { (api.TF_NewStatus)() };
        Self { api, raw }
    }

    /// For a call that reports to it.
    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "what it points to is written to, and messages borrow it"
    )]
    pub(crate) fn as_ptr(&mut self) -> *mut TF_Status {
        self.raw
    }

    /// What the last call reported.
    pub(crate) fn check(&self) -> Result<()> {
        // SAFETY: `raw` lives until `drop`.
        let code = unsafe { (self.api.TF_GetCode)(self.raw) };
        if code == 0 {
            return Ok(());
        }
        // SAFETY: the message is a C string that lives until the status is next written, which
        // needs `&mut self`.
        let message = unsafe { CStr::from_ptr((self.api.TF_Message)(self.raw)) };
        let code = u32::try_from(code)
            .ok()
            .and_then(ErrorCode::from_number)
            .unwrap_or(ErrorCode::Unknown);
        // Messages quote what they complain of, and a request's bytes need not be UTF-8.
        Err(Error::new(code, message.to_string_lossy()))
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        // SAFETY: from `TF_NewStatus`, deleted once, used by nobody any more.
        unsafe { (self.api.TF_DeleteStatus)(self.raw) }
    }
}
