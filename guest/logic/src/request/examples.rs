//! The body of a classify or regress request: JSON in, serialized `tf.Example`s out.
//!
//! The syntax is checked whole first; then every example is written as protobuf while its text is
//! walked. There is no tree and nothing recurses: an array within a feature is an error already.
//!
//! **Invariant:** errors come in the order of the original: syntax, `signature_name`, `context`,
//! `examples`; and what is written is at most a small multiple of the body.

use std::collections::BTreeSet;

use prost::encoding::{encode_varint, encoded_len_varint};
use tensorgate_types::{Error, Result};

use super::exact::{Envelope, envelope, format_error};
use crate::json::number::Number;
use crate::json::walk::{self, Kind, kind};
use crate::json::{base64, number, text};

/// What a body asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExamplesRequest {
    /// The signature to run; empty where the body names none.
    pub(crate) signature_name: String,
    /// What all examples have in common, as a serialized `tf.Example`.
    pub(crate) context: Option<Vec<u8>>,
    /// The examples behind one another, each a serialized `tf.Example`.
    pub(crate) bytes: Vec<u8>,
    /// Where each example starts, and where the last one ends.
    pub(crate) offsets: Vec<u64>,
}

impl ExamplesRequest {
    /// The examples.
    pub(crate) fn examples(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        self.offsets
            .windows(2)
            .map(|ends| &self.bytes[ends[0] as usize..ends[1] as usize])
    }
}

/// Parses the body of a classify or regress request.
///
/// # Errors
/// `INVALID_ARGUMENT`, in TensorFlow Serving's words.
pub(crate) fn parse_examples(json: &[u8]) -> Result<ExamplesRequest> {
    let Envelope {
        root,
        signature_name,
    } = envelope(json)?;
    let mut writer = ExampleWriter::default();
    let context = match walk::find_member(json, root, "context") {
        None => None,
        Some(at) => {
            let mut context = Vec::new();
            writer.write(json, at, &mut context)?;
            Some(context)
        }
    };
    let fail = |rest| Err(format_error(json, root, rest));
    let Some(list) = walk::find_member(json, root, "examples") else {
        // The original says so of regress, too.
        return fail("When method is classify, key 'examples' is expected and was not found");
    };
    if kind(json, list) != Kind::Array {
        return fail("Expecting 'examples' value to be an list/array");
    }
    let mut next = walk::first_element(json, list);
    if next.is_none() {
        return fail("'examples' value is an empty array");
    }
    let mut bytes = Vec::new();
    let mut offsets = vec![0];
    while let Some(at) = next {
        let end = writer.write(json, at, &mut bytes)?;
        offsets.push(bytes.len() as u64);
        next = walk::next_element(json, end);
    }
    Ok(ExamplesRequest {
        signature_name,
        context,
        bytes,
        offsets,
    })
}

/// What the values of a feature are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FeatureKind {
    Bytes,
    Float,
    Int64,
}

impl FeatureKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Float => "float",
            Self::Int64 => "int64",
        }
    }
}

/// Writes examples; its buffers are kept from one to the next.
#[derive(Default)]
struct ExampleWriter {
    features: Vec<u8>,
    feature: FeatureWriter,
}

impl ExampleWriter {
    /// Appends the object at `at` as a `tf.Example` to `out`. Returns the position behind it.
    fn write(&mut self, json: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize> {
        let actual = kind(json, at);
        if actual != Kind::Object {
            return Err(Error::invalid_argument(format!(
                "Example must be JSON object but got JSON {}",
                actual.name()
            )));
        }
        self.features.clear();
        let mut members = walk::members(json, at);
        let mut names = BTreeSet::new();
        let mut has_twins = false;
        let mut entries = Vec::new();
        for member in members.by_ref() {
            let start = self.features.len();
            let name = text::decoded(member.name);
            self.feature.write(json, member.value, &name)?;
            self.feature.push_entry(&name, &mut self.features);
            entries.push(start);
            has_twins |= !names.insert(name);
        }
        if has_twins {
            self.keep_last_of_each(&entries, json, at);
        }
        // No field at all where nothing is in it, as the original has it.
        if !entries.is_empty() {
            out.push(FIELD_1);
            push_bytes(&self.features, out);
        }
        Ok(members.end())
    }

    /// Of features with the same name the last one counts.
    fn keep_last_of_each(&mut self, entries: &[usize], json: &[u8], at: usize) {
        let names: Vec<_> = walk::members(json, at)
            .map(|member| text::decoded(member.name))
            .collect();
        let mut seen = BTreeSet::new();
        let mut keep = vec![false; names.len()];
        for (keep, name) in keep.iter_mut().zip(&names).rev() {
            *keep = seen.insert(name);
        }
        let ends = entries[1..].iter().copied().chain([self.features.len()]);
        let mut kept = Vec::with_capacity(self.features.len());
        for ((start, end), keep) in entries.iter().zip(ends).zip(keep) {
            if keep {
                kept.extend_from_slice(&self.features[*start..end]);
            }
        }
        self.features = kept;
    }
}

/// Writes the list of one feature.
#[derive(Default)]
struct FeatureWriter {
    /// Set by the first element.
    kind: Option<FeatureKind>,
    /// The elements: repeated fields of byte strings, or what is packed of numbers.
    values: Vec<u8>,
}

impl FeatureWriter {
    /// Reads the value or the list of values at `at`.
    fn write(&mut self, json: &[u8], at: usize, name: &[u8]) -> Result<()> {
        self.kind = None;
        self.values.clear();
        if kind(json, at) != Kind::Array {
            return self.add(json, at, name).map(|_| ());
        }
        let mut next = walk::first_element(json, at);
        while let Some(at) = next {
            let end = self.add(json, at, name)?;
            next = walk::next_element(json, end);
        }
        Ok(())
    }

