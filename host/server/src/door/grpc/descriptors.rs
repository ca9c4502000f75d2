//! The descriptions of services and messages that reflection shows, by the names that clients ask
//! for.
//!
//! **Invariant:** they are the program's own, read once: nothing that a client sends is added.

use std::collections::{HashMap, HashSet};

use prost::{DecodeError, Message as _};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    ServiceDescriptorProto,
};

/// Files, and what is in them.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    services: Vec<String>,
    files: HashMap<String, File>,
    /// The name of the file for each name in it.
    symbols: HashMap<String, String>,
    messages: HashSet<String>,
}

#[derive(Debug)]
struct File {
    encoded: Vec<u8>,
    imports: Vec<String>,
}

impl Descriptors {
    /// Reads encoded `FileDescriptorSet`s. A file that is in several counts once.
    pub(super) fn new<'a>(sets: impl Iterator<Item = &'a [u8]>) -> Result<Self, DecodeError> {
        let mut all = Self::default();
        for set in sets {
            for file in FileDescriptorSet::decode(set)?.file {
                if !all.files.contains_key(file.name()) {
                    all.add(&file);
                }
            }
        }
        Ok(all)
    }

    /// The services' full names, in the order of their files.
    pub(super) fn services(&self) -> &[String] {
        &self.services
    }

    /// The file in which a message, field, enum, service, method and so on is described.
    pub(super) fn file_of(&self, symbol: &str) -> Option<&str> {
        self.symbols.get(symbol).map(String::as_str)
    }

    pub(super) fn has_message(&self, name: &str) -> bool {
        self.messages.contains(name)
    }

    /// A file, encoded, and behind it every file that it needs, so that clients need not ask for
    /// one after the other.
    pub(super) fn with_imports(&self, name: &str) -> Option<Vec<Vec<u8>>> {
        let first = self.files.get_key_value(name)?;
        let mut seen = HashSet::from([first.0]);
        let mut found = vec![first.1];
        // What is found is looked through in its turn, until nothing is new.
        let mut next = 0;
        while let Some(file) = found.get(next).copied() {
            next += 1;
            for import in &file.imports {
                if let Some(file) = self.files.get(import)
                    && seen.insert(import)
                {
                    found.push(file);
                }
            }
        }
        Some(found.iter().map(|file| file.encoded.clone()).collect())
    }

    fn add(&mut self, file: &FileDescriptorProto) {
        let mut names = Names {
            all: self,
            file: file.name(),
        };
        let package = file.package();
        for message in &file.message_type {
            names.add_message(package, message);
        }
        for one in &file.enum_type {
            names.add_enum(package, one);
        }
        for service in &file.service {
            names.add_service(package, service);
        }
        let described = File {
            encoded: file.encode_to_vec(),
            imports: file.dependency.clone(),
        };
        self.files.insert(file.name().to_owned(), described);
    }
}

/// What adds the names of one file.
struct Names<'a> {
    all: &'a mut Descriptors,
    file: &'a str,
}

impl Names<'_> {
    /// Returns the full name.
    fn add(&mut self, scope: &str, name: &str) -> String {
        let name = match scope {
            "" => name.to_owned(),
            scope => format!("{scope}.{name}"),
        };
        self.all.symbols.insert(name.clone(), self.file.to_owned());
        name
    }

    fn add_message(&mut self, scope: &str, message: &DescriptorProto) {
        let name = self.add(scope, message.name());
        for field in message.field.iter().chain(&message.extension) {
            self.add(&name, field.name());
        }
        for oneof in &message.oneof_decl {
            self.add(&name, oneof.name());
        }
        for one in &message.enum_type {
            self.add_enum(&name, one);
        }
        for nested in &message.nested_type {
            self.add_message(&name, nested);
        }
        self.all.messages.insert(name);
    }

    /// An enum's values are its neighbours, as they are in C++.
    fn add_enum(&mut self, scope: &str, one: &EnumDescriptorProto) {
        self.add(scope, one.name());
        for value in &one.value {
            self.add(scope, value.name());
        }
    }

    fn add_service(&mut self, scope: &str, service: &ServiceDescriptorProto) {
        let name = self.add(scope, service.name());
        for method in &service.method {
            self.add(&name, method.name());
        }
        self.all.services.push(name);
    }
}

