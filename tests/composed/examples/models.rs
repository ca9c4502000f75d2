//! A resource that two interfaces know.

#![expect(unsafe_code, missing_docs, reason = "generated from wit/")]

wit_bindgen::generate!({ world: "modelling", path: "wit", generate_all });

use std::sync::atomic::{AtomicU32, Ordering};

use exports::test::composed::{edge, models};

static OPENED: AtomicU32 = AtomicU32::new(0);

struct Models;

struct Model(String);

export!(Models);

impl models::Guest for Models {
    type Model = Model;

    fn open(name: String) -> models::Model {
        OPENED.fetch_add(1, Ordering::Relaxed);
        models::Model::new(Model(name))
    }

    fn opened() -> u32 {
        OPENED.load(Ordering::Relaxed)
    }
}

impl models::GuestModel for Model {
    fn name(&self) -> String {
        self.0.clone()
    }
}

impl edge::Guest for Models {
    fn describe(model: models::ModelBorrow<'_>) -> String {
        format!("described {}", model.get::<Model>().0)
    }

    fn opened() -> u32 {
        OPENED.load(Ordering::Relaxed)
    }
}
