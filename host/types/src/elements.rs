//! The memory of elements of a fixed size: places to be filled, pieces that lie one behind the
//! other, and bytes that are shared.
//!
//! Whoever copies elements asks for a [`Place`] first. Places out of one [`Slab`] lie one behind
//! the other, and what is in them can be joined without a copy, in the order in which they were
//! given: so rows that come one by one, from different requests, are a batch where they are.
//!
//! **Invariant:** a place is nobody else's until it has been filled, and nothing is written to it
//! afterwards.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::ALIGNMENT;

// --- Elements ---

/// Elements of a fixed size, little-endian, row by row. Clones and slices share the memory.
#[derive(Clone)]
pub struct Elements(Memory);

#[derive(Clone)]
enum Memory {
    Shared(Bytes),
    /// A piece of a slab that nobody has joined yet.
    Piece(Arc<BytesMut>),
}

impl Elements {
    /// Whether this is a piece of a slab, which others may lie beside.
    #[must_use]
    pub fn is_piece(&self) -> bool {
        matches!(self.0, Memory::Piece(_))
    }

    /// A part of them.
    ///
    /// # Panics
    /// When `range` is not within them.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        self.to_bytes().slice(range).into()
    }

    /// The same memory as shared bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Memory::Shared(bytes) => bytes.clone(),
            Memory::Piece(piece) => Bytes::from_owner(Held(Arc::clone(piece))),
        }
    }

    /// All parts as one, without a copy, if they are pieces of one slab, lie one behind the other,
    /// and nobody else holds any of them. Each part keeps its elements in any case.
    pub fn join(parts: &mut [&mut Self]) -> Option<Self> {
        if !parts.iter_mut().all(|part| part.is_only_piece())
            || !parts.is_sorted_by(|one, next| one.as_ptr_range().end == next.as_ptr())
        {
            return None;
        }
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        let mut whole: Option<BytesMut> = None;
        let mut joined = 0;
        for part in &mut *parts {
            let Some(piece) = part.take_piece() else {
                break;
            };
            match &mut whole {
                None => whole = Some(piece),
                Some(whole) => {
                    if let Err(piece) = whole.try_unsplit(piece) {
                        // The first of another slab, which happens to lie behind this one.
                        **part = Self(Memory::Piece(Arc::new(piece)));
                        break;
                    }
                }
            }
            joined += 1;
        }
        let whole = whole?.freeze();
        let mut start = 0;
        for (part, length) in parts.iter_mut().zip(lengths).take(joined) {
            **part = whole.slice(start..start + length).into();
            start += length;
        }
        (joined == parts.len()).then(|| whole.into())
    }

    fn is_only_piece(&mut self) -> bool {
        match &mut self.0 {
            Memory::Shared(_) => false,
            Memory::Piece(piece) => Arc::get_mut(piece).is_some(),
        }
    }

    /// The piece, if nobody else holds it; nothing is left then.
    fn take_piece(&mut self) -> Option<BytesMut> {
        let nothing = Memory::Shared(Bytes::new());
        match std::mem::replace(&mut self.0, nothing) {
            Memory::Shared(bytes) => {
                self.0 = Memory::Shared(bytes);
                None
            }
            Memory::Piece(piece) => match Arc::try_unwrap(piece) {
                Ok(piece) => Some(piece),
                Err(piece) => {
                    self.0 = Memory::Piece(piece);
                    None
                }
            },
        }
    }
}

impl Deref for Elements {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Memory::Shared(bytes) => bytes,
            Memory::Piece(piece) => piece,
        }
    }
}

impl From<Bytes> for Elements {
    fn from(bytes: Bytes) -> Self {
        Self(Memory::Shared(bytes))
    }
}

impl fmt::Debug for Elements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elements")
            .field("len", &self.len())
            .field("is_piece", &self.is_piece())
            .finish()
    }
}

