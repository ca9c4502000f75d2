//! What passes on a UNIX socket and what becomes of it, in pieces of every size.

use http::uri::Authority;

use super::*;

/// A frame of this kind on stream 1.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[a, b, c, kind, flags, 0, 0, 0, 1][..], payload].concat()
}

/// A number of which the first byte holds `bits`.
fn number(first: u8, bits: u32, value: usize) -> Vec<u8> {
    let full = (1 << bits) - 1;
    if value < full {
        return vec![first | u8::try_from(value).unwrap()];
    }
    let mut bytes = vec![first | u8::try_from(full).unwrap()];
    let mut rest = value - full;
    while rest >= 0x80 {
        bytes.push(0x80 | u8::try_from(rest & 0x7f).unwrap());
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

fn text(text: &[u8]) -> Vec<u8> {
    [&number(0, 7, text.len())[..], text].concat()
}

/// A header that is to be remembered, its name spelled out: as the C core writes them.
fn spelled(name: &str, value: &str) -> Vec<u8> {
    [&[0x40][..], &text(name.as_bytes()), &text(value.as_bytes())].concat()
}

/// A header whose name has a number. `first` says whether it is to be remembered.
fn numbered(first: u8, bits: u32, index: usize, value: &str) -> Vec<u8> {
    [number(first, bits, index), text(value.as_bytes())].concat()
}

const SOCKET: &str = "tmp%2Fa%20b%2Fgrpc.socket";
const MENDED: &str = "tmp-2Fa-20b-2Fgrpc.socket";

/// The headers of a call by Python's gRPC, with this authority.
fn call(authority: &str) -> Vec<u8> {
    [
        spelled(":path", "/tensorflow.serving.PredictionService/Predict"),
        spelled(":authority", authority),
        vec![0x83, 0x86],
        spelled("content-type", "application/grpc"),
        spelled("te", "trailers"),
        spelled("x-path", "%2F kept: /[@]"),
    ]
    .concat()
}

/// What comes out, the same for every way to cut it.
fn passed(bytes: &[u8]) -> Vec<u8> {
    let mut whole = bytes.to_vec();
    Authorities::new().pass(&mut whole);
    for size in [1, 2, 3, 7, 64] {
        let mut pieces = bytes.to_vec();
        let mut authorities = Authorities::new();
        for piece in pieces.chunks_mut(size) {
            authorities.pass(piece);
        }
        assert_eq!(pieces, whole, "in pieces of {size}");
    }
    whole
}

#[test]
fn a_path_becomes_a_name_and_all_else_stays() {
    let stream = |authority| {
        [
            frame(4, 0, &[0, 3, 0, 0, 0, 100]),
            frame(HEADERS, END_HEADERS, &call(authority)),
            // A body may look like headers.
            frame(0, 1, &frame(HEADERS, END_HEADERS, &call(SOCKET))),
            frame(8, 0, &[0, 0, 1, 0]),
            frame(6, 0, &[0; 8]),
            // A second call has numbers for what was remembered.
            frame(HEADERS, END_HEADERS, &[0xbe, 0xbf, 0x83, 0x86, 0xc0]),
            frame(HEADERS, END_HEADERS | 1, &call(authority)),
        ]
        .concat()
    };
    assert_eq!(passed(&stream(SOCKET)), stream(MENDED));
}

#[test]
fn names_that_are_legal_stay() {
    for name in ["localhost", "localhost:8500", "a.b-c_d~e!$&'()*+,;=", ":"] {
        let stream = frame(HEADERS, END_HEADERS, &call(name));
        assert_eq!(passed(&stream), stream, "{name}");
    }
}

#[test]
fn every_spelling_of_the_name_is_known() {
    // Remembered, not remembered, never to be remembered; and after a change of the table's size.
    for (first, bits) in [(0x40, 6), (0, 4), (0x10, 4)] {
        let block = |authority| {
            [
                number(0x20, 5, 4096),
                numbered(first, bits, AUTHORITY_INDEX.try_into().unwrap(), authority),
                numbered(first, bits, 4, "/%2F"),
                // The name of the 138th header of the table.
                numbered(first, bits, 200, "%2F"),
                spelled("authority", "%2F"),
                spelled(":authority2", "%2F"),
                spelled(":authorit", "%2F"),
                spelled("", "%2F"),
                spelled(":authority", ""),
            ]
            .concat()
        };
        let stream = |authority| frame(HEADERS, END_HEADERS, &block(authority));
        assert_eq!(passed(&stream(SOCKET)), stream(MENDED), "{first}");
    }
}

#[test]
fn packed_text_stays() {
    // Bits of Huffman's code look like anything.
    let value = b"\x25\x2f\x25\xff";
    for block in [
        [&[0x41, 0x84][..], value].concat(),
        [&[0x40, 0x8a][..], b":authority", &[4], value].concat(),
    ] {
        let stream = frame(HEADERS, END_HEADERS, &block);
        assert_eq!(passed(&stream), stream);
    }
}

#[test]
fn padding_priority_and_continuations_are_no_headers() {
    let padded = |block: &[u8], authority: &str| {
        let padding = call(authority);
        let length = u8::try_from(padding.len()).unwrap();
        [&[length][..], b"prior", block, &padding].concat()
    };
    let stream = |authority: &str| {
        let block = call(authority);
        // In the middle of a name, of a value, and of nothing.
        let (first, rest) = block.split_at(55);
        let (second, third) = rest.split_at(15);
        [
            frame(HEADERS, PADDED | PRIORITY, &padded(first, SOCKET)),
            frame(CONTINUATION, 0, second),
            frame(CONTINUATION, 0, b""),
            frame(CONTINUATION, END_HEADERS, third),
            frame(
                HEADERS,
                PADDED | PRIORITY | END_HEADERS,
                &padded(&block, SOCKET),
            ),
            frame(
                HEADERS,
                PRIORITY | END_HEADERS,
                &[b"prior", &block[..]].concat(),
            ),
            frame(
                HEADERS,
                PADDED | END_HEADERS,
                &[&[0][..], &block[..]].concat(),
            ),
            frame(HEADERS, END_HEADERS, b""),
            frame(HEADERS, END_HEADERS, &block),
        ]
        .concat()
    };
    assert_eq!(passed(&stream(SOCKET)), stream(MENDED));
}

#[test]
fn what_cannot_be_followed_stays_to_the_end() {
    let good = frame(HEADERS, END_HEADERS, &call(SOCKET));
    for broken in [
        // Longer padding than frame; padding and priority of which there is nothing.
        frame(HEADERS, PADDED | END_HEADERS, &[5, 0, 0, 0, 0]),
        frame(HEADERS, PADDED, &[]),
        frame(HEADERS, PRIORITY, &[0; 4]),
        // Headers that end within a number, a name, a value.
        frame(HEADERS, END_HEADERS, &[0xff]),
        frame(HEADERS, END_HEADERS, &[0x40, 2, b'a']),
        frame(HEADERS, END_HEADERS, &[0x41, 2, b'a']),
        // Numbers without end.
        frame(HEADERS, 0, &[0xff; 8]),
        frame(
            HEADERS,
            0,
            &[0x41, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
        ),
    ] {
        let stream = [&broken[..], &good].concat();
        assert_eq!(passed(&stream), stream, "{broken:?}");
    }
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.below(256).try_into().unwrap()
    }
}

#[test]
fn what_becomes_of_a_name_is_one() {
    let mut random = Random(1);
    for _ in 0..20_000 {
        let length = 1 + random.below(20);
        let few = b"%:@[]/?#a1.-";
        let name: Vec<u8> = (0..length)
            .map(|_| match random.below(2) {
                0 => random.byte(),
                _ => few[random.below(few.len())],
            })
            .collect();
        let block = [&[0x41][..], &text(&name)].concat();
        let mut stream = frame(HEADERS, END_HEADERS, &block);
        Authorities::new().pass(&mut stream);
        let mended = &stream[stream.len() - length..];
        assert!(Authority::try_from(mended).is_ok(), "{name:?}: {mended:?}");
    }
}

#[test]
fn spoiled_bytes_harm_nothing() {
    let mut random = Random(2);
    let valid = [
        frame(4, 0, &[0; 6]),
        frame(HEADERS, END_HEADERS, &call(SOCKET)),
        frame(0, 1, &[0; 20]),
        frame(HEADERS, 0, &call(SOCKET)[..70]),
        frame(CONTINUATION, END_HEADERS, &call(SOCKET)[70..]),
        frame(HEADERS, END_HEADERS, &[0xbe, 0xbf, 0x83]),
    ]
    .concat();
    for _ in 0..5_000 {
        let mut spoiled = valid.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(spoiled.len());
            match random.below(3) {
                0 => spoiled[at] = random.byte(),
                1 => spoiled.truncate(at.max(1)),
                _ => spoiled.insert(at, random.byte()),
            }
        }
        let mended = passed(&spoiled);
        for (before, after) in spoiled.iter().zip(mended) {
            assert!(*before == after || after == b'-');
        }
    }
}
