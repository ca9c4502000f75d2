//! Nested lists of one shape, straight into a buffer.

use half::{bf16, f16};

use super::scan::{self, WINDOW};
use super::values::{Element, Values};
use crate::json::syntax::{peek, skip_whitespace};
use crate::json::{base64, text};

/// Ranks beyond this are for the exact way. TensorFlow's own limit is 254; tensors of more than
/// eight dimensions are rare.
const MAX_RANK: usize = 16;

/// The dimensions of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    dims: [u32; MAX_RANK],
    rank: usize,
}

impl Shape {
    pub(crate) fn dims(self) -> impl Iterator<Item = i64> {
        self.dims.into_iter().take(self.rank).map(i64::from)
    }
}

/// What is known so far of the shape of a value.
struct Measured {
    /// The size of the lists at each level, once one of them has ended.
    sizes: [Option<u32>; MAX_RANK],
    rank: Option<usize>,
}

impl Measured {
    /// A list at `level` has this many elements, as all others at that level must.
    fn close(&mut self, level: usize, size: u32) -> Option<()> {
        (*self.sizes[level].get_or_insert(size) == size).then_some(())
    }

    /// The lists at `level` are the innermost ones.
    fn innermost(&mut self, level: usize) -> Option<()> {
        (*self.rank.get_or_insert(level + 1) == level + 1).then_some(())
    }

    fn shape(&self) -> Option<Shape> {
        let rank = self.rank?;
        let mut dims = [0; MAX_RANK];
        for (dim, size) in dims.iter_mut().zip(self.sizes).take(rank) {
            *dim = size?;
        }
        Some(Shape { dims, rank })
    }
}

/// Appends the value at `at` to `values`. Returns its shape and the position behind it.
///
/// `is_all` says that nothing else is to come, so that room can be made for the rest of the body.
pub(crate) fn fill(
    json: &[u8],
    mut at: usize,
    values: &mut Values,
    is_all: bool,
) -> Option<(Shape, usize)> {
    if peek(json, at) != b'[' {
        let end = values.read_one(json, at)?;
        let shape = Shape {
            dims: [0; MAX_RANK],
            rank: 0,
        };
        return Some((shape, end));
    }
    let mut measured = Measured {
        sizes: [None; MAX_RANK],
        rank: None,
    };
    let mut counts = [0u32; MAX_RANK];
    let mut level = 0;
    loop {
        // At the bracket that opens a list at `level`.
        let first = skip_whitespace(json, at + 1);
        match peek(json, first) {
            b'[' => {
                level += 1;
                if level >= measured.rank.unwrap_or(MAX_RANK) {
                    return None;
                }
                at = first;
                continue;
            }
            b']' => {
                measured.innermost(level)?;
                measured.close(level, 0)?;
                at = first + 1;
            }
            _ => {
                measured.innermost(level)?;
                let before = values.len();
                let size = measured.sizes[level].unwrap_or(u32::MAX) as usize;
                let (end, more) = values.read_lists(json, first, size)?;
                // Those that came before the last one had the size that they should have.
                let count = values.len() - before - more * size;
                if before == 0 && is_all {
                    let bytes_each = (end - at).div_ceil(count).max(2);
                    values.reserve((json.len() - end) / bytes_each);
                }
                measured.close(level, u32::try_from(count).ok()?)?;
                if level > 0 {
                    counts[level - 1] += u32::try_from(more).ok()?;
                }
                at = end;
            }
        }
        // Behind a list; on to the next one, closing those that end here.
        loop {
            if level == 0 {
                return Some((measured.shape()?, at));
            }
            let outer = &mut counts[level - 1];
            *outer += 1;
            at = skip_whitespace(json, at);
            match peek(json, at) {
                b',' => {
                    at = skip_whitespace(json, at + 1);
                    if peek(json, at) != b'[' {
                        return None;
                    }
                    break;
                }
                b']' => {
                    let count = std::mem::take(outer);
                    level -= 1;
                    measured.close(level, count)?;
                    at += 1;
                }
                _ => return None,
            }
        }
    }
}

/// What stands behind an element of a list.
enum Next {
    /// Another one, here.
    Element(usize),
    /// Nothing: the list ends before this position.
    End(usize),
}

