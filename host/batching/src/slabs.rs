//! Places for rows that will ride together: one behind the other, so that a batch of them needs no
//! copy.
//!
//! Who is about to copy the inputs of a request asks its lane for places first. Inputs of one
//! signature, name, type and inner shape get theirs out of one slab, in the order in which they
//! ask. Rows of requests that are refused, or that ride elsewhere, leave holes; what rides round a
//! hole is copied, as everything was.
//!
//! **Invariant:** memory is bounded, by [`MAX_LANE`] for each lane. What cannot have a place in a
//! slab gets one of its own. A lane that has nothing to do keeps nothing.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use tensorgate_types::{InputView, Place, Slab};

/// Inputs with fewer bytes are not worth the trouble: copying them twice takes as long.
const MIN_PLACED: usize = 1 << 10;

/// Inputs with more bytes ride with few others.
const MAX_PLACED: usize = 2 << 20;

/// A slab has room for so many of what asks for it, and for so many batches unless that is large.
const FIRST: usize = 4;
const BATCHES: usize = 8;

/// The first slab is no larger than this for batches; each that follows is twice as large.
const SMALL: usize = 64 << 10;

/// No slab is made larger than this for batches: one row that somebody holds keeps all of it.
const LARGE: usize = 1 << 20;

/// Bytes of all slabs of a lane that it knows of.
const MAX_LANE: usize = 64 << 20;

/// Kinds of inputs with a slab. The one that was asked for least lately gives way.
const MAX_KINDS: usize = 16;

/// Slabs of one kind whose rows are still on their way.
const MAX_USED_UP: usize = 4;

/// The slabs of one lane.
#[derive(Debug, Default)]
pub(crate) struct Slabs {
    /// The one that was asked for last is the last.
    kinds: Vec<Kind>,
    /// How many batches had been cut when a place was asked for last.
    cuts: u64,
}

#[derive(Debug)]
struct Kind {
    /// Of signature, name, type and inner shape. Kinds that share a number share a slab: what does
    /// not belong together lies between, and is copied.
    number: u64,
    open: Slab,
    used_up: VecDeque<Slab>,
}

impl Slabs {
    /// Places for the inputs of one request, one for each. `rows` is how many rows a batch has at
    /// most; `cuts` says how many batches there have been.
    pub(crate) fn places(
        &mut self,
        signature: &str,
        inputs: &[InputView<'_>],
        rows: usize,
        cuts: u64,
    ) -> Vec<Place> {
        if cuts != self.cuts {
            self.cuts = cuts;
            // Who comes now may be the first of a batch, which must begin where TensorFlow can
            // read it.
            self.kinds.iter_mut().for_each(|kind| kind.open.align());
        }
        let places = inputs.iter().map(|input| {
            let bytes = input.bytes();
            self.place(
                number_of(signature, input),
                bytes,
                batch_of(input, bytes, rows),
            )
            .unwrap_or_else(|| Place::new(bytes))
        });
        places.collect()
    }

    /// A place in a slab; `batch` is how many bytes a batch of these would have.
    fn place(&mut self, number: u64, bytes: usize, batch: Option<usize>) -> Option<Place> {
        let batch = batch.filter(|_| (MIN_PLACED..=MAX_PLACED).contains(&bytes))?;
        let found = self.kinds.iter().position(|kind| kind.number == number);
        let Some(index) = found else {
            let size = (BATCHES * batch).min(SMALL).max(FIRST * bytes);
            // Ends where there is none at all: one slab is far smaller than what there may be.
            while self.kinds.len() >= MAX_KINDS || self.bytes() + size > MAX_LANE {
                drop(self.kinds.remove(0));
            }
            let mut open = Slab::new(size);
            let place = open.place(bytes);
            self.kinds.push(Kind {
                number,
                open,
                used_up: VecDeque::new(),
            });
            return place;
        };
        self.kinds[index..].rotate_left(1);
        let left = MAX_LANE.saturating_sub(self.bytes());
        let kind = self.kinds.last_mut()?;
        if let Some(place) = kind.open.place(bytes) {
            return Some(place);
        }
        let size = (2 * kind.open.size()).min(BATCHES * batch).min(LARGE);
        let next = kind.next(size.max(FIRST * bytes), left)?;
        kind.used_up
            .push_back(std::mem::replace(&mut kind.open, next));
        kind.open.place(bytes)
    }

    fn bytes(&self) -> usize {
        self.kinds.iter().map(Kind::bytes).sum()
    }
}

impl Kind {
    fn bytes(&self) -> usize {
        let used_up: usize = self.used_up.iter().map(Slab::size).sum();
        self.open.size() + used_up
    }

