//! Asks a probe for everything.

#![expect(unsafe_code, missing_docs, reason = "generated from wit/")]

wit_bindgen::generate!({ world: "fronting", path: "wit", generate_all });

use exports::test::composed::front::Guest;
use test::composed::probe;

struct Front;

export!(Front);

impl Guest for Front {
    fn all(address: String) -> Vec<(String, String)> {
        let done = |result: Result<(), String>| match result {
            Ok(()) => "ok".to_owned(),
            Err(reason) => reason,
        };
        let directory = match probe::directory("/") {
            Ok(entries) => entries.join(" "),
            Err(reason) => reason,
        };
        let variable = match probe::variable("key") {
            Ok(value) => format!("ok {value}"),
            Err(reason) => reason,
        };
        [
            ("environment", probe::environment().join(" ")),
            ("directory", directory),
            ("variable", variable),
            ("store", done(probe::store("default"))),
            ("connect", done(probe::connect(&address))),
            ("fetch", done(probe::fetch(&address))),
        ]
        .map(|(name, result)| (name.to_owned(), result))
        .to_vec()
    }
}