struct Held(Arc<BytesMut>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

// --- Places ---

/// Memory for the elements of one tensor, to be filled from the front.
#[derive(Debug)]
pub struct Place {
    /// Has room for all of them.
    bytes: BytesMut,
    of_slab: bool,
}

impl Place {
    /// Memory of its own for `len` bytes, aligned to [`ALIGNMENT`].
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self {
            bytes: aligned(len),
            of_slab: false,
        }
    }

    /// Adds bytes. With more than it was asked for it moves, and lies beside nothing any more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What has been filled in.
    #[must_use]
    pub fn into_elements(self) -> Elements {
        Elements(if self.of_slab {
            Memory::Piece(Arc::new(self.bytes))
        } else {
            Memory::Shared(self.bytes.freeze())
        })
    }
}

/// Memory that is given away in places, one behind the other. It lives as long as any of them.
#[derive(Debug)]
pub struct Slab {
    rest: BytesMut,
    size: usize,
}

impl Slab {
    /// A slab of `size` bytes, aligned to [`ALIGNMENT`].
    #[must_use]
    pub fn new(size: usize) -> Self {
        let mut rest = aligned(size);
        drop(rest.split_off(size));
        Self { rest, size }
    }

    /// How large it is.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The next `len` bytes, if there are so many.
    pub fn place(&mut self, len: usize) -> Option<Place> {
        (len <= self.rest.capacity()).then(|| Place {
            bytes: self.take(len),
            of_slab: true,
        })
    }

    /// Leaves out what is needed so that the next place is aligned. It does not lie behind the
    /// last one then.
    pub fn align(&mut self) {
        let gap = gap(&mut self.rest);
        if gap > 0 && gap <= self.rest.capacity() {
            drop(self.take(gap));
        }
    }

    /// Begins anew, if nobody holds any of it.
    pub fn try_renew(&mut self) -> bool {
        // More than there can be left: nothing less gives back what lies before it.
        if !self.rest.try_reclaim(self.size + ALIGNMENT - 1) {
            return false;
        }
        self.align();
        drop(self.rest.split_off(self.size));
        true
    }

    fn take(&mut self, len: usize) -> BytesMut {
        let rest = self.rest.split_off(len);
        std::mem::replace(&mut self.rest, rest)
    }
}

/// Room for `len` bytes that begins where TensorFlow can read them.
fn aligned(len: usize) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(len + ALIGNMENT - 1);
    let gap = gap(&mut bytes);
    bytes.put_bytes(0, gap);
    bytes.advance(gap);
    bytes
}

