//! Names of new processors: what every language takes as the name of a package and of a module.

/// A name in the two forms that languages want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// `my_processor`.
    snake: String,
    /// `my-processor`.
    kebab: String,
}

/// Longer ones are no use to anybody, and file names end somewhere.
const MAX_LENGTH: usize = 64;

/// What one of the languages, or its tools, has for itself.
const RESERVED: &[&str] = &[
    // Rust
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
    // Python
    "and",
    "assert",
    "class",
    "componentize_py",
    "csv",
    "def",
    "del",
    "elif",
    "except",
    "finally",
    "from",
    "global",
    "import",
    "io",
    "is",
    "json",
    "lambda",
    "nonlocal",
    "not",
    "numpy",
    "or",
    "os",
    "pass",
    "raise",
    "sys",
    "types",
    "wit_world",
    "with",
    // JavaScript
    "case",
    "catch",
    "debugger",
    "default",
    "delete",
    "export",
    "extends",
    "function",
    "instanceof",
    "interface",
    "new",
    "node_modules",
    "null",
    "package",
    "switch",
    "this",
    "throw",
    "undefined",
    "var",
    "void",
];

impl Name {
    /// A name as it was typed, with `_` or `-` between words. `taken` are crates that the project
    /// is built from.
    ///
    /// # Errors
    /// With what a name looks like, and why this is none.
    pub(super) fn parse(text: &str, taken: &[String]) -> Result<Self, String> {
        let problem = |why: &str| {
            Err(format!(
                "{text:?} cannot be a processor's name: {why}; expected words of a-z and 0-9, \
                 each beginning with a letter, with _ or - between them, such as my_processor"
            ))
        };
        if text.is_empty() {
            return problem("it is empty");
        }
        if text.len() > MAX_LENGTH {
            return problem(&format!("it has more than {MAX_LENGTH} letters"));
        }
        if text.contains('_') && text.contains('-') {
            return problem("it has both _ and -");
        }
        for word in text.split(['_', '-']) {
            let begins = word.starts_with(|letter: char| letter.is_ascii_lowercase());
            let goes_on = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            if !begins || !word.bytes().all(goes_on) {
                return problem(&format!("{word:?} is no such word"));
            }
        }
        let name = Self {
            snake: text.replace('-', "_"),
            kebab: text.replace('_', "-"),
        };
        if RESERVED.contains(&name.snake.as_str()) {
            return problem("it has a meaning of its own in a language or its tools");
        }
        if name.snake == "tensorgate" || name.snake.starts_with("tensorgate_") {
            return problem("names that begin with tensorgate are those of the SDK");
        }
        if taken
            .iter()
            .any(|taken| taken.replace('-', "_") == name.snake)
        {
            return problem("a crate that it is built from has that name");
        }
        Ok(name)
    }

    /// A template's text, with the name in its places.
    pub(super) fn fill(&self, text: &str) -> String {
        text.replace("{{name}}", &self.snake)
            .replace("{{kebab-name}}", &self.kebab)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_two_forms() {
        for text in ["my_rows2", "my-rows2"] {
            let name = Name::parse(text, &[]).unwrap();
            assert_eq!(
                name.fill("{{name}} {{kebab-name}} {{}}"),
                "my_rows2 my-rows2 {{}}"
            );
        }
    }

    #[test]
    fn what_is_no_name_is_said_why() {
        let taken = ["wit-bindgen".to_owned()];
        for (text, words) in [
            ("", "it is empty"),
            ("Rows", "\"Rows\" is no such word"),
            ("2rows", "no such word"),
            ("rows__2", "no such word"),
            ("rows-", "no such word"),
            ("../rows", "no such word"),
            ("zeilen_für", "no such word"),
            ("a_b-c", "both _ and -"),
            ("match", "meaning of its own"),
            ("node-modules", "meaning of its own"),
            ("tensorgate-sdk", "begin with tensorgate"),
            ("wit_bindgen", "a crate that it is built from"),
            (&"a".repeat(65), "more than 64 letters"),
        ] {
            let problem = Name::parse(text, &taken).unwrap_err();
            assert!(problem.contains(words), "{problem}");
            assert!(problem.contains("such as my_processor"), "{problem}");
        }
    }
}
