//! What a component may use up, and how many may run at once. Every bound has its reason here.
//!
//! **Invariant:** nothing in this crate is unbounded: what has no field here is bounded by a
//! constant beside the code that enforces it.

use std::time::Duration;

const MIB: usize = 1 << 20;

/// The bounds of the sandbox. `Default` suits a server with some gigabytes of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeLimits {
    /// Requests that may be inside a component at the same time. Default 128.
    ///
    /// A request keeps its slot while the model runs, so this is also how many requests can wait
    /// for a batch together: fewer slots than the largest batch would keep batches from filling.
    /// Each slot reserves some 4 GiB of *address space*, and keeps up to
    /// [`keep_resident`](Self::keep_resident) bytes of real memory once it has been used.
    pub slots: usize,

    /// Those of the slots that requests over REST may have at the same time. By default all.
    ///
    /// gRPC calls are not bounded by it, and get slots also when REST has all of its own.
    pub rest_slots: usize,

    /// Requests that may wait for a slot, and as many again that may wait for one of REST's.
    /// Default 1024.
    ///
    /// One more is refused at once (`UNAVAILABLE`): a queue that nobody can outlive only turns an
    /// overload into timeouts.
    pub waiting: usize,

    /// The time that a component may spend on one request by itself: computing, or asleep by its
    /// own choice. Waiting for a model is not its own time. Default 10 s.
    ///
    /// The gateway parses hundreds of megabytes in a second, so what takes longer than this does
    /// not end.
    pub guest_time: Duration,

    /// How often a running component is interrupted, to look at its clocks and to let others have
    /// the thread. Default 2 ms.
    ///
    /// Shorter costs more wake-ups, longer lets one large body delay small requests on the same
    /// thread for longer.
    pub tick: Duration,

    /// Linear memory of one request, in bytes; wasm32 cannot have more than 4 GiB. Default 512 MiB.
    ///
    /// Room for the largest request ([`request_bytes`](Self::request_bytes)) with its tensors and
    /// its answer beside it. It also bounds what one call hands over to the host, since a
    /// component that says more than it can hold is lying.
    pub memory: usize,

    /// Memory of a slot that stays mapped between requests, in bytes. Default 4 MiB.
    ///
    /// The real price of a fresh instance is page faults, and they vanish when this covers what a
    /// usual request touches: a JSON body of 1.7 MB takes half as long with 4 MiB as with 1 MiB,
    /// and no less time with 16 MiB. At most `slots` times this much memory is held for ever (512 MiB by
    /// default, when 128 requests that large were ever in flight together); a small request
    /// touches far less of it.
    pub keep_resident: usize,

    /// The largest request that goes into a component as a whole, headers and path included, in
    /// bytes. Default 128 MiB.
    pub request_bytes: usize,

    /// The largest answer, headers included, in bytes. Default 128 MiB.
    pub response_bytes: usize,

    /// The largest message of a gRPC call, in bytes. Default 1 GiB.
    ///
    /// Only its beginning goes into the component, so it may be larger than
    /// [`memory`](Self::memory).
    pub grpc_request_bytes: usize,

    /// The largest answer to a gRPC call, and as much of outputs as a request may leave with the
    /// host, in bytes. Default 2 GiB less one byte: no protobuf message can be larger.
    pub grpc_response_bytes: usize,

    /// Models that one request may hold open at a time. Default 16.
    ///
    /// A version that is held cannot be unloaded, so this bounds what a request can pin.
    pub open_models: usize,
}

impl Default for EdgeLimits {
    fn default() -> Self {
        Self {
            slots: 128,
            rest_slots: usize::MAX,
            waiting: 1024,
            guest_time: Duration::from_secs(10),
            tick: Duration::from_millis(2),
            memory: 512 * MIB,
            keep_resident: 4 * MIB,
            request_bytes: 128 * MIB,
            response_bytes: 128 * MIB,
            grpc_request_bytes: 1024 * MIB,
            grpc_response_bytes: 2048 * MIB - 1,
            open_models: 16,
        }
    }
}

impl EdgeLimits {
    /// Why these limits cannot be used, if they cannot.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.slots == 0 || self.rest_slots == 0 {
            return Some("there must be at least one slot");
        }
        if self.slots > 16_384 {
            return Some("there can be at most 16384 slots: the address space ends there");
        }
        if self.tick.is_zero() {
            return Some("the tick must be longer than nothing");
        }
        if self.memory < MIB || self.memory > 4096 * MIB {
            return Some("memory must be between 1 MiB and 4 GiB");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_wrong_with_limits() {
        let limits = EdgeLimits::default();
        assert_eq!(limits.problem(), None);
        let none = EdgeLimits {
            slots: 0,
            ..EdgeLimits::default()
        };
        assert_eq!(none.problem(), Some("there must be at least one slot"));
        let small = EdgeLimits {
            memory: 1000,
            ..limits
        };
        assert!(small.problem().is_some());
    }
}
