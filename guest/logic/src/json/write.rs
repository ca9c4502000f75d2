//! RapidJSON's pretty writer: four spaces a level, `"key": value`, arrays on one line when told so.

/// One open container.
struct Level {
    is_array: bool,
    /// Values written into it; in an object names count too.
    values: usize,
}

/// Writes JSON, value by value. Whoever calls it sees to it that containers are closed in order.
pub(crate) struct Pretty {
    out: Vec<u8>,
    levels: Vec<Level>,
    single_line_arrays: bool,
}

impl Pretty {
    pub(crate) fn new() -> Self {
        Self {
            out: Vec::new(),
            levels: Vec::new(),
            single_line_arrays: false,
        }
    }

    pub(crate) fn set_single_line_arrays(&mut self, single_line: bool) {
        self.single_line_arrays = single_line;
    }

    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn depth(&self) -> usize {
        self.levels.len()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Makes room, where the caller knows about how much is to come.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// Writes what stands before a value, and gives the buffer to write the value to.
    pub(crate) fn value(&mut self) -> &mut Vec<u8> {
        let depth = self.levels.len();
        let Some(level) = self.levels.last_mut() else {
            return &mut self.out;
        };
        let index = level.values;
        level.values += 1;
        if level.is_array {
            if self.single_line_arrays {
                if index > 0 {
                    self.out.extend_from_slice(b", ");
                }
            } else {
                self.out
                    .extend_from_slice(if index > 0 { b",\n" } else { b"\n" });
                indent(&mut self.out, depth);
            }
        } else if index % 2 == 1 {
            self.out.extend_from_slice(b": ");
        } else {
            self.out
                .extend_from_slice(if index > 0 { b",\n" } else { b"\n" });
            indent(&mut self.out, depth);
        }
        &mut self.out
    }

    fn open(&mut self, is_array: bool, bracket: u8) {
        self.value().push(bracket);
        self.levels.push(Level {
            is_array,
            values: 0,
        });
    }

    fn close(&mut self, bracket: u8) {
        let level = self.levels.pop();
        let is_plain = level
            .is_none_or(|level| level.values == 0 || level.is_array && self.single_line_arrays);
        if !is_plain {
            self.out.push(b'\n');
            indent(&mut self.out, self.levels.len());
        }
        self.out.push(bracket);
    }

    pub(crate) fn start_array(&mut self) {
        self.open(true, b'[');
    }

    pub(crate) fn end_array(&mut self) {
        self.close(b']');
    }

    pub(crate) fn start_object(&mut self) {
        self.open(false, b'{');
    }

    pub(crate) fn end_object(&mut self) {
        self.close(b'}');
    }

    /// A string, or the name of a member.
    pub(crate) fn string(&mut self, text: &[u8]) {
        push_string(text, self.value());
    }
}

fn indent(out: &mut Vec<u8>, depth: usize) {
    out.resize(out.len() + 4 * depth, b' ');
}

/// Appends a quoted string. Bytes from 0x80 up pass as they are.
pub(crate) fn push_string(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest
        .iter()
        .position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'))
    {
        out.extend_from_slice(&rest[..at]);
        let byte = rest[at];
        let short = match byte {
            0x08 => b'b',
            0x0C => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            b'"' | b'\\' => byte,
            _ => b'u',
        };
        out.extend([b'\\', short]);
        if short == b'u' {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend([b'0', b'0', HEX[high], HEX[low]]);
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Pretty)) -> String {
        let mut writer = Pretty::new();
        write(&mut writer);
        String::from_utf8(writer.into_bytes()).unwrap()
    }

    #[test]
    fn indents_as_rapidjson_does() {
        let mixed = text(|w| {
            w.start_object();
            w.string(b"a");
            w.start_array();
            w.value().push(b'1');
            w.start_array();
            w.end_array();
            w.end_array();
            w.string(b"b");
            w.start_object();
            w.end_object();
            w.end_object();
        });
        assert_eq!(
            mixed,
            "{\n    \"a\": [\n        1,\n        []\n    ],\n    \"b\": {}\n}"
        );
        let single = text(|w| {
            w.set_single_line_arrays(true);
            w.start_array();
            w.value().push(b'1');
            w.start_array();
            w.value().push(b'2');
            w.end_array();
            w.end_array();
        });
        assert_eq!(single, "[1, [2]]");
    }

    #[test]
    fn escapes_what_must_be_escaped() {
        let all = text(|w| w.string("\"\\/\u{8}\u{c}\n\r\t\u{1f}\u{7f}é".as_bytes()));
        assert_eq!(all, "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u001F\u{7f}é\"");
    }
}
