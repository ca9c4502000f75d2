//! Every metric by its name, with its cells: one for each set of label values.
//!
//! A cell is looked up once and then kept by whoever counts in it; so counting takes no lock. The
//! page is made from what the families hold, in the order of their names, as the original has it.
//!
//! **Invariant:** a family never has more than its limit of cells: what comes later counts in a
//! cell whose labels are all empty.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::cells::{Buckets, Counter, Distribution, Histogram};

/// Cells of one family. A label may have values that clients or operators choose: names of
/// models, paths, versions. What has more of them than this gains nobody anything.
const MAX_CELLS: usize = 4096;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// What is said of a metric, whatever its values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Descriptor {
    /// TensorFlow Serving's with slashes, ours as it is printed.
    pub(crate) name: &'static str,
    /// None for TensorFlow Serving's, which has none on its page.
    pub(crate) help: Option<&'static str>,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [&'static str],
}

/// A value to be printed.
#[derive(Debug)]
pub(crate) enum Value {
    Number(u64),
    Distribution(Distribution),
}

/// A value with the values of its labels.
pub(crate) type Sample = (Vec<String>, Value);

/// What can be asked for its values.
pub(crate) trait Family: Send + Sync {
    fn descriptor(&self) -> &Descriptor;

    /// The values, ordered by their labels.
    fn samples(&self) -> Vec<Sample>;
}

/// A cell that a family can make and read.
pub(crate) trait Cell: Send + Sync + 'static {
    /// What a new one needs.
    type Shape: Send + Sync;
    const KIND: Kind;
    fn make(shape: &Self::Shape) -> Self;
    fn value(&self) -> Value;
}

impl Cell for Counter {
    type Shape = ();
    const KIND: Kind = Kind::Counter;

    fn make((): &()) -> Self {
        Self::default()
    }

    fn value(&self) -> Value {
        Value::Number(self.get())
    }
}

impl Cell for Histogram {
    type Shape = Buckets;
    const KIND: Kind = Kind::Histogram;

    fn make(buckets: &Buckets) -> Self {
        Self::new(buckets.clone())
    }

    fn value(&self) -> Value {
        Value::Distribution(self.read())
    }
}

/// Cells of one name, made when they are first asked for.
pub(crate) struct Cells<C: Cell> {
    descriptor: Descriptor,
    shape: C::Shape,
    /// Written when a cell is new. Read to look one up, and to make the page.
    cells: RwLock<BTreeMap<Vec<String>, Arc<C>>>,
}

impl<C: Cell> Cells<C> {
    /// The cell with these label values.
    pub(crate) fn cell(&self, labels: &[&str]) -> Arc<C> {
        debug_assert_eq!(labels.len(), self.descriptor.labels.len());
        let key: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        // Poisoned only by running out of memory in `make`: what is there is whole.
        let found = self.cells.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = found.get(&key) {
            return Arc::clone(cell);
        }
        drop(found);
        let mut cells = self.cells.write().unwrap_or_else(PoisonError::into_inner);
        // The last place is for the cell without labels.
        let is_full = cells.len() >= MAX_CELLS - 1 && !cells.contains_key(&key);
        let key = if is_full {
            vec![String::new(); labels.len()]
        } else {
            key
        };
        let cell = cells
            .entry(key)
            .or_insert_with(|| Arc::new(C::make(&self.shape)));
        Arc::clone(cell)
    }
}

impl<C: Cell> Family for Cells<C> {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn samples(&self) -> Vec<Sample> {
        let cells = self.cells.read().unwrap_or_else(PoisonError::into_inner);
        cells
            .iter()
            .map(|(labels, cell)| (labels.clone(), cell.value()))
            .collect()
    }
}

/// Values that are counted elsewhere, or are a state: asked for when the page is made.
struct Asked<F> {
    descriptor: Descriptor,
    ask: F,
}

impl<F: Fn() -> Vec<(Vec<String>, u64)> + Send + Sync> Family for Asked<F> {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn samples(&self) -> Vec<Sample> {
        (self.ask)()
            .into_iter()
            .map(|(labels, number)| (labels, Value::Number(number)))
            .collect()
    }
}

