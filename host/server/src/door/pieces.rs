//! A body in pieces that follow one another, of a length that is known.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::budget::Reserved;

/// The pieces that are still to be sent.
pub(super) struct Pieces(VecDeque<Bytes>);

/// A piece, counted until the last of them was sent or the client has gone.
struct Held {
    piece: Bytes,
    _reserved: Arc<Reserved>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

impl Pieces {
    /// `reserved` is let go with the last of them.
    pub(super) fn new(pieces: Vec<Bytes>, reserved: Reserved) -> Self {
        let reserved = Arc::new(reserved);
        let held = pieces.into_iter().map(|piece| {
            Bytes::from_owner(Held {
                piece,
                _reserved: Arc::clone(&reserved),
            })
        });
        Self(held.collect())
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}
