//! Requests made by chance, the same ones every time: every type, in every form that is legal on
//! the wire and in some that are not.

use crate::grpc::write::{put_bytes, put_length, put_number, put_varint};

/// SplitMix64: small, and good enough for choosing.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Less than `end`, which is not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// A number, small or large, also negative.
    fn number(&mut self) -> u64 {
        let value = self.next() >> self.below(64);
        if self.chance(4) {
            value.wrapping_neg()
        } else {
            value
        }
    }
}

/// (field, bytes per value; 0 for varints)
const NUMBERS: [(u32, usize); 10] = [
    (5, 4),
    (6, 8),
    (7, 0),
    (9, 4),
    (10, 0),
    (11, 0),
    (12, 8),
    (13, 0),
    (16, 0),
    (17, 0),
];

fn values(random: &mut Random, width: usize, count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|_| {
            if width > 0 {
                return random.bytes(width);
            }
            let mut value = Vec::new();
            let number = random.number();
            put_varint(&mut value, number);
            value
        })
        .collect()
}

/// Values of a repeated field: packed, unpacked, or first some of one and then some of the other.
fn repeated(random: &mut Random, field: u32, width: usize, count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let values = values(random, width, count);
    let mut rest = &*values;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(1 + random.below(rest.len()));
        if random.chance(2) {
            put_bytes(&mut out, field, &now.concat());
        } else {
            let wire = match width {
                4 => 5,
                8 => 1,
                _ => 0,
            };
            for value in now {
                put_varint(&mut out, u64::from(field << 3 | wire));
                out.extend(value);
            }
        }
        rest = later;
        if !random.chance(3) && !rest.is_empty() {
            // Mostly the rest in one piece.
            put_bytes(&mut out, field, &[]);
        }
    }
    out
}

/// A field that nobody knows.
fn unknown(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    match random.below(3) {
        0 => put_number(&mut out, 99, 1 + random.next() / 2),
        1 => put_bytes(&mut out, 98, b"what"),
        _ => {
            // A group with a field in it.
            put_varint(&mut out, 97 << 3 | 3);
            put_number(&mut out, 5, 7);
            put_varint(&mut out, 97 << 3 | 4);
        }
    }
    out
}

fn shape(random: &mut Random) -> (Vec<u8>, usize) {
    let (mut out, mut elements) = (Vec::new(), 1);
    for _ in 0..random.below(4) {
        let size = if random.chance(40) {
            1 << 40
        } else {
            random.below(5)
        };
        elements *= size.min(100);
        let mut dim = Vec::new();
        put_number(&mut dim, 1, size as u64);
        if random.chance(30) {
            put_number(&mut dim, 1, u64::MAX);
        }
        put_bytes(&mut out, 2, &dim);
    }
    if random.chance(10) {
        put_number(&mut out, 3, 1);
    }
    (out, elements)
}

/// The field that the elements of a type are sent in.
fn field_of(dtype: u64) -> u32 {
    match dtype {
        1 => 5,
        2 => 6,
        7 => 8,
        8 => 9,
        9 => 10,
        10 => 11,
        14 | 19 => 13,
        18 => 12,
        22 => 16,
        23 => 17,
        24.. => 18,
        _ => 7,
    }
}

/// A `TensorProto`.
pub(super) fn tensor(random: &mut Random) -> Vec<u8> {
    let dtype = 1 + random.below(25) as u64;
    let (shape, elements) = shape(random);
    let mut fields: Vec<Vec<u8>> = Vec::new();
    let field = |number: u32, bytes: &[u8]| {
        let mut out = Vec::new();
        put_bytes(&mut out, number, bytes);
        out
    };
    if !random.chance(20) {
        fields.push(field(2, &shape));
    }
    let mut head = Vec::new();
    put_number(&mut head, 1, dtype);
    fields.push(head);
    let of_type = field_of(dtype);
    let size = tensorgate_types::DType::from_number(dtype as u32).size();
    let count = match random.below(4) {
        0 => random.below(elements + 1),
        1 => elements + random.below(3),
        _ => elements,
    };
    // What a type of two values per element needs is twice as much.
    let count = if matches!(of_type, 9 | 12) {
        count * 2 + random.below(2)
    } else {
        count
    };
    match (random.below(4), size) {
        (0, Some(size)) => {
            let off = usize::from(random.chance(5));
            let mut content = random.bytes(elements * size + off);
            if dtype == 10 && !random.chance(5) {
                content.iter_mut().for_each(|byte| *byte &= 1);
            }
            fields.push(field(4, &content));
        }
        (0, None) => {
            let lengths: Vec<usize> = (0..elements).map(|_| random.below(9)).collect();
            let mut content = Vec::new();
            for length in &lengths {
                put_varint(&mut content, *length as u64);
            }
            let off = usize::from(random.chance(5));
            content.extend(random.bytes(lengths.iter().sum::<usize>() + off));
            fields.push(field(4, &content));
        }
        _ if of_type == 8 => {
            for _ in 0..count {
                let length = random.below(20);
                let string = random.bytes(length);
                fields.push(field(8, &string));
            }
        }
        _ if of_type == 18 => {
            let bytes = random.bytes(count);
            fields.push(field(18, &bytes));
        }
        _ => {
            let width = NUMBERS.iter().find(|(number, _)| *number == of_type);
            let width = width.map_or(0, |(_, width)| *width);
            fields.push(repeated(random, of_type, width, count));
        }
    }
    if random.chance(5) {
        // Values in the field of another type.
        let (number, width) = NUMBERS[random.below(NUMBERS.len())];
        let count = random.below(5);
        fields.push(repeated(random, number, width, count));
    }
    if random.chance(5) {
        fields.push(unknown(random));
    }
    for index in (1..fields.len()).rev() {
        fields.swap(index, random.below(index + 1));
    }
    fields.concat()
}

/// A `PredictRequest` with some tensors, some of them in pieces.
pub(super) fn request(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    let mut spec = Vec::new();
    put_bytes(&mut spec, 1, b"m");
    put_bytes(&mut out, 1, &spec);
    for _ in 0..1 + random.below(3) {
        let mut entry = Vec::new();
        let alias = [b'a' + random.below(3) as u8];
        let key_first = random.chance(2);
        if key_first {
            put_bytes(&mut entry, 1, &alias);
        }
        for _ in 0..1 + usize::from(random.chance(6)) {
            put_bytes(&mut entry, 2, &tensor(random));
        }
        if !key_first {
            put_bytes(&mut entry, 1, &alias);
        }
        put_length(&mut out, 2, entry.len() as u64);
        out.extend(entry);
    }
    if random.chance(3) {
        put_bytes(&mut out, 3, b"y");
    }
    if random.chance(5) {
        out.extend(unknown(random));
    }
    out
}