/// How far it is from the end of what has been filled to what is aligned.
fn gap(bytes: &mut BytesMut) -> usize {
    let address = bytes.spare_capacity_mut().as_ptr().addr();
    address.next_multiple_of(ALIGNMENT) - address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(slab: &mut Slab, bytes: &[u8]) -> Elements {
        let mut place = slab.place(bytes.len()).unwrap();
        place.push(bytes);
        place.into_elements()
    }

    fn is_aligned(elements: &[u8]) -> bool {
        elements.as_ptr().addr().is_multiple_of(ALIGNMENT)
    }

    fn join(parts: &mut [Elements]) -> Option<Elements> {
        Elements::join(&mut parts.iter_mut().collect::<Vec<_>>())
    }

    #[test]
    fn a_place_of_its_own_is_aligned() {
        for len in [1, 63, 64, 65, 10_000] {
            let mut place = Place::new(len);
            place.push(&vec![7; len]);
            let elements = place.into_elements();
            assert!(is_aligned(&elements) && !elements.is_piece());
            assert_eq!(&elements[..], vec![7; len]);
            assert_eq!(elements.slice(0..1).as_ptr(), elements.as_ptr());
        }
    }

    #[test]
    fn neighbours_are_joined_where_they_are() {
        let mut slab = Slab::new(100);
        let mut parts = [b"abc", b"def", b"ghi"].map(|bytes| piece(&mut slab, bytes));
        let begin = parts[0].as_ptr();
        let whole = join(&mut parts).unwrap();
        assert_eq!(&whole[..], b"abcdefghi");
        assert!(is_aligned(&whole) && whole.as_ptr() == begin);
        // The parts are slices of it, and not pieces any more.
        assert_eq!(&parts[1][..], b"def");
        assert_eq!(parts[1].as_ptr(), whole[3..].as_ptr());
        assert!(join(&mut parts).is_none());
    }

    #[test]
    fn what_does_not_lie_side_by_side_is_left_as_it_was() {
        let mut slab = Slab::new(100);
        let [a, b, c] = [b"abc", b"def", b"ghi"].map(|bytes| piece(&mut slab, bytes));
        let mut hole = [a, c];
        assert!(join(&mut hole).is_none());
        assert_eq!((&hole[0][..], &hole[1][..]), (&b"abc"[..], &b"ghi"[..]));
        let [a, c] = hole;
        let mut backwards = [b, a];
        assert!(join(&mut backwards).is_none());
        let [b, a] = backwards;
        let mut right = [a, b, c];
        assert!(right.iter().all(Elements::is_piece));
        let held = right[1].clone();
        assert!(join(&mut right).is_none());
        drop(held);
        assert_eq!(&join(&mut right).unwrap()[..], b"abcdefghi");
    }

    #[test]
    fn a_place_that_is_not_full_has_no_neighbour() {
        let mut slab = Slab::new(100);
        let mut short = slab.place(4).unwrap();
        short.push(b"abc");
        let mut parts = [short.into_elements(), piece(&mut slab, b"def")];
        assert!(join(&mut parts).is_none());
        let mut long = slab.place(2).unwrap();
        long.push(b"ghi");
        let mut parts = [long.into_elements(), piece(&mut slab, b"jkl")];
        assert!(join(&mut parts).is_none());
        assert_eq!((&parts[0][..], &parts[1][..]), (&b"ghi"[..], &b"jkl"[..]));
    }

    #[test]
    fn pieces_of_different_slabs_and_shared_bytes_are_not_joined() {
        let (mut one, mut other) = (Slab::new(3), Slab::new(3));
        let mut parts = [piece(&mut one, b"abc"), piece(&mut other, b"def")];
        assert!(join(&mut parts).is_none());
        let [a, _] = parts;
        let mut parts = [a, Bytes::from_static(b"def").into()];
        assert!(join(&mut parts).is_none());
        assert_eq!((&parts[0][..], &parts[1][..]), (&b"abc"[..], &b"def"[..]));
        assert!(join(&mut []).is_none());
    }

    #[test]
    fn a_slab_ends_and_begins_anew_when_nobody_holds_any_of_it() {
        let mut slab = Slab::new(6);
        let (a, b) = (piece(&mut slab, b"abc"), piece(&mut slab, b"def"));
        let begin = a.as_ptr();
        assert!(slab.place(1).is_none());
        drop(a);
        assert!(!slab.try_renew());
        let held = b.slice(1..2);
        drop(b);
        assert!(!slab.try_renew());
        drop(held);
        assert!(slab.try_renew());
        let again = piece(&mut slab, b"ghijkl");
        assert_eq!((again.as_ptr(), &again[..]), (begin, &b"ghijkl"[..]));
    }

    #[test]
    fn places_can_be_aligned() {
        let mut slab = Slab::new(130);
        let first = piece(&mut slab, b"a");
        slab.align();
        slab.align();
        let second = piece(&mut slab, b"b");
        assert!(is_aligned(&first) && is_aligned(&second));
        assert_eq!(second.as_ptr().addr() - first.as_ptr().addr(), ALIGNMENT);
        assert!(slab.place(66).is_none() && slab.place(65).is_some());
        // No room for a gap: nothing happens.
        slab.align();
        assert!(slab.place(1).is_none());
    }
}
