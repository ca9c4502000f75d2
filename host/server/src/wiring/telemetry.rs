//! Counts how requests ended, as the gateway component reports it.

use std::sync::atomic::{AtomicU64, Ordering};

use tensorgate_edge::{Outcome, Telemetry};

/// One more than the highest canonical code.
const CODES: usize = 17;

/// Counts by code. Labels that a client can invent (model names) are kept out of counters, since
/// each would stay for ever; they go to the log.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    /// Each counts by itself; no order between them.
    by_code: [AtomicU64; CODES],
}

impl Outcomes {
    /// Requests reported so far, and how many of them ended in an error.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let errors = self.by_code[1..].iter().map(read).sum();
        (read(&self.by_code[0]) + errors, errors)
    }
}

impl Telemetry for Outcomes {
    fn report(&self, outcome: Outcome) {
        // A component can say any number: what is no code counts as UNKNOWN (2).
        let code = usize::try_from(outcome.code)
            .ok()
            .filter(|code| *code < CODES);
        self.by_code[code.unwrap_or(2)].fetch_add(1, Ordering::Relaxed);
        tracing::debug!(
            model = outcome.model,
            version = outcome.version,
            api = outcome.api,
            signature = outcome.signature,
            rows = outcome.rows,
            code = outcome.code,
            "request ended"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_code() {
        let outcomes = Outcomes::default();
        for code in [0, 0, 3, 99] {
            outcomes.report(Outcome {
                model: "m".to_owned(),
                version: None,
                api: String::new(),
                signature: String::new(),
                rows: 0,
                code,
            });
        }
        assert_eq!(outcomes.totals(), (4, 2));
    }
}
