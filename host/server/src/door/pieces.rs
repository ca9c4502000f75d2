//! A body in pieces that follow one another, of a length that is known.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::budget::Reserved;

/// The pieces that are still to be sent, and what they are counted against until then.
pub(super) struct Pieces {
    left: VecDeque<Bytes>,
    _reserved: Reserved,
}

impl Pieces {
    /// `reserved` is let go with the last of them.
    pub(super) fn new(pieces: Vec<Bytes>, reserved: Reserved) -> Self {
        Self {
            left: pieces.into(),
            _reserved: reserved,
        }
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.left.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.iter().map(|piece| piece.len() as u64).sum())
    }
}
