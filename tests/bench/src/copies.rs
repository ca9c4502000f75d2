//! How many bytes a server copied, and allocated if it counts that, by its own page for Prometheus.
//!
//! Invariant: every counter whose name ends in `copied_bytes_total` is in it, so that a part of
//! the server that begins to count its copies is shown without a change here.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Result, ensure};

use crate::client::{Client, request};

const PAGE: &str = "/monitoring/prometheus/metrics";
const SUFFIX: &str = "copied_bytes_total";
/// In builds that count it.
const ALLOCATED: &str = "tensorgate_allocated_bytes_total";
/// One for each request that got as far as the sandbox.
const REQUESTS: &str = "tensorgate_sandbox_instances_total";

/// The counters at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Copies {
    requests: f64,
    allocated: Option<f64>,
    bytes: BTreeMap<String, f64>,
}

impl Copies {
    /// Asks the server.
    ///
    /// # Errors
    /// When it has no such page.
    pub(crate) fn read(address: SocketAddr) -> Result<Self> {
        let mut client = Client::connect(address)?;
        let (status, body) = client.send(&request("GET", PAGE, b""))?;
        ensure!(status == 200, "{PAGE} answered {status}");
        Ok(Self::parse(&String::from_utf8_lossy(body)))
    }

    fn parse(page: &str) -> Self {
        let mut copies = Self::default();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let Ok(value) = value.parse::<f64>() else {
                continue;
            };
            let name = series.split('{').next().unwrap_or_default();
            if name == REQUESTS {
                copies.requests = value;
            } else if name == ALLOCATED {
                copies.allocated = Some(value);
            } else if name.ends_with(SUFFIX) {
                copies.bytes.insert(series.to_owned(), value);
            }
        }
        copies
    }

    /// Bytes that were allocated for each request since `before`, where that is counted.
    pub(crate) fn allocated_per_request(&self, before: &Self) -> Option<f64> {
        let requests = self.requests - before.requests;
        let allocated = self.allocated? - before.allocated?;
        (requests > 0.0).then_some(allocated / requests)
    }

    /// Bytes for each request since `before`; none where there was no request.
    pub(crate) fn per_request(&self, before: &Self) -> Option<BTreeMap<String, f64>> {
        let requests = self.requests - before.requests;
        (requests > 0.0).then(|| {
            let since = |(name, now): (&String, &f64)| {
                let then = before.bytes.get(name).copied().unwrap_or(0.0);
                (name.clone(), (now - then) / requests)
            };
            self.bytes.iter().map(since).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "\
# TYPE tensorgate_sandbox_copied_bytes_total counter
tensorgate_sandbox_copied_bytes_total{direction=\"in\"} 100
tensorgate_sandbox_instances_total 2
other_total 7
";
    const AFTER: &str = "\
tensorgate_sandbox_copied_bytes_total{direction=\"in\"} 400
tensorgate_batch_copied_bytes_total 60
tensorgate_sandbox_instances_total 5
";

    #[test]
    fn divides_what_was_copied_by_the_requests_of_the_window() {
        let copied = Copies::parse(AFTER).per_request(&Copies::parse(BEFORE));
        let wanted = [
            ("tensorgate_batch_copied_bytes_total".to_owned(), 20.0),
            (
                "tensorgate_sandbox_copied_bytes_total{direction=\"in\"}".to_owned(),
                100.0,
            ),
        ];
        assert_eq!(copied, Some(BTreeMap::from(wanted)));
    }

    #[test]
    fn allocations_are_told_where_they_are_counted() {
        let page =
            |page: &str, bytes: u32| format!("{page}tensorgate_allocated_bytes_total {bytes}");
        let (before, after) = (page(BEFORE, 50), page(AFTER, 80));
        let per_request = Copies::parse(&after).allocated_per_request(&Copies::parse(&before));
        assert_eq!(per_request, Some(10.0));
        let uncounted = Copies::parse(AFTER).allocated_per_request(&Copies::parse(BEFORE));
        assert_eq!(uncounted, None);
    }

    #[test]
    fn says_nothing_where_nobody_asked() {
        let copies = Copies::parse(AFTER);
        assert_eq!(copies.per_request(&copies), None);
    }
}
