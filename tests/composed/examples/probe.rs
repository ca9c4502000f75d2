//! Tries what a dependency may be denied.

#![expect(unsafe_code, missing_docs, reason = "generated from wit/")]

wit_bindgen::generate!({ world: "probing", path: "wit", generate_all });

use exports::test::composed::probe::Guest;
use fermyon::spin::{key_value, variables};
use wasi::http::outgoing_handler;
use wasi::http::types::{Fields, OutgoingRequest};

struct Probe;

export!(Probe);

impl Guest for Probe {
    fn environment() -> Vec<String> {
        std::env::vars()
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    fn directory(path: String) -> Result<Vec<String>, String> {
        let entries = std::fs::read_dir(path).map_err(|error| error.to_string())?;
        Ok(entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect())
    }

    fn variable(name: String) -> Result<String, String> {
        variables::get(&name).map_err(|error| format!("{error:?}"))
    }

    fn store(label: String) -> Result<(), String> {
        key_value::Store::open(&label)
            .map(drop)
            .map_err(|error| format!("{error:?}"))
    }

    fn connect(address: String) -> Result<(), String> {
        std::net::TcpStream::connect(address)
            .map(drop)
            .map_err(|error| format!("{:?}", error.kind()))
    }

    fn fetch(authority: String) -> Result<(), String> {
        let request = OutgoingRequest::new(Fields::new());
        request
            .set_authority(Some(&authority))
            .map_err(|()| "no authority".to_owned())?;
        outgoing_handler::handle(request, None)
            .map(drop)
            .map_err(|error| format!("{error:?}"))
    }
}
