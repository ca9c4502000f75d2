//! What the standard library brings for other guests: memory, room for what a caller passes, and an
//! end where there is none left. It would import half of WASI with it.
//!
//! Shared by the guests that are to import nothing (`guest/deny`, `guest/identity-processor`).

use alloc::alloc::{Layout, alloc, realloc};
use core::arch::wasm32::unreachable;
use core::panic::PanicInfo;
use core::ptr;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn trap(_: &PanicInfo<'_>) -> ! {
    unreachable()
}

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
