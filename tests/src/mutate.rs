//! Bytes spoiled in every way that has broken a parser somewhere, the same way every time.
//!
//! A mutation knows where protobuf keeps lengths and nothing else of it: what comes out is
//! sometimes a valid message, mostly not.

use crate::grpc::wire;

/// Numbers that only look random.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The same seed, the same numbers. Not 0.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        // Xorshift, by Marsaglia.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let end = u64::try_from(end).expect("a length fits");
        usize::try_from(self.0 % end).expect("it is below a usize")
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("it is a byte")
    }
}

/// A message with one to three mutations; `others` are what it is spliced with.
#[must_use]
pub fn mutate(message: &[u8], others: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = message.to_vec();
    for _ in 0..=dice.below(3) {
        once(&mut bytes, others, dice);
    }
    bytes
}

fn once(bytes: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    // Most of a large message is data, where nothing breaks: look near the start half the time.
    let near = if dice.below(2) == 0 { 64 } else { usize::MAX };
    let place = dice.below(bytes.len().min(near).max(1));
    match dice.below(11) {
        // Some bits.
        0 => {
            for _ in 0..=dice.below(8) {
                let place = dice.below(bytes.len().min(near).max(1));
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= 1 << dice.below(8);
                }
            }
        }
        // Any byte.
        1 => {
            if let Some(byte) = bytes.get_mut(place) {
                *byte = dice.byte();
            }
        }
        // Cut off.
        2 => bytes.truncate(place),
        // A length, or whatever is there, made a lie.
        3 => lie(bytes, place, dice),
        // A number without an end.
        4 => {
            let endless = vec![0xff; 1 + dice.below(20)];
            bytes.splice(place..place, endless);
        }
        // The head of one, the tail of another.
        5 => {
            if let Some(other) = others.get(dice.below(others.len().max(1))) {
                let from = dice.below(other.len().max(1));
                bytes.truncate(place);
                bytes.extend_from_slice(&other[from..]);
            }
        }
        // A piece twice, or many times.
        6 => {
            let end = (place + 1 + dice.below(64)).min(bytes.len());
            let piece = bytes.get(place..end).unwrap_or_default();
            let piece = piece.repeat(1 + dice.below(100));
            bytes.splice(place..place, piece);
        }
        // A piece less.
        7 => {
            let end = (place + 1 + dice.below(16)).min(bytes.len());
            if place < end {
                bytes.drain(place..end);
            }
        }
        // Bytes more.
        8 => {
            let more: Vec<u8> = (0..1 + dice.below(32)).map(|_| dice.byte()).collect();
            bytes.splice(place..place, more);
        }
        // A message round it, again and again.
        9 => {
            let number = 1 + u64::try_from(dice.below(20)).expect("it fits");
            let depth = 1 + dice.below(200);
            let inner = std::mem::take(bytes);
            // Large ones a few times only: this is no test of memory.
            let depth = if inner.len() > 4096 { 2 } else { depth };
            *bytes = (0..depth).fold(inner, |inner, _| wire::bytes(number, &inner));
        }
        // Groups, which proto3 has no use for, opened and perhaps closed.
        _ => {
            let depth = 1 + dice.below(5000);
            let number = 1 + u64::try_from(dice.below(20)).expect("it fits");
            let open = wire::varint(number << 3 | 3).repeat(depth);
            bytes.splice(place..place, open);
            if dice.below(2) == 0 {
                bytes.extend(wire::varint(number << 3 | 4).repeat(depth));
            }
        }
    }
}

/// Puts a number in the place of the byte.
fn lie(bytes: &mut Vec<u8>, place: usize, dice: &mut Dice) {
    const NUMBERS: [u64; 10] = [
        0,
        1,
        0x7f,
        0xffff,
        1 << 30,
        (1 << 31) - 1,
        1 << 32,
        1 << 40,
        (1 << 63) - 1,
        u64::MAX,
    ];
    let number = wire::varint(NUMBERS[dice.below(NUMBERS.len())]);
    let end = (place + 1).min(bytes.len());
    bytes.splice(place..end, number);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_spoils_in_the_same_way() {
        let others = [b"other".to_vec()];
        let spoil = |seed| {
            let mut dice = Dice::new(seed);
            (0..50)
                .map(|_| mutate(b"message", &others, &mut dice))
                .collect::<Vec<_>>()
        };
        assert_eq!(spoil(7), spoil(7));
        assert_ne!(spoil(7), spoil(8));
    }

    #[test]
    fn hardly_any_two_are_the_same() {
        let mut dice = Dice::new(1);
        let message: Vec<u8> = (0..200).collect();
        let spoiled: BTreeSet<Vec<u8>> = (0..1000)
            .map(|_| mutate(&message, &[], &mut dice))
            .collect();
        assert!(spoiled.len() > 900, "{}", spoiled.len());
    }

    #[test]
    fn takes_an_empty_message() {
        let mut dice = Dice::new(3);
        for _ in 0..1000 {
            let _ = mutate(b"", &[Vec::new()], &mut dice);
        }
    }
}
