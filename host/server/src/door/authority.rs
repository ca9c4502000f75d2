//! Names that clients give the other end of a UNIX socket, made fit for HTTP/2.
//!
//! gRPC's C core, and so Python's gRPC, sends the percent-encoded path of the socket as
//! `:authority`. No URI may hold that, so the HTTP/2 library resets such calls. Bytes from a client
//! pass through here on their way to it, and those of an `:authority` that no name may have become
//! hyphens, each in its place. Nothing reads the name afterwards.
//!
//! **Invariant:** no byte is added, taken away or held back, and only bytes of an `:authority`
//! change. So lengths stay true, the library's table of repeated headers holds what it was sent,
//! and this needs a few numbers of memory whatever a client sends.
//! **Invariant:** whether what passes is HTTP/2 at all is the library's to judge: what cannot be
//! followed here passes as it is.

/// Frames of a client, from its first one on, which comes behind the preface.
#[derive(Debug)]
pub(super) struct Authorities {
    frames: Frames,
    fields: Fields,
}

/// Where in a frame the next byte lies.
#[derive(Debug, Clone, Copy)]
enum Frames {
    /// In its head, of which so many bytes were seen.
    Head { seen: usize, head: [u8; HEAD] },
    /// At the byte that says how much padding ends the frame.
    Padding { left: u32, skip: u32, ends: bool },
    /// Among headers, after `skip` other bytes and before `after` others.
    Block {
        skip: u32,
        left: u32,
        after: u32,
        ends: bool,
    },
    /// In what is none of our business.
    Other { left: u32 },
    /// In what is no HTTP/2.
    Lost,
}

/// The length of a frame's head: length (3 bytes), type, flags, stream (4).
const HEAD: usize = 9;

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// What stands before the headers of a frame with `PRIORITY`.
const PRIORITY_LENGTH: u32 = 5;

impl Authorities {
    pub(super) fn new() -> Self {
        Self {
            frames: Frames::NEXT,
            fields: Fields::Next,
        }
    }

    /// Follows the next bytes of the connection, in pieces of any size.
    pub(super) fn pass(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let taken = self.take(bytes);
            bytes = &mut bytes[taken..];
        }
    }

    /// Follows at least one byte, and says how many.
    fn take(&mut self, bytes: &mut [u8]) -> usize {
        match &mut self.frames {
            Frames::Lost => bytes.len(),
            Frames::Other { left } => {
                let taken = at_most(bytes, *left);
                *left -= length(taken);
                if *left == 0 {
                    self.frames = Frames::NEXT;
                }
                taken
            }
            Frames::Head { seen, head } => {
                head[*seen] = bytes[0];
                *seen += 1;
                if *seen == HEAD {
                    let head = *head;
                    self.begin(head);
                }
                1
            }
            &mut Frames::Padding { left, skip, ends } => {
                let after = u32::from(bytes[0]);
                self.frames = match (left - 1).checked_sub(skip + after) {
                    None => Frames::Lost,
                    Some(left) => Frames::Block {
                        skip,
                        left,
                        after,
                        ends,
                    },
                };
                self.leave();
                1
            }
            Frames::Block { skip, .. } if *skip > 0 => {
                let taken = at_most(bytes, *skip);
                *skip -= length(taken);
                self.leave();
                taken
            }
            Frames::Block { left, .. } => {
                let taken = at_most(bytes, *left);
                *left -= length(taken);
                for byte in &mut bytes[..taken] {
                    self.fields.step(byte);
                }
                self.leave();
                taken
            }
        }
    }

    /// After the head of a frame.
    fn begin(&mut self, head: [u8; HEAD]) {
        let [a, b, c, kind, flags, ..] = head;
        let left = u32::from_be_bytes([0, a, b, c]);
        let ends = flags & END_HEADERS != 0;
        let skip = match kind {
            HEADERS => {
                self.fields = Fields::Next;
                if flags & PRIORITY == 0 {
                    0
                } else {
                    PRIORITY_LENGTH
                }
            }
            CONTINUATION => 0,
            _ => {
                self.frames = match left {
                    0 => Frames::NEXT,
                    left => Frames::Other { left },
                };
                return;
            }
        };
        self.frames = if kind == HEADERS && flags & PADDED != 0 {
            match left {
                0 => Frames::Lost,
                left => Frames::Padding { left, skip, ends },
            }
        } else {
            match left.checked_sub(skip) {
                None => Frames::Lost,
                Some(left) => Frames::Block {
                    skip,
                    left,
                    after: 0,
                    ends,
                },
            }
        };
        self.leave();
    }

    /// Leaves a frame whose headers are over. When they are the last of a request and stop short,
    /// so do we.
    fn leave(&mut self) {
        let Frames::Block {
            skip: 0,
            left: 0,
            after,
            ends,
        } = self.frames
        else {
            return;
        };
        self.frames = match after {
            _ if self.fields.are_lost() || ends && !self.fields.are_whole() => Frames::Lost,
            0 => Frames::NEXT,
            left => Frames::Other { left },
        };
    }
}

impl Frames {
    const NEXT: Self = Self::Head {
        seen: 0,
        head: [0; HEAD],
    };
}

