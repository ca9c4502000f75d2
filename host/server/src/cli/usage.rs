//! What the command line says of itself: usage in the original's form, help in ours, and the
//! tables of the page on configuration. All three come from the tables of flags.

use std::fmt::Write as _;

use super::flag::Flag;

/// The usage text of `tensorflow_model_server`, in the layout of the original's flag parser.
pub(crate) fn original<T>(program: &str, flags: &[&Flag<T>]) -> String {
    let mut text = format!("usage: {program}\nFlags:\n");
    for flag in flags {
        let quote = if flag.type_name() == "string" {
            "\""
        } else {
            ""
        };
        let assignment = format!("--{}={quote}{}{quote}", flag.name, flag.default);
        // Infallible: a String takes everything.
        let _ = writeln!(
            text,
            "\t{assignment:<33}\t{}\t{}",
            flag.type_name(),
            flag.help
        );
    }
    text
}

/// Flags with their help, for `--help` of our own commands.
pub(crate) fn help<T>(flags: &[&Flag<T>]) -> String {
    let mut text = String::new();
    for flag in flags {
        let default = if flag.default.is_empty() {
            "\"\""
        } else {
            flag.default
        };
        let _ = writeln!(text, "  --{}={default}  ({})", flag.name, flag.type_name());
        for line in wrap(flag.help, 84) {
            let _ = writeln!(text, "        {line}");
        }
    }
    text
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use crate::cli::serve_flags::{OWN, SERVING};
    use crate::options::ServeOptions;

    use super::*;

    #[test]
    fn usage_has_the_layout_of_the_original() {
        let flags: Vec<_> = SERVING.iter().take(2).collect();
        assert_eq!(
            original("./tensorflow_model_server", &flags),
            "usage: ./tensorflow_model_server\nFlags:\n\
             \t--port=8500                      \tport\tTCP port for gRPC; 0 for none, \
             `auto` for any free one.\n\
             \t--grpc_socket_path=\"\"            \tstring\tUNIX socket for gRPC.\n"
        );
    }

    #[test]
    fn help_keeps_to_the_width_of_a_terminal() {
        let flags: Vec<_> = SERVING.iter().chain(OWN).collect();
        assert!(help(&flags).lines().all(|line| line.len() <= 92));
    }

    fn markdown<'a>(flags: impl Iterator<Item = &'a Flag<ServeOptions>>) -> String {
        let mut text = "| flag | type | default | what it does |\n|---|---|---|---|\n".to_owned();
        for flag in flags {
            let default = if flag.default.is_empty() {
                ""
            } else {
                &format!("`{}`", flag.default)
            };
            let _ = writeln!(
                text,
                "| `{}` | {} | {default} | {} |",
                flag.name,
                flag.type_name(),
                flag.help
            );
        }
        text
    }

    /// Set `TENSORGATE_BLESS=1` to write the tables into the page.
    #[test]
    fn the_page_on_configuration_has_exactly_these_flags() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let page = std::fs::read_to_string(path).expect("docs/configuration.md is there");
        let mut expected = page.clone();
        for (name, table) in [
            ("serving", markdown(SERVING.iter().filter(|flag| flag.acts))),
            ("own", markdown(OWN.iter())),
            ("later", markdown(SERVING.iter().filter(|flag| !flag.acts))),
        ] {
            let (begin, end) = (
                format!("<!-- {name} -->\n"),
                format!("<!-- end of {name} -->"),
            );
            let (before, rest) = expected.split_once(&begin).expect("a mark for the table");
            let (_, after) = rest.split_once(&end).expect("a mark for the table's end");
            expected = format!("{before}{begin}{table}{end}{after}");
        }
        if std::env::var_os("TENSORGATE_BLESS").is_some() {
            std::fs::write(path, &expected).expect("the page can be written");
        } else {
            assert_eq!(page, expected, "run this test with TENSORGATE_BLESS=1");
        }
    }
}