    /// Adds the value at `at`. Returns the position behind it.
    fn add(&mut self, json: &[u8], at: usize, name: &[u8]) -> Result<usize> {
        let found = kind(json, at);
        match found {
            Kind::True | Kind::False => {
                self.expect(FeatureKind::Int64, name)?;
                self.values.push(u8::from(found == Kind::True));
            }
            Kind::String => {
                self.expect(FeatureKind::Bytes, name)?;
                self.values.push(FIELD_1);
                push_bytes(
                    &text::decoded(walk::scalar_token(json, at)),
                    &mut self.values,
                );
            }
            Kind::Object => {
                let token = walk::base64_member(json, at).ok_or_else(|| unexpected(name, found))?;
                self.expect(FeatureKind::Bytes, name)?;
                let mut bytes = Vec::new();
                base64::decode(&text::decoded(token), &mut bytes)
                    .ok_or_else(|| Error::invalid_argument("Unable to base64 decode"))?;
                self.values.push(FIELD_1);
                push_bytes(&bytes, &mut self.values);
                return Ok(walk::skip_value(json, at));
            }
            Kind::Number => {
                let token = walk::scalar_token(json, at);
                self.add_number(number::value(token), name)?;
                return Ok(at + token.len());
            }
            Kind::Null | Kind::Array => return Err(unexpected(name, found)),
        }
        Ok(at + walk::scalar_token(json, at).len())
    }

    fn add_number(&mut self, value: Number, name: &[u8]) -> Result<()> {
        if let Number::Double(value) = value {
            self.expect(FeatureKind::Float, name)?;
            self.values.extend_from_slice(&(value as f32).to_le_bytes());
            return Ok(());
        }
        self.expect(FeatureKind::Int64, name)?;
        let value = value.as_i64().ok_or_else(|| {
            Error::invalid_argument(format!(
                "Feature: {} has uint64_t element. Only int64_t is supported.",
                String::from_utf8_lossy(name)
            ))
        })?;
        encode_varint(value as u64, &mut self.values);
        Ok(())
    }

    /// The first element decides what all others must be.
    fn expect(&mut self, kind: FeatureKind, name: &[u8]) -> Result<()> {
        let expected = *self.kind.get_or_insert(kind);
        if expected == kind {
            return Ok(());
        }
        Err(Error::invalid_argument(format!(
            "Unexpected element type in feature: {} expecting type: {}",
            String::from_utf8_lossy(name),
            expected.name()
        )))
    }

    /// Appends the feature under its name, as an entry of the map `Features.feature`.
    ///
    /// Every length is known before anything is written, so that large lists are copied once.
    fn push_entry(&self, name: &[u8], out: &mut Vec<u8>) {
        let values = &self.values;
        // What stands between the feature and its values: the kind's field, and of numbers the
        // field that they are packed in.
        let (field, list_length) = match self.kind {
            None => (None, 0),
            Some(FeatureKind::Bytes) => (Some(FIELD_1), values.len()),
            Some(FeatureKind::Float) => (Some(FIELD_2), delimited(values.len())),
            Some(FeatureKind::Int64) => (Some(FIELD_3), delimited(values.len())),
        };
        let feature_length = field.map_or(0, |_| delimited(list_length));
        out.push(FIELD_1);
        push_length(delimited(name.len()) + delimited(feature_length), out);
        out.push(FIELD_1);
        push_bytes(name, out);
        out.push(FIELD_2);
        push_length(feature_length, out);
        let Some(field) = field else { return };
        out.push(field);
        push_length(list_length, out);
        if self.kind == Some(FeatureKind::Bytes) {
            out.extend_from_slice(values);
        } else {
            out.push(FIELD_1);
            push_bytes(values, out);
        }
    }
}

/// The tags of length-delimited fields.
const FIELD_1: u8 = 0x0A;
const FIELD_2: u8 = 0x12;
const FIELD_3: u8 = 0x1A;

/// How long a length-delimited field with so much in it is, its tag of one byte included.
fn delimited(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

fn push_length(length: usize, out: &mut Vec<u8>) {
    encode_varint(length as u64, out);
}

fn push_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    push_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn unexpected(name: &[u8], kind: Kind) -> Error {
    Error::invalid_argument(format!(
        "Feature: {} has element with unexpected JSON type: {}",
        String::from_utf8_lossy(name),
        kind.name()
    ))
}