#[inline(always)]
fn next(json: &[u8], at: usize) -> Option<Next> {
    match *json.get(at)? {
        b',' => {
            // `1,2` and `1, 2` without a loop.
            let at = at + 1 + usize::from(*json.get(at + 1)? == b' ');
            Some(Next::Element(if *json.get(at)? > b' ' {
                at
            } else {
                skip_whitespace(json, at)
            }))
        }
        b']' => Some(Next::End(at + 1)),
        _ => next_behind_whitespace(json, at),
    }
}

#[cold]
fn next_behind_whitespace(json: &[u8], at: usize) -> Option<Next> {
    let at = skip_whitespace(json, at);
    match peek(json, at) {
        b',' => Some(Next::Element(skip_whitespace(json, at + 1))),
        b']' => Some(Next::End(at + 1)),
        _ => None,
    }
}

/// Reads the elements of an innermost list, the first of which is at `at`: by `common` where
/// there is a whole window of bytes and the number has its form, otherwise by `read`.
///
/// Goes straight on to the next list where one of `size` elements has ended and the next follows
/// without surprises, because pixels are lists of three. Returns the position behind the last
/// list, and how many others there were.
#[inline(always)]
fn read_each<T>(
    json: &[u8],
    mut at: usize,
    list: &mut Vec<T>,
    size: usize,
    common: impl Fn(&[u8; WINDOW]) -> Option<(T, usize)>,
    read: impl Fn(&[u8], usize) -> Option<(T, usize)>,
) -> Option<(usize, usize)> {
    let mut full = list.len().saturating_add(size);
    let mut lists = 0;
    loop {
        let window = json.get(at..).and_then(|rest| rest.first_chunk());
        if let Some(window) = window
            && let Some((value, length)) = common(window)
        {
            list.push(value);
            at += length;
            // The same as below, for what nearly always stands there.
            if window[length] == b',' {
                let space = usize::from(window[length + 1] == b' ');
                if window[length + 1 + space] > b' ' {
                    at += 1 + space;
                    continue;
                }
            } else if window[length] == b']' {
                let space = usize::from(window[length + 2] == b' ');
                let first = window[length + 3 + space];
                let goes_on = window[length + 1] == b','
                    && window[length + 2 + space] == b'['
                    && first > b' '
                    && first != b'['
                    && first != b']';
                if list.len() == full && goes_on {
                    full += size;
                    lists += 1;
                    at += 3 + space;
                    continue;
                }
                return Some((at + 1, lists));
            }
        } else {
            let (value, end) = read(json, at)?;
            list.push(value);
            at = end;
        }
        match next(json, at)? {
            Next::Element(next) => at = next,
            Next::End(end) => return Some((end, lists)),
        }
    }
}

/// For elements that have no common form.
fn nothing_common<T>(_window: &[u8; WINDOW]) -> Option<(T, usize)> {
    None
}

#[inline(always)]
fn common_integer<T: TryFrom<i32>>(window: &[u8; WINDOW]) -> Option<(T, usize)> {
    let (value, length) = scan::common_integer(window)?;
    Some((T::try_from(value).ok()?, length))
}

fn read_integer<T: Element>(json: &[u8], at: usize) -> Option<(T, usize)> {
    let (number, end) = scan::integer(json, at)?;
    Some((T::from_number(number)?, end))
}

fn read_half(json: &[u8], at: usize) -> Option<(f16, usize)> {
    let (value, end) = scan::double(json, at)?;
    Some((f16::from_f64(value), end))
}

fn read_bfloat16(json: &[u8], at: usize) -> Option<(bf16, usize)> {
    let (value, end) = scan::double(json, at)?;
    Some((bf16::from_f64(value), end))
}

fn read_bool(json: &[u8], at: usize) -> Option<(u8, usize)> {
    let rest = json.get(at..)?;
    if rest.starts_with(b"true") {
        Some((1, at + 4))
    } else {
        rest.starts_with(b"false").then_some((0, at + 5))
    }
}

