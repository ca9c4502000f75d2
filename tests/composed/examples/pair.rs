//! Uses a resource through two interfaces.

#![expect(unsafe_code, missing_docs, reason = "generated from wit/")]

wit_bindgen::generate!({ world: "pairing", path: "wit", generate_all });

use exports::test::composed::pair::Guest;
use test::composed::{edge, models};

struct Pair;

export!(Pair);

impl Guest for Pair {
    fn both(name: String) -> String {
        let model = models::open(&name);
        format!(
            "{} {} {} {}",
            model.name(),
            edge::describe(&model),
            models::opened(),
            edge::opened(),
        )
    }
}