    /// A slab of this size: one that nobody holds any more, or a new one, if there may be one.
    /// Memory that has just been used is still in the processor's caches.
    fn next(&mut self, size: usize, left: usize) -> Option<Slab> {
        // Smaller ones are from the time before there was so much to do.
        self.used_up
            .retain_mut(|slab| slab.size() >= size || !slab.try_renew());
        let free = self.used_up.iter_mut().position(Slab::try_renew);
        if let Some(free) = free.and_then(|index| self.used_up.remove(index)) {
            return Some(free);
        }
        (self.used_up.len() < MAX_USED_UP && size <= left).then(|| Slab::new(size))
    }
}

/// How many bytes so many rows of an input would have; none where it has no rows, or more.
fn batch_of(input: &InputView<'_>, bytes: usize, rows: usize) -> Option<usize> {
    let has = usize::try_from(*input.shape.first()?).ok()?;
    let row = bytes.checked_div(has)?;
    (has <= rows).then(|| row.saturating_mul(rows))
}

fn number_of(signature: &str, input: &InputView<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    signature.hash(&mut hasher);
    input.name.hash(&mut hasher);
    input.dtype.hash(&mut hasher);
    input.shape.get(1..).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use tensorgate_types::{ALIGNMENT, DType, Elements};

    use super::*;

    /// An input of floats.
    fn view<'a>(name: &'a str, shape: &'a [i64]) -> InputView<'a> {
        InputView {
            name,
            dtype: DType::FLOAT,
            shape,
        }
    }

    fn fill(place: Place, view: &InputView<'_>) -> Elements {
        let mut place = place;
        place.push(&vec![1; view.bytes()]);
        place.into_elements()
    }

    /// The elements of one request with one input.
    fn ask(slabs: &mut Slabs, shape: &[i64], rows: usize, cuts: u64) -> Elements {
        let view = view("x", shape);
        let mut places = slabs.places("s", &[view], rows, cuts);
        fill(places.pop().unwrap(), &view)
    }

    fn are_neighbours(one: &Elements, next: &Elements) -> bool {
        one.is_piece() && next.is_piece() && one.as_ptr_range().end == next.as_ptr()
    }

    #[test]
    fn who_may_ride_together_lies_together() {
        let mut slabs = Slabs::default();
        let one = ask(&mut slabs, &[1, 300], 32, 0);
        let other_shape = ask(&mut slabs, &[1, 400], 32, 0);
        let next = ask(&mut slabs, &[2, 300], 32, 0);
        assert!(are_neighbours(&one, &next));
        assert!(!are_neighbours(&next, &other_shape));
        let next_of_other = ask(&mut slabs, &[1, 400], 32, 0);
        assert!(are_neighbours(&other_shape, &next_of_other));
    }

    #[test]
    fn inputs_of_one_request_come_in_one_order() {
        let mut slabs = Slabs::default();
        let shape = [1, 300];
        let views = [view("a", &shape), view("b", &shape)];
        let mut both = || {
            let places = slabs.places("s", &views, 32, 0);
            let filled: Vec<Elements> = places
                .into_iter()
                .map(|place| fill(place, &views[0]))
                .collect();
            filled
        };
        let (one, next) = (both(), both());
        assert!(are_neighbours(&one[0], &next[0]) && are_neighbours(&one[1], &next[1]));
        assert!(!are_neighbours(&one[0], &one[1]));
    }

    #[test]
    fn a_new_batch_begins_where_it_can_be_read() {
        let mut slabs = Slabs::default();
        // 1,204 bytes: no multiple of the alignment.
        let one = ask(&mut slabs, &[1, 301], 32, 0);
        let next = ask(&mut slabs, &[1, 301], 32, 0);
        assert!(are_neighbours(&one, &next));
        let after_cut = ask(&mut slabs, &[1, 301], 32, 1);
        assert!(after_cut.is_piece() && !are_neighbours(&next, &after_cut));
        assert!(after_cut.as_ptr().addr().is_multiple_of(ALIGNMENT));
        // Where all rows are, nothing is left out.
        let one = ask(&mut slabs, &[1, 320], 32, 1);
        let next = ask(&mut slabs, &[1, 320], 32, 2);
        assert!(are_neighbours(&one, &next));
    }

    #[test]
    fn what_is_small_or_large_or_has_no_rows_has_a_place_of_its_own() {
        let mut slabs = Slabs::default();
        for (shape, rows) in [
            (&[1, 200][..], 32),
            (&[1, 600_000], 32),
            (&[33, 300], 32),
            (&[], 32),
            (&[0, 300], 32),
        ] {
            let elements = ask(&mut slabs, shape, rows, 0);
            assert!(!elements.is_piece(), "{shape:?}");
        }
        assert_eq!(slabs.kinds.len(), 0);
    }

    #[test]
    fn slabs_grow_with_what_there_is_to_do_and_are_used_again() {
        let mut slabs = Slabs::default();
        let mut bytes = Vec::new();
        for _ in 0..1000 {
            // Each is gone before the next one comes.
            drop(ask(&mut slabs, &[1, 1000], 8, 0));
            let kind = &slabs.kinds[0];
            assert!(kind.used_up.len() <= 1);
            bytes.push(kind.open.size());
        }
        assert_eq!(bytes[0], SMALL);
        assert!(bytes.is_sorted());
        assert_eq!(bytes[999], BATCHES * 8 * 4000);
    }

    #[test]
    fn who_holds_rows_for_long_does_not_make_it_keep_ever_more() {
        let mut slabs = Slabs::default();
        let held: Vec<Elements> = (0..2000)
            .map(|_| ask(&mut slabs, &[1, 1000], 1000, 0))
            .collect();
        let kind = &slabs.kinds[0];
        assert_eq!(kind.used_up.len(), MAX_USED_UP);
        assert!(kind.bytes() <= (MAX_USED_UP + 1) * LARGE);
        // The others have got places of their own.
        assert!(!held.last().unwrap().is_piece());
        assert_eq!(held.last().unwrap().len(), 4000);
        drop(held);
        assert!(ask(&mut slabs, &[1, 1000], 1000, 0).is_piece());
    }

    #[test]
    fn many_shapes_share_a_bounded_memory() {
        let mut slabs = Slabs::default();
        let mut held = Vec::new();
        for columns in 0..200 {
            held.push(ask(&mut slabs, &[1, 500_000 + columns], 32, 0));
            assert!(slabs.bytes() <= MAX_LANE);
            assert!(held.last().is_some_and(Elements::is_piece));
        }
        for columns in 0..200 {
            ask(&mut slabs, &[1, 300 + columns], 32, 0);
        }
        assert_eq!(slabs.kinds.len(), MAX_KINDS);
    }
}
