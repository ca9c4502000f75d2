//! Key-value stores for guests: `fermyon:spin/key-value@2.0.0` and `wasi:keyvalue@0.2.0-draft2`,
//! over a file beside the app.
//!
//! **Invariant:** a component opens the stores that its manifest names under `key_value_stores`,
//! and no others.

mod file;
mod spin;
mod wasi;

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker};

pub(super) use file::KeyValueFile;

use super::state::State;

/// The one store that there is.
pub(super) const DEFAULT: &str = "default";

/// Bytes of a key, and of all of a request's keys in one list: beyond them a key is a mistake.
const MAX_KEY: usize = 64 << 10;

/// A store that a guest has opened.
#[derive(Debug, Clone)]
#[expect(unreachable_pub, reason = "generated bindings pass it on")]
pub struct OpenStore {
    file: Arc<KeyValueFile>,
    label: Arc<str>,
}

/// Why a store cannot be opened.
enum Refused {
    NoSuchStore,
    AccessDenied,
}

impl State {
    fn open_store(&self, label: &str) -> Result<OpenStore, Refused> {
        let allowed = self.component.key_value_stores.contains(label);
        if !allowed {
            return Err(Refused::AccessDenied);
        }
        let file = self.component.key_value.as_ref();
        let file = file
            .filter(|_| label == DEFAULT)
            .ok_or(Refused::NoSuchStore)?;
        Ok(OpenStore {
            file: Arc::clone(file),
            label: label.into(),
        })
    }
}

impl OpenStore {
    async fn get(&self, key: String) -> Result<Option<Vec<u8>>, String> {
        check_key(&key)?;
        // A look into a cache of pages, most often: not worth the way to another thread.
        self.file.get(&self.label, &key)
    }

    async fn exists(&self, key: String) -> Result<bool, String> {
        check_key(&key)?;
        self.file.exists(&self.label, &key)
    }

    async fn keys(&self) -> Result<Vec<String>, String> {
        let Self { file, label } = self.clone();
        blocking(move || file.keys(&label)).await
    }

    async fn set(&self, entries: Vec<(String, Vec<u8>)>) -> Result<(), String> {
        for (key, _) in &entries {
            check_key(key)?;
        }
        let Self { file, label } = self.clone();
        blocking(move || file.set(&label, &entries)).await
    }

    async fn delete(&self, keys: Vec<String>) -> Result<(), String> {
        let Self { file, label } = self.clone();
        blocking(move || file.delete(&label, &keys)).await
    }
}

fn check_key(key: &str) -> Result<(), String> {
    if key.len() > MAX_KEY {
        return Err(format!(
            "a key has {} bytes; expected at most {MAX_KEY}",
            key.len()
        ));
    }
    Ok(())
}

/// What waits for the disk, on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err("the host is shutting down".to_owned()))
}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    spin::fermyon::spin::key_value::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    wasi::wasi::keyvalue::store::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    wasi::wasi::keyvalue::batch::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}
