//! An app's variables for guests: `fermyon:spin/variables@2.0.0` and
//! `wasi:config/store@0.2.0-draft-2024-09-27`.
//!
//! **Invariant:** a component sees the variables of its own table in the manifest, and no others.

use wasmtime::component::{HasSelf, Linker};

use super::state::{Settings, State};
use crate::variables::Error;

mod spin {
    wasmtime::component::bindgen!({
        inline: "
            package fermyon:spin@2.0.0;
            interface variables {
                get: func(name: string) -> result<string, error>;
                variant error {
                    invalid-name(string),
                    undefined(string),
                    provider(string),
                    other(string),
                }
            }
            world host { import variables; }
        ",
    });
}

mod config {
    wasmtime::component::bindgen!({
        inline: "
            package wasi:config@0.2.0-draft-2024-09-27;
            interface store {
                variant error {
                    upstream(string),
                    io(string),
                }
                get: func(key: string) -> result<option<string>, error>;
                get-all: func() -> result<list<tuple<string, string>>, error>;
            }
            world host { import store; }
        ",
    });
}

use config::wasi::config::store as config_store;
use spin::fermyon::spin::variables as spin_variables;

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    spin_variables::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    config_store::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

impl spin_variables::Host for State {
    fn get(&mut self, name: String) -> Result<String, spin_variables::Error> {
        let Settings { id, variables, .. } = &*self.component;
        let value = variables.get(id, &name).map(ToOwned::to_owned);
        value.map_err(|error| match error {
            Error::InvalidName(text) => spin_variables::Error::InvalidName(text),
            Error::Undefined(text) => spin_variables::Error::Undefined(text),
            Error::Provider(text) => spin_variables::Error::Provider(text),
            Error::InvalidTemplate(text) => spin_variables::Error::Other(text),
        })
    }
}

impl config_store::Host for State {
    fn get(&mut self, key: String) -> Result<Option<String>, config_store::Error> {
        let Settings { id, variables, .. } = &*self.component;
        match variables.get(id, &key) {
            Ok(value) => Ok(Some(value.to_owned())),
            Err(Error::Undefined(_)) => Ok(None),
            Err(error) => Err(config_store::Error::Upstream(error.to_string())),
        }
    }

    fn get_all(&mut self) -> Result<Vec<(String, String)>, config_store::Error> {
        let Settings { id, variables, .. } = &*self.component;
        let all = variables.of_component(id);
        Ok(all
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}
