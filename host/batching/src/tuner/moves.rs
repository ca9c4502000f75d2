//! Settings beside the one in force.

use super::slice::Score;

/// A setting by the steps of its knobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    /// A batch has 2 to this rows at most.
    pub(super) size: u32,
    /// Requests wait until 2 to this rows are there; none: for nobody.
    pub(super) gather: Option<u32>,
    /// Threads are halved so many times.
    pub(super) halved: u32,
}

/// What can be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    /// Gathers 2 to this times as many rows; from none, as come by themselves.
    Gather(i32),
    NoGathering,
    /// No more than are gathered.
    Exactly,
    FewerAtOnce,
    OneAtOnce,
    MoreAtOnce,
    Larger,
    Smaller,
}

/// In this order, round and round. What may bring most comes first, and with strides: to gather
/// twice as many may bring nothing where eight times as many bring a lot, and so with fewer threads.
pub(super) const MOVES: [Move; 11] = [
    Move::Gather(2),
    Move::Gather(1),
    Move::Gather(0),
    Move::Exactly,
    Move::FewerAtOnce,
    Move::OneAtOnce,
    Move::Gather(-1),
    Move::NoGathering,
    Move::MoreAtOnce,
    Move::Larger,
    Move::Smaller,
];

impl Point {
    /// One step away; `None` where it could change nothing.
    pub(super) fn with(self, step: Move, seen: Score, threads: usize) -> Option<Self> {
        let here = self;
        let point = match step {
            Move::Gather(by) => {
                let from = here.gather.unwrap_or_else(|| steps(seen.rows));
                let gather = from.checked_add_signed(by)?;
                Self {
                    gather: Some(gather),
                    size: here.size.max(gather),
                    ..here
                }
            }
            Move::NoGathering => Self {
                gather: None,
                ..here
            },
            Move::Exactly => Self {
                size: here.gather?,
                ..here
            },
            Move::FewerAtOnce => Self {
                halved: here.halved + 1,
                ..here
            },
            Move::OneAtOnce => {
                let halved = threads.max(1).ilog2();
                if halved <= here.halved + 1 {
                    // That is `FewerAtOnce`.
                    return None;
                }
                Self { halved, ..here }
            }
            Move::MoreAtOnce => Self {
                halved: here.halved.checked_sub(1)?,
                ..here
            },
            // Where batches are not full, their limit is none.
            Move::Larger if steps(seen.rows) < here.size => return None,
            Move::Larger => Self {
                size: here.size + 1,
                ..here
            },
            Move::Smaller if steps(seen.rows) < here.size => return None,
            Move::Smaller => Self {
                size: here.size.checked_sub(1)?,
                gather: here.gather.map(|gather| gather.min(here.size - 1)),
                ..here
            },
        };
        let possible = point.halved == 0 || threads >> (point.halved - 1) > 1;
        (possible && point != here).then_some(point)
    }
}

/// The power of two that is at least `rows`.
pub(super) fn steps(rows: f64) -> u32 {
    rows.max(1.0).log2().ceil() as u32
}
