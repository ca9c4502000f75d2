//! A message as a decoder reads it: through a window, since it may be larger than memory.
//!
//! **Invariant:** memory is bounded by the window and by a budget that everything made of the
//! message is taken from; a message cannot make the decoder allocate what it has not brought.

use tensorgate_types::{Error, Result};

use crate::inference::Range;
use crate::services::{MAX_READ, Message};

/// What may be made of one message: decoded elements, names, lists of parts. Half of what the
/// sandbox gives a request by default; the rest is for the answer. What stays in the message, as
/// large tensors do, is not counted.
const MAX_MADE: u64 = 256 << 20;

/// The first window behind a jump. What follows a large part is mostly small.
const MIN_WINDOW: u64 = 4 << 10;

/// Reads a message.
#[derive(Debug)]
pub(crate) struct Source<'m, M> {
    message: &'m M,
    head: &'m [u8],
    window: Vec<u8>,
    /// Where the window begins.
    start: u64,
    /// How large windows are: at first, and where reading goes straight on.
    sizes: (u64, u64),
    left: u64,
}

impl<'m, M: Message> Source<'m, M> {
    pub(crate) fn new(message: &'m M) -> Self {
        Self::with_limits(message, (MIN_WINDOW, MAX_READ), MAX_MADE)
    }

    pub(crate) fn with_limits(message: &'m M, windows: (u64, u64), budget: u64) -> Self {
        Self {
            message,
            head: message.head(),
            window: Vec::new(),
            start: 0,
            sizes: windows,
            left: budget,
        }
    }

    pub(crate) fn length(&self) -> u64 {
        self.message.length()
    }

    /// Takes memory from the budget, before it is allocated.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Error::resource_exhausted(format!(
                "decoding the message needs more than {MAX_MADE} bytes of memory"
            ))),
        }
    }

    /// What lies at `position`, up to `end` at most: at least `want` bytes of it (or all), at
    /// most what happens to be there.
    pub(crate) fn peek(&mut self, position: u64, end: u64, want: u64) -> Result<&[u8]> {
        let want = want.min(end.saturating_sub(position));
        if let Some(bytes) = within(self.head, 0, position, want, end) {
            return Ok(bytes);
        }
        if within(&self.window, self.start, position, want, end).is_none() {
            self.move_window(position, want)?;
        }
        within(&self.window, self.start, position, want, end)
            .ok_or_else(|| Error::internal("the host gave less of the message than it has"))
    }

    fn move_window(&mut self, position: u64, want: u64) -> Result<()> {
        let old_end = self.start + self.window.len() as u64;
        let goes_on = (self.start..=old_end).contains(&position) && !self.window.is_empty();
        let (first, largest) = self.sizes;
        let size = if goes_on {
            (self.window.len() as u64 * 2).min(largest)
        } else {
            first
        };
        let length = size
            .max(want)
            .min(self.length().saturating_sub(position))
            .min(MAX_READ);
        self.window = self.message.read(Range {
            offset: position,
            length,
        })?;
        self.start = position;
        Ok(())
    }

    /// A copy of a part.
    pub(crate) fn copy(&mut self, part: Range) -> Result<Vec<u8>> {
        self.take(part.length)?;
        let mut out = Vec::with_capacity(part.length as usize);
        self.append(part, &mut out)?;
        Ok(out)
    }

    /// Adds a part to `out`, whose memory was taken before.
    pub(crate) fn append(&mut self, part: Range, out: &mut Vec<u8>) -> Result<()> {
        let end = part.offset + part.length;
        let mut position = part.offset;
        while position < end {
            let bytes = self.peek(position, end, 1)?;
            out.extend_from_slice(bytes);
            position += bytes.len() as u64;
        }
        Ok(())
    }
}

/// The part of `bytes`, which begin at `start`, from `position` on and not past `end`, if there
/// are `want` bytes of it.
fn within(bytes: &[u8], start: u64, position: u64, want: u64, end: u64) -> Option<&[u8]> {
    let from = usize::try_from(position.checked_sub(start)?).ok()?;
    let rest = bytes.get(from..)?;
    let most = usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX);
    let rest = &rest[..rest.len().min(most)];
    (rest.len() as u64 >= want && (!rest.is_empty() || most == 0)).then_some(rest)
}
