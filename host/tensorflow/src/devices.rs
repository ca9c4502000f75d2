//! What a session can compute on.

#![expect(unsafe_code, reason = "calls TensorFlow")]

use std::ffi::{CStr, c_char};

use tensorgate_types::Result;

use crate::ffi::{Api, TF_DeviceList, TF_Session};
use crate::status::Status;

/// A device of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// `/job:localhost/replica:0/task:0/device:GPU:0`.
    pub name: String,
    /// `CPU`, `GPU`.
    pub kind: String,
    /// The memory that TensorFlow may use on it. For GPUs its share of what there is; for CPUs a
    /// number without a meaning.
    pub memory_bytes: u64,
}

/// The list, deleted when dropped.
struct List {
    api: &'static Api,
    raw: *mut TF_DeviceList,
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: from `TF_SessionListDevices`, deleted once.
        unsafe { (self.api.TF_DeleteDeviceList)(self.raw) }
    }
}

/// The devices of a session.
///
/// # Safety
/// The session must have been loaded, and live for the call.
pub(crate) unsafe fn of_session(
    api: &'static Api,
    session: *mut TF_Session,
) -> Result<Vec<Device>> {
    let mut status = Status::new(api);
    // SAFETY: the caller promises the session; the status lives for the call.
    let raw = unsafe { (api.TF_SessionListDevices)(session, status.as_ptr()) };
    status.check()?;
    let list = List { api, raw };
    // SAFETY: the list lives until the end of this function.
    let count = unsafe { (api.TF_DeviceListCount)(list.raw) };
    let text = |raw: *const c_char| {
        // SAFETY: a C string that lives as long as the list; the status was looked at before.
        let text = unsafe { CStr::from_ptr(raw) };
        text.to_string_lossy().into_owned()
    };
    let mut devices = Vec::new();
    for index in 0..count {
        // SAFETY: the list lives, and the index is one of its own.
        let name = unsafe { (api.TF_DeviceListName)(list.raw, index, status.as_ptr()) };
        status.check()?;
        let name = text(name);
        // SAFETY: as above.
        let kind = unsafe { (api.TF_DeviceListType)(list.raw, index, status.as_ptr()) };
        status.check()?;
        let kind = text(kind);
        // SAFETY: as above.
        let bytes = unsafe { (api.TF_DeviceListMemoryBytes)(list.raw, index, status.as_ptr()) };
        status.check()?;
        devices.push(Device {
            name,
            kind,
            memory_bytes: u64::try_from(bytes).unwrap_or(0),
        });
    }
    Ok(devices)
}
