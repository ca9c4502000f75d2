//! Memory, and an end where there is none left. The standard library would do it, and import half
//! of WASI for it.

use alloc::alloc::{Layout, alloc, realloc};
use core::arch::wasm32::unreachable;
use core::panic::PanicInfo;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn trap(_: &PanicInfo<'_>) -> ! {
    unreachable()
}

/// Where the host puts what it hands over.
///
/// # Safety
/// As the canonical ABI has it: `old` was given by this function for `old_size` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(
    old: *mut u8,
    old_size: usize,
    align: usize,
    new_size: usize,
) -> *mut u8 {
    if new_size == 0 {
        return core::ptr::without_provenance_mut(align);
    }
    let size = if old_size == 0 { new_size } else { old_size };
    let Ok(layout) = Layout::from_size_align(size, align) else {
        unreachable();
    };
    // SAFETY: the layout's size is not 0; `old` is of the allocator, in this layout.
    let memory = unsafe {
        if old_size == 0 {
            alloc(layout)
        } else {
            realloc(old, layout, new_size)
        }
    };
    if memory.is_null() {
        unreachable();
    }
    memory
}
