//! What has happened in the sandbox so far: plain counters, read by whoever shows metrics.
//!
//! **Ordering:** relaxed throughout. Each counter is right by itself; a snapshot may be a few
//! requests older in one counter than in another.

use tensorgate_types::Counter;

use crate::EdgeError;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// The counters of an engine at one moment. All of them only ever rise.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct EdgeStats {
            $($(#[$doc])* pub $name: u64,)+
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> EdgeStats {
                EdgeStats { $($name: self.$name.get(),)+ }
            }
        }
    };
}

counters! {
    /// Requests that came to a component's door, refused ones among them.
    requests,
    /// Fresh instances that were made for requests: one for each request that got a slot.
    instances,
    /// Requests that were refused because the line before the slots was full.
    refused_full,
    /// Requests that were refused because no slot came free before their deadline.
    refused_late,
    /// Requests that were refused because they were larger than the limit.
    refused_large,
    /// Requests that ended in a trap: a fault of the component.
    traps,
    /// Requests whose component used up its stack. Counted in `traps` too.
    stack_overflows,
    /// Requests whose component needed more memory than it may have.
    out_of_memory,
    /// Requests whose component used up its own time.
    out_of_time,
    /// Requests that were cut when their deadline passed inside the component.
    deadlines,
    /// Requests whose component gave an answer that cannot be sent.
    bad_responses,
    /// Requests whose answer was larger than the limit.
    large_responses,
    /// Requests whose component asked for something that the contract forbids, such as a second
    /// model too many or a tensor that is not as long as it says. The component was told.
    refused_calls,
    /// Bytes copied out of components, each byte once: tensors and answers.
    bytes_from_guests,
    /// Bytes copied into components, each byte once: requests and tensors.
    bytes_to_guests,
    /// Bytes of strings copied out of messages into inputs of models, each byte once. No component
    /// saw them.
    bytes_from_messages,
    /// Bytes that went past components without a copy: inputs that are parts of a message, and
    /// outputs that stayed with the host.
    bytes_shared,
}

impl Counters {
    /// Counts a request that a component did not answer.
    pub(crate) fn count(&self, error: &EdgeError) {
        match error {
            EdgeError::Full { .. } => self.refused_full.increment(),
            EdgeError::NoSlotInTime { .. } => self.refused_late.increment(),
            EdgeError::RequestTooLarge { .. } => self.refused_large.increment(),
            EdgeError::ResponseTooLarge { .. } => self.large_responses.increment(),
            EdgeError::BadResponse(_) => self.bad_responses.increment(),
            EdgeError::DeadlinePassed => self.deadlines.increment(),
            EdgeError::OutOfTime { .. } => self.out_of_time.increment(),
            EdgeError::OutOfMemory { .. } => self.out_of_memory.increment(),
            EdgeError::StackOverflow { .. } => {
                self.stack_overflows.increment();
                self.traps.increment();
            }
            EdgeError::Trap { .. } => self.traps.increment(),
        }
    }
}
