//! Copies of what tensors hold: one function makes them all, and counts.
//!
//! Rows are what a server moves most of, so that a copy which nobody needs is a cost which nobody
//! sees. Every room has counters of its own, by what the copy was for; the server shows them.
//!
//! **Ordering:** relaxed throughout. Each counter is right by itself.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BytesMut;

use crate::{Place, StringDataBuilder};

/// One number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds so many. Also for bytes that somebody else copies for us: the sandbox's runtime a
    /// list, TensorFlow a string.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Copies elements to the end of `into`, and counts their bytes.
pub fn copy(bytes: &[u8], into: &mut impl Sink, counter: &Counter) {
    counter.add(bytes.len() as u64);
    into.put(bytes);
}

/// Where elements are copied to.
pub trait Sink {
    /// Takes these bytes, behind those that it has.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for BytesMut {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for Place {
    fn put(&mut self, bytes: &[u8]) {
        self.push(bytes);
    }
}

/// One string.
impl Sink for StringDataBuilder {
    fn put(&mut self, bytes: &[u8]) {
        self.push(bytes);
    }
}

/// What is left of a slice to be filled, which must have the room.
impl Sink for &mut [u8] {
    fn put(&mut self, bytes: &[u8]) {
        let (here, rest) = std::mem::take(self).split_at_mut(bytes.len());
        here.copy_from_slice(bytes);
        *self = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_counted_wherever_it_goes() {
        let counter = Counter::default();
        let (mut vec, mut bytes, mut strings) =
            (Vec::new(), BytesMut::new(), StringDataBuilder::default());
        let mut array = [0; 5];
        let mut slice = &mut array[1..];
        copy(b"ab", &mut vec, &counter);
        copy(b"ab", &mut bytes, &counter);
        copy(b"ab", &mut strings, &counter);
        copy(b"ab", &mut slice, &counter);
        copy(b"c", &mut slice, &counter);
        let mut place = Place::new(2);
        copy(b"ab", &mut place, &counter);
        assert_eq!(
            (vec.as_slice(), &bytes[..], &array),
            (&b"ab"[..], &b"ab"[..], b"\0abc\0")
        );
        assert_eq!(strings.finish().iter().collect::<Vec<_>>(), [b"ab"]);
        assert_eq!(&place.into_elements()[..], b"ab");
        assert_eq!(counter.get(), 11);
    }
}
