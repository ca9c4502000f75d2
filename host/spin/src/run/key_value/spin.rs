//! `fermyon:spin/key-value@2.0.0`.

use wasmtime::component::Resource;

use super::{OpenStore, Refused};
use crate::run::state::State;

wasmtime::component::bindgen!({
    inline: "
        package fermyon:spin@2.0.0;
        interface key-value {
            resource store {
                open: static func(label: string) -> result<store, error>;
                get: func(key: string) -> result<option<list<u8>>, error>;
                set: func(key: string, value: list<u8>) -> result<_, error>;
                delete: func(key: string) -> result<_, error>;
                exists: func(key: string) -> result<bool, error>;
                get-keys: func() -> result<list<string>, error>;
            }
            variant error {
                store-table-full,
                no-such-store,
                access-denied,
                other(string),
            }
        }
        world host { import key-value; }
    ",
    imports: { default: async | trappable },
    with: { "fermyon:spin/key-value.store": crate::run::key_value::OpenStore },
});

use fermyon::spin::key_value::{Error, Host, HostStore};

type Told<T> = wasmtime::Result<Result<T, Error>>;

impl Host for State {}

impl HostStore for State {
    async fn open(&mut self, label: String) -> Told<Resource<OpenStore>> {
        Ok(match self.open_store(&label) {
            Ok(store) => match self.table.push(store) {
                Ok(store) => Ok(store),
                Err(_) => Err(Error::StoreTableFull),
            },
            Err(Refused::NoSuchStore) => Err(Error::NoSuchStore),
            Err(Refused::AccessDenied) => Err(Error::AccessDenied),
        })
    }

    async fn get(&mut self, store: Resource<OpenStore>, key: String) -> Told<Option<Vec<u8>>> {
        Ok(self.table.get(&store)?.get(key).await.map_err(Error::Other))
    }

    async fn set(&mut self, store: Resource<OpenStore>, key: String, value: Vec<u8>) -> Told<()> {
        let set = self.table.get(&store)?.set(vec![(key, value)]).await;
        Ok(set.map_err(Error::Other))
    }

    async fn delete(&mut self, store: Resource<OpenStore>, key: String) -> Told<()> {
        let deleted = self.table.get(&store)?.delete(vec![key]).await;
        Ok(deleted.map_err(Error::Other))
    }

    async fn exists(&mut self, store: Resource<OpenStore>, key: String) -> Told<bool> {
        let exists = self.table.get(&store)?.exists(key).await;
        Ok(exists.map_err(Error::Other))
    }

    async fn get_keys(&mut self, store: Resource<OpenStore>) -> Told<Vec<String>> {
        Ok(self.table.get(&store)?.keys().await.map_err(Error::Other))
    }

    async fn drop(&mut self, store: Resource<OpenStore>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}
