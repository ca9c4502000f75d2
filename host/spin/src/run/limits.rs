//! What one instance may use, and how many there may be. Every bound has its reason here.

use std::time::Duration;

const MIB: usize = 1 << 20;

/// The bounds of the instances of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Requests that are inside components at the same time. Default 256.
    ///
    /// Each is an instance, with address space that is set aside for it.
    pub instances: usize,
    /// Requests that may wait to be inside; one more is answered with 503 at once. Default 1024.
    pub waiting: usize,
    /// How long one of them waits before it is answered with 503. Default 10 s.
    pub patience: Duration,
    /// Linear memory of one instance, all its parts together, in bytes. Default 512 MiB.
    pub memory: usize,
    /// The time that one instance may compute. Default 30 s.
    ///
    /// Waiting for another server, or for a model, is not counted.
    pub cpu: Duration,
    /// How long one instance may live, its waiting included. Default 5 minutes.
    ///
    /// A guest goes on when its response is set, and when its client has gone: this is what ends
    /// one that waits for what never comes.
    pub life: Duration,
    /// How often a computing instance is interrupted. Default 5 ms.
    pub tick: Duration,
    /// Connections that are open at the same time; more wait to be accepted. Default 8192.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            instances: 256,
            waiting: 1024,
            patience: Duration::from_secs(10),
            memory: 512 * MIB,
            cpu: Duration::from_secs(30),
            life: Duration::from_secs(300),
            tick: Duration::from_millis(5),
            connections: 8192,
        }
    }
}

impl Limits {
    /// Why they cannot be used, where they cannot.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        if self.instances == 0 || self.instances > 4096 {
            return Some(format!(
                "there may be {} instances at a time; expected 1 to 4096",
                self.instances
            ));
        }
        if self.memory < MIB || self.memory > 4096 * MIB {
            return Some(format!(
                "an instance may have {} bytes of memory; expected 1 MiB to 4 GiB",
                self.memory
            ));
        }
        if self.cpu.is_zero() || self.life.is_zero() || self.tick.is_zero() {
            return Some("an instance may have no time; expected more than 0".to_owned());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_wrong_with_limits() {
        let limits = Limits::default();
        assert_eq!(limits.problem(), None);
        for (wrong, words) in [
            (
                Limits {
                    instances: 0,
                    ..limits.clone()
                },
                "0 instances",
            ),
            (
                Limits {
                    memory: 1000,
                    ..limits.clone()
                },
                "1000 bytes",
            ),
            (
                Limits {
                    cpu: Duration::ZERO,
                    ..limits
                },
                "no time",
            ),
        ] {
            let problem = wrong.problem().expect("it is wrong");
            assert!(problem.contains(words), "{problem}");
        }
    }
}
