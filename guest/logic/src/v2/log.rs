//! Requests and answers written down as the messages that a client of TensorFlow Serving would
//! have sent and got, so that one log holds all, and a model can be warmed up with any.
//!
//! **Invariant:** nothing here is done for a request that is not sampled, and nothing here makes
//! one fail.

use tensorgate_types::{LogKind, ModelSpec, Result, VersionChoice};

use super::raw::Tensor;
use crate::grpc::source::Source;
use crate::grpc::write::{
    Answer, put_bytes, put_length, put_number, put_shape, put_spec, put_text,
};
use crate::inference::{InputData, Output};
use crate::services::{Chunk, LogEntry, Message, Services};

/// Who was asked, and who answered.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) spec: &'a ModelSpec,
    pub(super) version: i64,
    /// The signature that was run.
    pub(super) signature: &'a str,
}

/// Writes a request and its outputs down, if the lot falls on it.
pub(super) fn write_down(
    services: &impl Services,
    asked: Asked<'_>,
    (tensors, source): (&[Tensor], &mut Source<'_, impl Message>),
    outputs: &[Output],
) {
    if !services.log_sampled(&asked.spec.name) {
        return;
    }
    // What was sent and answered can be encoded; if not, there is nobody to tell.
    let request = request(asked, tensors, source);
    let response = response(asked, outputs, services.settings().tensor_content);
    if let (Ok(request), Ok(response)) = (request, response) {
        services.log(LogEntry {
            kind: LogKind::Predict,
            model: asked.spec.name.clone(),
            version: asked.version,
            signature_name: asked.signature.to_owned(),
            request,
            response,
        });
    }
}

fn response(asked: Asked<'_>, outputs: &[Output], as_content: bool) -> Result<Vec<Chunk>> {
    let mut answer = Answer::default();
    for output in outputs {
        answer.tensor_entry(1, output.clone(), as_content)?;
    }
    put_spec(
        answer.bytes(),
        2,
        &asked.spec.name,
        asked.version,
        asked.signature,
    );
    Ok(answer.finish())
}

/// A `PredictRequest`. Elements of a fixed size that lie in the message stay there; strings are
/// copied, since a chunk of each would be more than an entry may have.
fn request(
    asked: Asked<'_>,
    tensors: &[Tensor],
    source: &mut Source<'_, impl Message>,
) -> Result<Vec<Chunk>> {
    let mut out = Out::default();
    let mut spec = Vec::new();
    put_text(&mut spec, 1, &asked.spec.name);
    if let VersionChoice::Specific(version) = asked.spec.version {
        let mut wrapper = Vec::new();
        put_number(&mut wrapper, 1, version.cast_unsigned());
        put_bytes(&mut spec, 2, &wrapper);
    }
    put_text(&mut spec, 3, asked.signature);
    if let VersionChoice::Label(label) = &asked.spec.version {
        put_bytes(&mut spec, 4, label.as_bytes());
    }
    put_bytes(&mut out.bytes, 1, &spec);
    for tensor in tensors {
        out.entry(tensor, source)?;
    }
    out.flush();
    Ok(out.done)
}

/// Chunks that are being written.
#[derive(Default)]
struct Out {
    done: Vec<Chunk>,
    bytes: Vec<u8>,
}

impl Out {
    fn flush(&mut self) {
        if !self.bytes.is_empty() {
            self.done
                .push(Chunk::Bytes(std::mem::take(&mut self.bytes)));
        }
    }

    /// An entry of `PredictRequest.inputs`.
    fn entry(&mut self, tensor: &Tensor, source: &mut Source<'_, impl Message>) -> Result<()> {
        const CONTENT: u32 = 4;
        const STRINGS: u32 = 8;
        let mut head = Vec::new();
        put_number(&mut head, 1, u64::from(tensor.dtype.number()));
        put_shape(&mut head, &tensor.shape);
        let data = tensor.as_input().data;
        let content = match data {
            InputData::Fixed(bytes) => bytes.len() as u64,
            InputData::InMessage(range) => range.length,
            InputData::Strings { offsets, bytes } => {
                for ends in offsets.windows(2) {
                    let string = bytes.get(ends[0] as usize..ends[1] as usize);
                    put_bytes(&mut head, STRINGS, string.unwrap_or_default());
                }
                0
            }
            InputData::StringsInMessage(parts) => {
                for part in parts {
                    source.take(part.length)?;
                    put_length(&mut head, STRINGS, part.length);
                    source.append(*part, &mut head)?;
                }
                0
            }
        };
        if content > 0 {
            put_length(&mut head, CONTENT, content);
        }
        let length = head.len() as u64 + content;
        let mut entry = Vec::new();
        put_bytes(&mut entry, 1, tensor.name.as_bytes());
        put_length(&mut entry, 2, length);
        put_length(&mut self.bytes, 2, entry.len() as u64 + length);
        self.bytes.extend(entry);
        self.bytes.extend(head);
        match data {
            InputData::Fixed(bytes) => self.bytes.extend_from_slice(bytes),
            InputData::InMessage(range) if range.length > 0 => {
                self.flush();
                self.done.push(Chunk::InMessage(range));
            }
            _ => {}
        }
        Ok(())
    }
}
