//! The last words of a process.
//!
//! When TensorFlow finds an invariant of its own broken, it writes why to standard error and
//! aborts. Standard error is our pipe then ([`crate::logs`]), and its reader dies with the
//! process before it gets to read. So SIGABRT is handled: what is in the pipe is copied to the
//! original standard error, as it stands, and the process goes on to abort.
//!
//! **Invariant:** what runs in the handler is async-signal-safe: atomics, `read`, `write`,
//! `nanosleep`, nothing that locks or allocates.

#![expect(unsafe_code, reason = "installs a signal handler")]

use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// No descriptor.
const NONE: i32 = -1;

/// How often the handler looks whether the reader is done with the lines that it has already
/// taken, [`LOOK_EVERY_NS`] apart: a second in all. Its thread may be the very one that aborts, so
/// the handler must not wait for ever.
const LOOKS: u32 = 500;
const LOOK_EVERY_NS: i64 = 2_000_000;

static PIPE: AtomicI32 = AtomicI32::new(NONE);
static ORIGINAL: AtomicI32 = AtomicI32::new(NONE);
/// Whether the reader has taken lines that it has not yet passed on.
static BUSY: AtomicBool = AtomicBool::new(false);

/// While it lives, an abort empties the pipe first.
#[derive(Debug)]
pub(crate) struct Guard(());

/// From now on, an abort copies what is in `pipe`, which must not block, to `original`. For one
/// pair at a time: a second replaces the first. Both must stay open while the guard lives.
pub(crate) fn empty_at_abort(pipe: &OwnedFd, original: &OwnedFd) -> Guard {
    ORIGINAL.store(original.as_raw_fd(), Ordering::Release);
    PIPE.store(pipe.as_raw_fd(), Ordering::Release);
    install();
    Guard(())
}

impl Drop for Guard {
    fn drop(&mut self) {
        PIPE.store(NONE, Ordering::Release);
        ORIGINAL.store(NONE, Ordering::Release);
    }
}

/// Tells the handler that lines are on their way while `work` runs.
pub(crate) fn while_busy<T>(work: impl FnOnce() -> T) -> T {
    BUSY.store(true, Ordering::Release);
    let result = work();
    BUSY.store(false, Ordering::Release);
    result
}

/// Installs the handler, unless somebody else has one: theirs was a decision.
fn install() {
    let handler: extern "C" fn(libc::c_int) = on_abort;
    // SAFETY: a zeroed `sigaction` is a valid one, with the default handler and an empty mask.
    let mut current: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks, and writes to `current` alone.
    let asked = unsafe { libc::sigaction(libc::SIGABRT, ptr::null(), &raw mut current) };
    if asked != 0 || current.sa_sigaction != libc::SIG_DFL {
        return;
    }
    current.sa_sigaction = handler as libc::sighandler_t;
    // Once: with the handler gone, `abort` ends the process when it raises the signal again.
    current.sa_flags = libc::SA_RESETHAND;
    // SAFETY: the handler is async-signal-safe (see there) and of the type that these flags ask
    // for.
    unsafe { libc::sigaction(libc::SIGABRT, &raw const current, ptr::null_mut()) };
}

extern "C" fn on_abort(_signal: libc::c_int) {
    let (pipe, original) = (
        PIPE.load(Ordering::Acquire),
        ORIGINAL.load(Ordering::Acquire),
    );
    if pipe == NONE || original == NONE {
        return;
    }
    let mut buffer = [0u8; 4096];
    loop {
        // SAFETY: the descriptors are open while the guard lives, and were they not, the calls
        // would fail. `buffer` is valid for its length.
        let count = unsafe { libc::read(pipe, buffer.as_mut_ptr().cast(), buffer.len()) };
        let Some(filled) = usize::try_from(count).ok().filter(|count| *count > 0) else {
            break;
        };
        // SAFETY: as above; `filled` bytes were just read. A short write loses words of a
        // process that is ending and cannot be mended here.
        unsafe { libc::write(original, buffer.as_ptr().cast(), filled) };
    }
    for _look in 0..LOOKS {
        if !BUSY.load(Ordering::Acquire) {
            break;
        }
        let pause = libc::timespec {
            tv_sec: 0,
            tv_nsec: LOOK_EVERY_NS,
        };
        // SAFETY: reads `pause`, writes nothing.
        unsafe { libc::nanosleep(&raw const pause, ptr::null_mut()) };
    }
}
