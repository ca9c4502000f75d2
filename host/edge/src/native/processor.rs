//! The WIT interface `processor` where no component gives it: a processor that covers nothing.
//!
//! A version's own processor stands behind the house, and is reached through `models`
//! of `tensorgate:edge`.

use wasmtime::component::{Linker, Val};

const INTERFACE: &str = "tensorgate:serving/processor@0.1.0";

pub(super) fn add_to_linker<T: Send + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    interface.func_new("describe", |_store, _type, _subject, results| {
        answer(
            results,
            Val::Result(Ok(Some(Box::new(Val::List(Vec::new()))))),
        )
    })?;
    for name in ["preprocess", "postprocess"] {
        interface.func_new(name, |_store, _type, _call, results| {
            answer(results, covers_nothing())
        })?;
    }
    Ok(())
}

fn answer(results: &mut [Val], value: Val) -> wasmtime::Result<()> {
    if let Some(result) = results.first_mut() {
        *result = value;
    }
    Ok(())
}

/// What a component is told that asks in spite of `describe`.
fn covers_nothing() -> Val {
    let message = "no processor is composed with this component: none of the signatures is covered";
    let error = vec![
        (
            "code".to_owned(),
            Val::Enum("failed-precondition".to_owned()),
        ),
        ("message".to_owned(), Val::String(message.to_owned())),
    ];
    Val::Result(Err(Some(Box::new(Val::Record(error)))))
}
