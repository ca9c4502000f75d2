//! The file of an app's key-value stores, or what stands for it in memory: a table for each store.

use std::fs;
use std::path::Path;

use redb::backends::InMemoryBackend;
use redb::{
    Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableError,
};

use crate::run::RunError;

/// An open file. Only one process has it at a time.
#[derive(Debug)]
pub(in crate::run) struct KeyValueFile(Database);

fn table(label: &str) -> TableDefinition<'_, &'static str, &'static [u8]> {
    TableDefinition::new(label)
}

impl KeyValueFile {
    /// Opens the file, or makes it.
    pub(in crate::run) fn open(path: &Path) -> Result<Self, RunError> {
        let shown = path.display();
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|error| {
                RunError::because(format!("cannot make the directory of {shown}"), error)
            })?;
        }
        let database = Database::create(path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => RunError::new(format!(
                "the key-value store {shown} is in use by another process; expected one that is \
                 this app's alone (--state-dir)"
            )),
            error => RunError::because(format!("cannot open the key-value store {shown}"), error),
        })?;
        Ok(Self(database))
    }

    /// What is gone when it is closed.
    pub(in crate::run) fn in_memory() -> Result<Self, RunError> {
        Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .map(Self)
            .map_err(|error| RunError::because("cannot make a key-value store in memory", error))
    }

    pub(super) fn get(&self, label: &str, key: &str) -> Result<Option<Vec<u8>>, String> {
        self.read(label, |table| {
            let value = table.get(key)?;
            Ok(value.map(|value| value.value().to_vec()))
        })
    }

    pub(super) fn exists(&self, label: &str, key: &str) -> Result<bool, String> {
        self.read(label, |table| Ok(table.get(key)?.is_some()))
    }

    pub(super) fn keys(&self, label: &str) -> Result<Vec<String>, String> {
        self.read(label, |table| {
            let entries = table.iter()?;
            entries
                .map(|entry| Ok(entry?.0.value().to_owned()))
                .collect()
        })
    }

    /// Sets all or none.
    pub(in crate::run) fn set(
        &self,
        label: &str,
        entries: &[(String, Vec<u8>)],
    ) -> Result<(), String> {
        self.write(label, |table| {
            for (key, value) in entries {
                table.insert(key.as_str(), value.as_slice())?;
            }
            Ok(())
        })
    }

    /// Deletes all or none; what is not there is passed over.
    pub(super) fn delete(&self, label: &str, keys: &[String]) -> Result<(), String> {
        self.write(label, |table| {
            for key in keys {
                table.remove(key.as_str())?;
            }
            Ok(())
        })
    }

    fn read<T: Default>(
        &self,
        label: &str,
        look: impl FnOnce(&redb::ReadOnlyTable<&'static str, &'static [u8]>) -> Result<T, redb::Error>,
    ) -> Result<T, String> {
        let read = || -> Result<T, redb::Error> {
            let transaction = self.0.begin_read()?;
            match transaction.open_table(table(label)) {
                Ok(table) => look(&table),
                // Nothing was ever written.
                Err(TableError::TableDoesNotExist(_)) => Ok(T::default()),
                Err(error) => Err(error.into()),
            }
        };
        read().map_err(|error| error.to_string())
    }

    fn write(
        &self,
        label: &str,
        change: impl FnOnce(
            &mut redb::Table<'_, &'static str, &'static [u8]>,
        ) -> Result<(), redb::Error>,
    ) -> Result<(), String> {
        let write = || -> Result<(), redb::Error> {
            let transaction = self.0.begin_write()?;
            change(&mut transaction.open_table(table(label))?)?;
            transaction.commit()?;
            Ok(())
        };
        write().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_there_after_the_file_was_closed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("state/key_value.redb");
        let file = KeyValueFile::open(&path).unwrap();
        assert_eq!(file.get("default", "a").unwrap(), None);
        assert_eq!(file.keys("default").unwrap(), [""; 0]);
        let entries = [
            ("a".to_owned(), b"1".to_vec()),
            ("b".to_owned(), Vec::new()),
        ];
        file.set("default", &entries).unwrap();
        let other = KeyValueFile::open(&path).unwrap_err();
        assert!(
            other.to_string().contains("in use by another process"),
            "{other}"
        );
        drop(file);

        let file = KeyValueFile::open(&path).unwrap();
        assert_eq!(file.get("default", "a").unwrap(), Some(b"1".to_vec()));
        assert!(file.exists("default", "b").unwrap());
        assert!(!file.exists("other", "b").unwrap());
        assert_eq!(file.keys("default").unwrap(), ["a", "b"]);
        file.delete("default", &["a".to_owned(), "never".to_owned()])
            .unwrap();
        assert_eq!(file.keys("default").unwrap(), ["b"]);
    }
}
