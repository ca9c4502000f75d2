//! JSON as protobuf prints messages: one space a level, a line for everything, a newline at the
//! end, 64-bit integers in quotes.

use std::fmt::Write as _;

/// Prints one message.
pub(super) struct Printer {
    out: Vec<u8>,
    depth: usize,
    /// Whether the innermost container has nothing in it yet.
    is_empty: bool,
}

impl Printer {
    /// The text of a message whose fields `fields` prints.
    pub(super) fn message(fields: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut printer = Self {
            out: Vec::new(),
            depth: 0,
            is_empty: true,
        };
        printer.object(fields);
        printer.out.push(b'\n');
        printer.out
    }

    /// An object, as a value.
    pub(super) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.container([b'{', b'}'], members);
    }

    fn container(&mut self, brackets: [u8; 2], content: impl FnOnce(&mut Self)) {
        self.out.push(brackets[0]);
        self.depth += 1;
        self.is_empty = true;
        content(self);
        self.depth -= 1;
        if !self.is_empty {
            self.line();
        }
        self.is_empty = false;
        self.out.push(brackets[1]);
    }

    /// An array of what `item` prints of each of `items`, as a value.
    pub(super) fn array<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        self.container([b'[', b']'], |printer| {
            for element in items {
                printer.next();
                item(printer, element);
            }
        });
    }

    fn line(&mut self) {
        self.out.push(b'\n');
        self.out.resize(self.out.len() + self.depth, b' ');
    }

    fn next(&mut self) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        self.line();
    }

    /// A member's name; its value must follow.
    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        self.next();
        self.string(name);
        self.out.extend_from_slice(b": ");
        self
    }

    /// A number or a word, as a value.
    pub(super) fn bare(&mut self, text: impl std::fmt::Display) {
        self.raw(|out| out.extend_from_slice(text.to_string().as_bytes()));
    }

    /// Something in quotes that needs no escapes, as a value.
    pub(super) fn quoted(&mut self, text: impl std::fmt::Display) {
        self.bare(format_args!("\"{text}\""));
    }

    /// Whatever `write` writes, as a value.
    pub(super) fn raw(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.out);
    }

    /// A string, as a value.
    pub(super) fn string(&mut self, text: &str) {
        let mut escaped = String::with_capacity(text.len() + 2);
        escaped.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => escaped.extend(['\\', c]),
                '\n' => escaped.push_str("\\n"),
                '\r' => escaped.push_str("\\r"),
                '\t' => escaped.push_str("\\t"),
                '\u{8}' => escaped.push_str("\\b"),
                '\u{c}' => escaped.push_str("\\f"),
                c if must_be_escaped(c) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        // Writing to a string cannot fail.
                        let _ = write!(escaped, "\\u{unit:04x}");
                    }
                }
                c => escaped.push(c),
            }
        }
        escaped.push('"');
        self.out.extend_from_slice(escaped.as_bytes());
    }
}

/// Control and format characters, and what could end a script in a page.
fn must_be_escaped(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1f}' | '<' | '>' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{6dd}' | '\u{70f}'
            | '\u{17b4}' | '\u{17b5}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}'
            | '\u{e0020}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indents_by_one_and_escapes_for_pages() {
        let text = Printer::message(|p| {
            p.name("a<b").string("x>\"\u{1f}\u{7f}é\n");
            p.name("list").array(&[1, 2], |p, item| p.bare(item));
            p.name("none").array(&[(); 0], |_, ()| {});
            p.name("empty").object(|_| {});
            p.name("id").quoted(7);
        });
        assert_eq!(
            String::from_utf8(text).unwrap(),
            concat!(
                "{\n \"a\\u003cb\": \"x\\u003e\\\"\\u001f\\u007fé\\n\",\n",
                " \"list\": [\n  1,\n  2\n ],\n \"none\": [],\n \"empty\": {},\n \"id\": \"7\"\n}\n"
            )
        );
    }
}