/// Appends a string, or what one in base64 stands for, and its end to `offsets`.
fn read_string(
    json: &[u8],
    at: usize,
    offsets: &mut Vec<u64>,
    bytes: &mut Vec<u8>,
) -> Option<usize> {
    let end = match peek(json, at) {
        b'"' => {
            let end = text::check(json, at).ok()?;
            text::decode(json, at, bytes);
            end
        }
        b'{' => {
            let name = skip_whitespace(json, at + 1);
            let behind = name + 5;
            if json.get(name..behind)? != b"\"b64\"" {
                return None;
            }
            let colon = skip_whitespace(json, behind);
            let value = skip_whitespace(json, colon + 1);
            if peek(json, colon) != b':' || peek(json, value) != b'"' {
                return None;
            }
            let end = value + 1 + text::plain_run(json, value + 1);
            base64::decode(&json[value + 1..end], bytes)?;
            let brace = skip_whitespace(json, end + 1);
            if peek(json, end) != b'"' || peek(json, brace) != b'}' {
                return None;
            }
            brace + 1
        }
        _ => return None,
    };
    offsets.push(bytes.len() as u64);
    Some(end)
}

impl Values {
    /// Appends the elements of an innermost list, the first of which is at `at`, and of those
    /// that follow, as [`read_each`] does.
    fn read_lists(&mut self, json: &[u8], at: usize, size: usize) -> Option<(usize, usize)> {
        match self {
            Self::F32(list) => read_each(json, at, list, size, scan::common_float, scan::float),
            Self::F64(list) => read_each(json, at, list, size, scan::common_double, scan::double),
            Self::F16(list) => read_each(json, at, list, size, nothing_common, read_half),
            Self::Bf16(list) => read_each(json, at, list, size, nothing_common, read_bfloat16),
            Self::I8(list) => read_each(json, at, list, size, common_integer, read_integer),
            Self::I16(list) => read_each(json, at, list, size, common_integer, read_integer),
            Self::I32(list) => read_each(json, at, list, size, common_integer, read_integer),
            Self::I64(list) => read_each(json, at, list, size, common_integer, read_integer),
            Self::U8(list) => read_each(json, at, list, size, common_integer, read_integer),
            Self::U16(list) => read_each(json, at, list, size, common_integer, read_integer),
            Self::U32(list) => read_each(json, at, list, size, common_integer, read_integer),
            Self::U64(list) => read_each(json, at, list, size, common_integer, read_integer),
            Self::Bool(list) => read_each(json, at, list, size, nothing_common, read_bool),
            Self::Strings(offsets, bytes) => {
                let mut at = at;
                loop {
                    let end = read_string(json, at, offsets, bytes)?;
                    match next(json, end)? {
                        Next::Element(next) => at = next,
                        Next::End(end) => return Some((end, 0)),
                    }
                }
            }
        }
    }

    /// Appends the scalar at `at`. Returns the position behind it.
    pub(crate) fn read_one(&mut self, json: &[u8], at: usize) -> Option<usize> {
        fn push<T>(list: &mut Vec<T>, (value, end): (T, usize)) -> usize {
            list.push(value);
            end
        }
        match self {
            Self::F32(list) => scan::float(json, at).map(|read| push(list, read)),
            Self::F64(list) => scan::double(json, at).map(|read| push(list, read)),
            Self::F16(list) => read_half(json, at).map(|read| push(list, read)),
            Self::Bf16(list) => read_bfloat16(json, at).map(|read| push(list, read)),
            Self::I8(list) => read_integer(json, at).map(|read| push(list, read)),
            Self::I16(list) => read_integer(json, at).map(|read| push(list, read)),
            Self::I32(list) => read_integer(json, at).map(|read| push(list, read)),
            Self::I64(list) => read_integer(json, at).map(|read| push(list, read)),
            Self::U8(list) => read_integer(json, at).map(|read| push(list, read)),
            Self::U16(list) => read_integer(json, at).map(|read| push(list, read)),
            Self::U32(list) => read_integer(json, at).map(|read| push(list, read)),
            Self::U64(list) => read_integer(json, at).map(|read| push(list, read)),
            Self::Bool(list) => read_bool(json, at).map(|read| push(list, read)),
            Self::Strings(offsets, bytes) => read_string(json, at, offsets, bytes),
        }
    }
}
