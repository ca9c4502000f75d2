//! The edge's end: what is sent to a host, and what comes back.
//!
//! **Invariant:** knows messages and nothing of how they travel.

use prost::Message as _;
use tensorgate_proto::tensorgate::edge::v1 as proto;
use tensorgate_types::{
    Error, ErrorCode, ModelSpec, ModelVersionStatus, Result, ServableState, StringData,
    VersionChoice, element_count,
};

use super::host::tensor_entry;
use super::known::Known;
use crate::edge::Whole;
use crate::grpc::source::Source;
use crate::grpc::tensor::{Data, Tensor, decode};
use crate::grpc::wire::{Cursor, Decoded, Fault, Value};
use crate::grpc::write::{Answer, put_bytes};
use crate::inference::{Output, OutputData, Reply};
use crate::services::Chunk;

/// A message in pieces that follow one another.
pub type Pieces = Vec<Vec<u8>>;

/// Asks for what is known of a version. With the digest of what is there already, as little as
/// possible comes back where that still holds.
#[must_use]
pub fn open(spec: &ModelSpec, known_digest: &str) -> Pieces {
    let open = proto::Open {
        model: Some(spec_out(spec)),
        known_digest: known_digest.to_owned(),
    };
    vec![field(1, &open)]
}

/// Asks for the states of a model's versions.
#[must_use]
pub fn status(name: &str, version: Option<i64>) -> Pieces {
    let name = name.to_owned();
    vec![field(2, &proto::Status { name, version })]
}

/// A run that a host is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The model as the client named it.
    pub spec: &'a ModelSpec,
    /// What the request was checked by: version and digest.
    pub known: (i64, &'a str),
    /// Past the host's processor.
    pub bare: bool,
    /// The signature.
    pub signature: &'a str,
    /// What it is for: `predict`, `classify`, `regress`.
    pub api: &'a str,
    /// The content type that the client wants, for the host's processor.
    pub accept: Option<&'a str>,
    /// The outputs that are wanted; none means all.
    pub outputs: &'a [String],
}

/// Asks for a run, with tensors or with a body.
///
/// # Errors
/// `INVALID_ARGUMENT` when the data of a tensor does not fit its type and shape.
pub fn run(run: &Run<'_>, payload: Reply) -> Result<Pieces> {
    let (version, digest) = run.known;
    let head = proto::Run {
        model: Some(spec_out(run.spec)),
        version,
        digest: digest.to_owned(),
        bare: run.bare,
        signature_name: run.signature.to_owned(),
        api: run.api.to_owned(),
        accept: run.accept.unwrap_or_default().to_owned(),
        outputs: run.outputs.to_vec(),
    };
    let mut message = Answer::default();
    put_bytes(message.bytes(), 3, &head.encode_to_vec());
    match payload {
        Reply::Tensors(inputs) => {
            for input in inputs {
                check(&input)?;
                message.tensor_entry(4, input, true)?;
            }
        }
        Reply::Body {
            content_type,
            bytes,
        } => message.body_field(5, &content_type, bytes),
    }
    let pieces = message.finish().into_iter();
    Ok(pieces
        .filter_map(|piece| match piece {
            Chunk::Bytes(bytes) => Some(bytes),
            // Nothing is held here, and there is no message to take parts of.
            Chunk::InMessage(_) | Chunk::Held(_) => None,
        })
        .collect())
}

fn check(input: &Output) -> Result<()> {
    let Output {
        name, dtype, shape, ..
    } = input;
    let unfit = || {
        Error::invalid_argument(format!(
            "the data of input {name} does not fit its type {dtype} and shape {shape:?}"
        ))
    };
    let elements = element_count(shape)?;
    let fits = match (&input.data, dtype.size()) {
        (OutputData::Strings(strings), None) => strings.len() == elements,
        (OutputData::Fixed(bytes), Some(size)) => elements.checked_mul(size) == Some(bytes.len()),
        _ => false,
    };
    fits.then_some(()).ok_or_else(unfit)
}

fn field(number: u32, message: &impl prost::Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_bytes(&mut bytes, number, &message.encode_to_vec());
    bytes
}

fn spec_out(spec: &ModelSpec) -> proto::Spec {
    proto::Spec {
        name: spec.name.clone(),
        choice: match &spec.version {
            VersionChoice::Latest => None,
            VersionChoice::Specific(version) => Some(proto::spec::Choice::Version(*version)),
            VersionChoice::Label(label) => Some(proto::spec::Choice::Label(label.clone())),
        },
    }
}