/// All families. Written while the server starts, read when somebody wants to know.
#[derive(Default)]
pub(crate) struct Registry(RwLock<BTreeMap<&'static str, Arc<dyn Family>>>);

impl Registry {
    /// A counter of TensorFlow Serving's.
    pub(crate) fn counter(
        &self,
        name: &'static str,
        labels: &'static [&'static str],
    ) -> Arc<Cells<Counter>> {
        self.cells(name, None, labels, ())
    }

    /// A counter of ours.
    pub(crate) fn own_counter(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Arc<Cells<Counter>> {
        self.cells(name, Some(help), labels, ())
    }

    /// A histogram of TensorFlow Serving's.
    pub(crate) fn histogram(
        &self,
        name: &'static str,
        labels: &'static [&'static str],
        buckets: Buckets,
    ) -> Arc<Cells<Histogram>> {
        self.cells(name, None, labels, buckets)
    }

    /// A metric of ours whose values are asked for when they are wanted.
    pub(crate) fn asked(
        &self,
        kind: Kind,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        ask: impl Fn() -> Vec<(Vec<String>, u64)> + Send + Sync + 'static,
    ) {
        self.add(Arc::new(Asked {
            descriptor: Descriptor {
                name,
                help: Some(help),
                kind,
                labels,
            },
            ask,
        }));
    }

    fn cells<C: Cell>(
        &self,
        name: &'static str,
        help: Option<&'static str>,
        labels: &'static [&'static str],
        shape: C::Shape,
    ) -> Arc<Cells<C>> {
        let cells = Arc::new(Cells {
            descriptor: Descriptor {
                name,
                help,
                kind: C::KIND,
                labels,
            },
            shape,
            cells: RwLock::default(),
        });
        self.add(Arc::clone(&cells) as Arc<dyn Family>);
        cells
    }

    fn add(&self, family: Arc<dyn Family>) {
        let name = family.descriptor().name;
        let mut families = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = families.insert(name, family);
        debug_assert!(before.is_none(), "{name} is there already");
    }

    /// All families, in the order of their names.
    pub(crate) fn families(&self) -> Vec<Arc<dyn Family>> {
        let families = self.0.read().unwrap_or_else(PoisonError::into_inner);
        families.values().map(Arc::clone).collect()
    }

    /// The number in a metric's first cell, by the name with slashes: what
    /// `HandleReloadConfigRequest` answers for its `metric_names`. 0 for a histogram, which has no
    /// such number, and for a metric without cells; `None` when there is no such metric.
    pub(crate) fn value_of_first_cell(&self, name: &str) -> Option<u64> {
        let families = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let family = Arc::clone(families.get(name)?);
        drop(families);
        Some(match family.samples().first() {
            Some((_, Value::Number(number))) => *number,
            Some((_, Value::Distribution(_))) | None => 0,
        })
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_labels_are_the_same_cell() {
        let registry = Registry::default();
        let counter = registry.counter("/a", &["x"]);
        counter.cell(&["1"]).add(2);
        counter.cell(&["1"]).increment();
        counter.cell(&["0"]).increment();
        assert_eq!(registry.value_of_first_cell("/a"), Some(1));
        counter.cell(&["0"]).add(5);
        assert_eq!(registry.value_of_first_cell("/a"), Some(6));
        assert_eq!(registry.value_of_first_cell("/b"), None);
        registry.counter("/c", &["x"]);
        assert_eq!(registry.value_of_first_cell("/c"), Some(0));
    }

    #[test]
    fn a_family_that_is_full_counts_the_rest_in_one_cell() {
        let registry = Registry::default();
        let counter = registry.counter("/a", &["x", "y"]);
        for number in 0..MAX_CELLS + 10 {
            counter.cell(&[&number.to_string(), "y"]).increment();
        }
        let samples = counter.samples();
        assert_eq!(samples.len(), MAX_CELLS);
        let (labels, Value::Number(rest)) = &samples[0] else {
            panic!("a counter has numbers");
        };
        assert_eq!((labels[0].as_str(), *rest), ("", 11));
    }
}
