//! Room for arguments that a caller passes: the function that the canonical ABI looks for.
//!
//! On this target it comes with `std`, which this component does without.

use alloc::alloc::{Layout, alloc, realloc};
use core::arch::wasm32::unreachable;
use core::ptr;

/// Allocates, or makes larger, what a caller is about to fill.
///
/// # Safety
///
/// `old` was allocated here with these sizes, or `old_length` is 0.
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(
    old: *mut u8,
    old_length: usize,
    align: usize,
    new_length: usize,
) -> *mut u8 {
    let Ok(layout) = Layout::from_size_align(old_length.max(new_length), align) else {
        unreachable();
    };
    if new_length == 0 {
        return ptr::without_provenance_mut(align);
    }
    // SAFETY: the length is not 0; what is made larger was allocated here with its old length,
    // which is the contract of the canonical ABI.
    let room = unsafe {
        match Layout::from_size_align(old_length, align) {
            Ok(old_layout) if old_length > 0 => realloc(old, old_layout, new_length),
            _ => alloc(layout),
        }
    };
    if room.is_null() {
        unreachable();
    }
    room
}