/// What a host says.
#[derive(Debug)]
pub enum Heard {
    /// It cannot be done. With what is true of the model now, where the asker knew something else.
    Failed(Error, Option<Current>),
    /// What is known of a version.
    Opened(Current),
    /// The states of a model's versions.
    Versions(Vec<ModelVersionStatus>),
    /// What a run gave, and the version that answered.
    Ran(i64, Reply),
}

/// What is known of a version, and the bytes that it was read from, to be kept.
#[derive(Debug)]
pub struct Current {
    /// What is known. Without signatures where the asker has them.
    pub known: Known,
    /// The serialized `tensorgate.edge.v1.Opened`.
    pub bytes: Vec<u8>,
}

/// Reads what a host says.
///
/// # Errors
/// `INTERNAL` when it is no `tensorgate.edge.v1.Response`.
pub fn hear(body: &[u8]) -> Result<Heard> {
    let message = Whole(body);
    let mut source = Source::new(&message);
    response(&mut source).map_err(|fault| fault.into_error("tensorgate.edge.v1.Response"))
}

fn response(source: &mut Source<'_, Whole<'_>>) -> Decoded<Heard> {
    let mut heard = None;
    let mut outputs = Vec::new();
    let mut body = None;
    let mut fields = Cursor::whole(source);
    while let Some((number, value)) = fields.next(source)? {
        let Value::Part(place) = value else { continue };
        match number {
            1 => {
                let failed: proto::Failed = read(place, source)?;
                let code = ErrorCode::from_number(failed.code).unwrap_or(ErrorCode::Unknown);
                let current = failed.current.map(Current::from);
                heard = Some(Heard::Failed(Error::new(code, failed.message), current));
            }
            2 => {
                let opened: proto::Opened = read(place, source)?;
                heard = Some(Heard::Opened(Current::from(opened)));
            }
            3 => {
                let versions: proto::Versions = read(place, source)?;
                let versions = versions.versions.into_iter().map(version_in);
                heard = Some(Heard::Versions(versions.collect()));
            }
            4 => {
                let ran: proto::Ran = read(place, source)?;
                heard = Some(Heard::Ran(ran.version, Reply::Tensors(Vec::new())));
            }
            5 => {
                let (name, mut parts) = tensor_entry(place, source)?;
                let tensor = decode(&mut parts, source)?.map_err(|bad| bad.into_error(&name))?;
                outputs.push(output(name, tensor, source)?);
            }
            6 => body = Some(read::<proto::Body>(place, source)?),
            _ => {}
        }
    }
    outputs.sort_by(|one, other| one.name.cmp(&other.name));
    match heard {
        Some(Heard::Ran(version, _)) => Ok(Heard::Ran(
            version,
            match body {
                Some(body) => Reply::Body {
                    content_type: body.content_type,
                    bytes: body.content,
                },
                None => Reply::Tensors(outputs),
            },
        )),
        Some(heard) => Ok(heard),
        None => Err(Fault::Other(Error::internal("its answer is empty"))),
    }
}

impl From<proto::Opened> for Current {
    fn from(opened: proto::Opened) -> Self {
        let bytes = opened.encode_to_vec();
        Self {
            known: opened.into(),
            bytes,
        }
    }
}

fn version_in(version: proto::Version) -> ModelVersionStatus {
    ModelVersionStatus {
        version: version.version,
        // A number without a name is a later host's; not available, in any case.
        state: ServableState::from_number(version.state).unwrap_or(ServableState::End),
        status: match ErrorCode::from_number(version.code) {
            None => Ok(()),
            Some(code) => Err((code, version.message)),
        },
    }
}

fn output(name: String, tensor: Tensor, source: &mut Source<'_, Whole<'_>>) -> Result<Output> {
    let data = match tensor.data {
        Data::Made(bytes) => OutputData::Fixed(bytes),
        Data::InMessage(range) => OutputData::Fixed(source.copy(range)?),
        Data::Strings(ranges) => {
            let mut strings = Vec::with_capacity(ranges.len());
            for range in ranges {
                strings.push(source.copy(range)?);
            }
            OutputData::Strings(strings.iter().collect::<StringData>())
        }
    };
    Ok(Output {
        name,
        dtype: tensor.dtype,
        shape: tensor.shape,
        data,
    })
}

fn read<T: prost::Message + Default>(
    place: Cursor,
    source: &mut Source<'_, Whole<'_>>,
) -> Decoded<T> {
    let bytes = source.copy(place.into())?;
    T::decode(&*bytes).map_err(|error| {
        let what = format!("cannot parse tensorgate.edge.v1.Response: {error}");
        Fault::Other(Error::internal(what))
    })
}