#[cfg(test)]
mod tests {
    use prost_types::{
        EnumValueDescriptorProto, FieldDescriptorProto, MethodDescriptorProto, OneofDescriptorProto,
    };

    use super::*;

    fn named<T: Default>(name: &str, set: impl FnOnce(&mut T, Option<String>)) -> T {
        let mut one = T::default();
        set(&mut one, Some(name.to_owned()));
        one
    }

    fn file(name: &str, imports: &[&str]) -> FileDescriptorProto {
        FileDescriptorProto {
            name: Some(name.to_owned()),
            dependency: imports.iter().map(|&name| name.to_owned()).collect(),
            ..FileDescriptorProto::default()
        }
    }

    fn read(files: &[FileDescriptorProto]) -> Descriptors {
        let file = files.to_vec();
        let set = FileDescriptorSet { file }.encode_to_vec();
        // Twice, as sets that share files have them.
        Descriptors::new([&set[..], &set].into_iter()).unwrap()
    }

    #[test]
    fn every_name_leads_to_its_file() {
        let kind = EnumDescriptorProto {
            name: Some("Kind".to_owned()),
            value: vec![named::<EnumValueDescriptorProto>("ODD", |one, name| {
                one.name = name;
            })],
            ..EnumDescriptorProto::default()
        };
        let inner = DescriptorProto {
            name: Some("Inner".to_owned()),
            field: vec![named::<FieldDescriptorProto>("x", |one, name| {
                one.name = name;
            })],
            enum_type: vec![kind.clone()],
            ..DescriptorProto::default()
        };
        let outer = DescriptorProto {
            name: Some("Outer".to_owned()),
            nested_type: vec![inner],
            oneof_decl: vec![named::<OneofDescriptorProto>("either", |one, name| {
                one.name = name;
            })],
            ..DescriptorProto::default()
        };
        let service = ServiceDescriptorProto {
            name: Some("S".to_owned()),
            method: vec![named::<MethodDescriptorProto>("M", |one, name| {
                one.name = name;
            })],
            ..ServiceDescriptorProto::default()
        };
        let mut described = file("a.proto", &[]);
        described.package = Some("p.q".to_owned());
        described.message_type.push(outer);
        described.enum_type.push(kind);
        described.service.push(service);
        let mut bare = file("b.proto", &[]);
        bare.message_type
            .push(named("Bare", |one: &mut DescriptorProto, name| {
                one.name = name;
            }));
        let all = read(&[described, bare]);
        for name in [
            "p.q.Outer",
            "p.q.Outer.either",
            "p.q.Outer.Inner",
            "p.q.Outer.Inner.x",
            "p.q.Outer.Inner.Kind",
            "p.q.Outer.Inner.ODD",
            "p.q.Kind",
            "p.q.ODD",
            "p.q.S",
            "p.q.S.M",
        ] {
            assert_eq!(all.file_of(name), Some("a.proto"), "{name}");
        }
        assert_eq!(all.file_of("Bare"), Some("b.proto"));
        assert_eq!(all.file_of("p.q"), None);
        assert_eq!(all.file_of(""), None);
        assert_eq!(all.services(), ["p.q.S"]);
        assert!(all.has_message("p.q.Outer.Inner"));
        assert!(!all.has_message("p.q.Kind"));
    }

    #[test]
    fn a_file_brings_what_it_needs_once() {
        let all = read(&[
            file("a", &["b", "c", "lost"]),
            file("b", &["d"]),
            file("c", &["d", "a"]),
            file("d", &[]),
            file("e", &["a"]),
        ]);
        let names = |name| -> Option<Vec<String>> {
            let files = all.with_imports(name)?;
            let decode = |file: &Vec<u8>| FileDescriptorProto::decode(&file[..]).unwrap();
            Some(
                files
                    .iter()
                    .map(|file| decode(file).name().to_owned())
                    .collect(),
            )
        };
        assert_eq!(names("a").unwrap(), ["a", "b", "c", "d"]);
        assert_eq!(names("d").unwrap(), ["d"]);
        assert_eq!(names("lost"), None);
    }

    #[test]
    fn what_is_no_description_is_refused() {
        assert!(Descriptors::new([&b"\xff"[..]].into_iter()).is_err());
    }
}
