//! How much memory and how many table elements an instance has, all its parts together.

use wasmtime::ResourceLimiter;

use super::engine::TABLE_ELEMENTS;

/// One instance's share.
#[derive(Debug)]
pub(super) struct Memory {
    limit: usize,
    bytes: usize,
    elements: usize,
    /// It asked for more than it may have: if it traps now, this is why.
    pub(super) refused: bool,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: 0,
            elements: 0,
            refused: false,
        }
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = self.bytes.saturating_add(desired.saturating_sub(current));
        let granted = bytes <= self.limit;
        if granted {
            self.bytes = bytes;
        } else {
            self.refused = true;
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let elements = self.elements.saturating_add(more);
        let granted = elements <= TABLE_ELEMENTS;
        if granted {
            self.elements = elements;
        } else {
            self.refused = true;
        }
        Ok(granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_of_an_instance_share_one_limit() {
        let mut memory = Memory::new(100);
        assert!(memory.memory_growing(0, 60, None).expect("no trap"));
        assert!(!memory.memory_growing(0, 60, None).expect("no trap"));
        assert!(memory.refused);
        assert!(memory.memory_growing(60, 100, None).expect("no trap"));
    }
}
