//! What a version is known by at the edge: a short name for everything that a request is parsed and
//! checked by there.
//!
//! **Invariant:** made of the contents alone, in an order of their own, so that every host that
//! serves the same says the same. What is only run, and never looked at by who asks (weights, a
//! processor's code), is not in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use tensorgate_types::{ShapeCheck, Signature, TensorInfo};

use crate::state::HeldModel;

/// Half of a SHA-256: nobody is to find another version of the same name by chance.
const BYTES: usize = 16;

/// The digest of a version as it is held, in hexadecimal digits.
pub(crate) fn digest(held: &HeldModel) -> String {
    let mut hash = Hash(Sha256::new());
    hash.number(held.model.id().version.cast_unsigned());
    hash.shapes(held.model.shape_check());
    hash.signatures(held.model.signatures());
    if let Some(processor) = &held.processor {
        let covered = processor.covered();
        hash.number(covered.len() as u64);
        for (name, covered) in covered {
            hash.text(name);
            hash.signature(&covered.signature);
            hash.shapes(covered.shapes);
            hash.number(covered.content_types.len() as u64);
            for content_type in &covered.content_types {
                hash.text(content_type);
            }
        }
    }
    let mut digits = String::with_capacity(2 * BYTES);
    for byte in &hash.0.finalize()[..BYTES] {
        // Writing into a string does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// Everything has its length before it, so that nothing can run into its neighbour.
struct Hash(Sha256);

impl Hash {
    fn number(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text);
    }

    fn shapes(&mut self, check: ShapeCheck) {
        self.number(u64::from(check == ShapeCheck::Strict));
    }

    fn signatures(&mut self, signatures: &BTreeMap<String, Signature>) {
        self.number(signatures.len() as u64);
        for (name, signature) in signatures {
            self.text(name);
            self.signature(signature);
        }
    }

    fn signature(&mut self, signature: &Signature) {
        self.text(&signature.method_name);
        self.infos(&signature.inputs);
        self.infos(&signature.outputs);
    }

    fn infos(&mut self, infos: &BTreeMap<String, TensorInfo>) {
        self.number(infos.len() as u64);
        for (name, info) in infos {
            self.text(name);
            self.text(&info.tensor_name);
            self.number(u64::from(info.dtype.number()));
            self.number(u64::from(info.optional));
            let dims = info.shape.as_deref();
            self.number(dims.map_or(u64::MAX, |dims| dims.len() as u64));
            for dim in dims.unwrap_or_default() {
                self.number(dim.cast_unsigned());
            }
        }
    }
}
