//! `wasi:keyvalue@0.2.0-draft2`: its stores, and its batches.

use wasmtime::component::Resource;

use super::{OpenStore, Refused};
use crate::run::state::State;

wasmtime::component::bindgen!({
    inline: "
        package wasi:keyvalue@0.2.0-draft2;
        interface store {
            variant error {
                no-such-store,
                access-denied,
                other(string),
            }
            record key-response {
                keys: list<string>,
                cursor: option<string>,
            }
            open: func(identifier: string) -> result<bucket, error>;
            resource bucket {
                get: func(key: string) -> result<option<list<u8>>, error>;
                set: func(key: string, value: list<u8>) -> result<_, error>;
                delete: func(key: string) -> result<_, error>;
                exists: func(key: string) -> result<bool, error>;
                list-keys: func(cursor: option<string>) -> result<key-response, error>;
            }
        }
        interface batch {
            use store.{bucket, error};
            get-many: func(bucket: borrow<bucket>, keys: list<string>)
                -> result<list<tuple<string, option<list<u8>>>>, error>;
            set-many: func(bucket: borrow<bucket>, key-values: list<tuple<string, list<u8>>>)
                -> result<_, error>;
            delete-many: func(bucket: borrow<bucket>, keys: list<string>) -> result<_, error>;
        }
        world host { import store; import batch; }
    ",
    imports: { default: async | trappable },
    with: { "wasi:keyvalue/store.bucket": crate::run::key_value::OpenStore },
});

use wasi::keyvalue::store::{Error, Host, HostBucket, KeyResponse};

type Told<T> = wasmtime::Result<Result<T, Error>>;

impl Host for State {
    async fn open(&mut self, identifier: String) -> Told<Resource<OpenStore>> {
        Ok(match self.open_store(&identifier) {
            Ok(store) => Ok(self.table.push(store)?),
            Err(Refused::NoSuchStore) => Err(Error::NoSuchStore),
            Err(Refused::AccessDenied) => Err(Error::AccessDenied),
        })
    }
}

impl HostBucket for State {
    async fn get(&mut self, bucket: Resource<OpenStore>, key: String) -> Told<Option<Vec<u8>>> {
        Ok(self
            .table
            .get(&bucket)?
            .get(key)
            .await
            .map_err(Error::Other))
    }

    async fn set(&mut self, bucket: Resource<OpenStore>, key: String, value: Vec<u8>) -> Told<()> {
        let set = self.table.get(&bucket)?.set(vec![(key, value)]).await;
        Ok(set.map_err(Error::Other))
    }

    async fn delete(&mut self, bucket: Resource<OpenStore>, key: String) -> Told<()> {
        let deleted = self.table.get(&bucket)?.delete(vec![key]).await;
        Ok(deleted.map_err(Error::Other))
    }

    async fn exists(&mut self, bucket: Resource<OpenStore>, key: String) -> Told<bool> {
        let exists = self.table.get(&bucket)?.exists(key).await;
        Ok(exists.map_err(Error::Other))
    }

    /// All at once: there is never a cursor to go on from.
    async fn list_keys(
        &mut self,
        bucket: Resource<OpenStore>,
        cursor: Option<String>,
    ) -> Told<KeyResponse> {
        if let Some(cursor) = cursor {
            let problem = format!("{cursor:?} is no cursor; none was given");
            return Ok(Err(Error::Other(problem)));
        }
        let keys = self.table.get(&bucket)?.keys().await;
        let all = keys.map(|keys| KeyResponse { keys, cursor: None });
        Ok(all.map_err(Error::Other))
    }

    async fn drop(&mut self, bucket: Resource<OpenStore>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

type Found = Vec<(String, Option<Vec<u8>>)>;

impl wasi::keyvalue::batch::Host for State {
    async fn get_many(&mut self, bucket: Resource<OpenStore>, keys: Vec<String>) -> Told<Found> {
        let bucket = self.table.get(&bucket)?;
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            match bucket.get(key.clone()).await {
                Ok(value) => found.push((key, value)),
                Err(problem) => return Ok(Err(Error::Other(problem))),
            }
        }
        Ok(Ok(found))
    }

    async fn set_many(
        &mut self,
        bucket: Resource<OpenStore>,
        entries: Vec<(String, Vec<u8>)>,
    ) -> Told<()> {
        let set = self.table.get(&bucket)?.set(entries).await;
        Ok(set.map_err(Error::Other))
    }

    async fn delete_many(&mut self, bucket: Resource<OpenStore>, keys: Vec<String>) -> Told<()> {
        let deleted = self.table.get(&bucket)?.delete(keys).await;
        Ok(deleted.map_err(Error::Other))
    }
}