fn at_most(bytes: &[u8], limit: u32) -> usize {
    bytes.len().min(limit as usize)
}

/// Of what was taken from a frame, which has no more than 24 bits of length.
fn length(taken: usize) -> u32 {
    u32::try_from(taken).expect("a piece is no longer than its frame")
}

/// Where in a list of headers the next byte lies (HPACK, RFC 7541).
#[derive(Debug, Clone, Copy)]
enum Fields {
    /// At the first byte of a header.
    Next,
    /// In the later bytes of a number.
    Number { of: Number, value: u64, shift: u32 },
    /// At the first byte of the length of a name that is spelled out.
    NameLength,
    /// In such a name. `seen` of its bytes were those of [`AUTHORITY`].
    Name { left: u64, seen: usize, whole: bool },
    /// At the first byte of the length of a value.
    ValueLength { mend: bool },
    /// In a value.
    Value { left: u64, mend: bool, colon: bool },
    /// In what is no HPACK.
    Lost,
}

/// What a number means.
#[derive(Debug, Clone, Copy)]
enum Number {
    /// A header that is known already, or the size of the table of those.
    Alone,
    /// A name that is known already, or 0 for one that is spelled out.
    Name,
    NameLength {
        plain: bool,
    },
    ValueLength {
        mend: bool,
    },
}

/// The name as clients spell it out.
const AUTHORITY: &[u8] = b":authority";

/// The number of the name in the table that HPACK begins with. It may have others in the table of
/// its connection, which is not kept here; who has this one or spells it out uses none of those.
const AUTHORITY_INDEX: u64 = 1;

/// The largest shift of a number's later bytes: lengths past 32 bits are no lengths.
const MAX_SHIFT: u32 = 28;

impl Fields {
    fn are_whole(self) -> bool {
        matches!(self, Self::Next)
    }

    fn are_lost(self) -> bool {
        matches!(self, Self::Lost)
    }

    /// Follows one byte, and changes it where it cannot stay.
    fn step(&mut self, byte: &mut u8) {
        let at = *byte;
        *self = match *self {
            Self::Next if at & 0x80 != 0 => Self::number(Number::Alone, at, 7),
            Self::Next if at & 0x40 != 0 => Self::number(Number::Name, at, 6),
            Self::Next if at & 0x20 != 0 => Self::number(Number::Alone, at, 5),
            Self::Next => Self::number(Number::Name, at, 4),
            Self::NameLength => {
                let plain = is_plain(at);
                Self::number(Number::NameLength { plain }, at, 7)
            }
            Self::ValueLength { mend } => {
                let mend = mend && is_plain(at);
                Self::number(Number::ValueLength { mend }, at, 7)
            }
            Self::Number { of, value, shift } => {
                let value = value + (u64::from(at & 0x7f) << shift);
                match shift + 7 {
                    _ if at & 0x80 == 0 => Self::after(of, value),
                    shift if shift <= MAX_SHIFT => Self::Number { of, value, shift },
                    _ => Self::Lost,
                }
            }
            Self::Name { left, seen, whole } => {
                let whole = whole && AUTHORITY.get(seen) == Some(&at);
                let seen = seen + usize::from(whole);
                match left - 1 {
                    0 => Self::ValueLength {
                        mend: whole && seen == AUTHORITY.len(),
                    },
                    left => Self::Name { left, seen, whole },
                }
            }
            Self::Value { left, mend, colon } => {
                // One may stand before a port.
                let is_first_colon = at == b':' && !colon;
                if mend && !is_first_colon && !is_of_names(at) {
                    *byte = b'-';
                }
                let colon = colon || is_first_colon;
                match left - 1 {
                    0 => Self::Next,
                    left => Self::Value { left, mend, colon },
                }
            }
            Self::Lost => Self::Lost,
        };
    }

    /// After the first byte of a number, of which the last `bits` count.
    fn number(of: Number, first: u8, bits: u32) -> Self {
        let full = (1_u8 << bits) - 1;
        match first & full {
            value if value == full => Self::Number {
                of,
                value: u64::from(value),
                shift: 0,
            },
            value => Self::after(of, u64::from(value)),
        }
    }

    /// After a number.
    fn after(of: Number, value: u64) -> Self {
        match (of, value) {
            (Number::Alone, _) | (Number::ValueLength { .. }, 0) => Self::Next,
            (Number::Name, 0) => Self::NameLength,
            (Number::Name, index) => Self::ValueLength {
                mend: index == AUTHORITY_INDEX,
            },
            (Number::NameLength { .. }, 0) => Self::ValueLength { mend: false },
            (Number::NameLength { plain }, left) => Self::Name {
                left,
                seen: 0,
                whole: plain,
            },
            (Number::ValueLength { mend }, left) => Self::Value {
                left,
                mend,
                colon: false,
            },
        }
    }
}

/// Whether text of this length stands as it is, and is not packed (Huffman's code). The C core
/// packs none, and who packs it has legal names or is refused.
fn is_plain(length: u8) -> bool {
    length & 0x80 == 0
}

/// What may stand in an authority anywhere. Brackets and `@` may in places, which are not worth
/// telling apart: a UNIX socket has neither address nor user.
fn is_of_names(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
