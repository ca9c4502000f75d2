//! The host's end: a request of a component at the edge, answered.

use std::collections::BTreeMap;

use prost::Message as _;
use tensorgate_proto::tensorgate::edge::v1 as proto;
use tensorgate_types::{DEFAULT_SIGNATURE, Error, ErrorCode, ModelSpec, Result, VersionChoice};

use super::known::opened;
use super::{CONTENT_TYPE, PATH};
use crate::exchange::{ChunkedResponse, HttpRequest};
use crate::grpc::parts::TensorParts;
use crate::grpc::source::Source;
use crate::grpc::tensor::{Bad, Tensor, decode};
use crate::grpc::wire::{Cursor, Decoded, Value};
use crate::grpc::write::{Answer, HOLD_FROM, put_bytes};
use crate::inference::{Call, Hosted, Inference, Input, Model, Range, Reply};
use crate::outcome::Outcome;
use crate::services::{Chunk, Message, Services};

/// Bytes of what stands beside tensors and bodies: names, and lists of them.
const MAX_SMALL: u64 = 1 << 20;

/// What an input costs beside its bytes, so that a message of empty ones stays small.
const ENTRY_COST: u64 = 512;

/// Answers a request to [`PATH`].
pub fn answer(
    request: &HttpRequest<'_>,
    message: &impl Message,
    services: &impl Services<Model: Hosted>,
) -> (ChunkedResponse, Outcome) {
    let mut outcome = Outcome::default();
    let path = request.path_alone();
    let (status, problem) = match request.method {
        _ if path != PATH => (
            404,
            format!("nothing is at {path}: components ask at {PATH}"),
        ),
        "POST" => (200, String::new()),
        method => (405, format!("{PATH} takes POST, not {method}")),
    };
    let answered = if status == 200 {
        dispatch(message, services, &mut outcome)
    } else {
        Err(Refusal::from(Error::unimplemented(problem)))
    };
    let (status, body) = match answered {
        Ok(chunks) => (200, chunks),
        Err(refusal) => {
            let code = refusal.error.code();
            outcome.code = code.number();
            let status = if status == 200 {
                code.http_status()
            } else {
                status
            };
            let failed = proto::Failed {
                code: code.number(),
                message: refusal.error.message().to_owned(),
                current: refusal.current.map(|current| *current),
            };
            (status, small(1, &failed))
        }
    };
    let headers = vec![("content-type".to_owned(), CONTENT_TYPE.to_owned())];
    let response = ChunkedResponse {
        status,
        headers,
        body,
    };
    (response, outcome)
}

/// Why not, and what is true instead.
struct Refusal {
    error: Error,
    current: Option<Box<proto::Opened>>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            error,
            current: None,
        }
    }
}

/// An answer of one small message, in this field.
fn small(field: u32, message: &impl prost::Message) -> Vec<Chunk> {
    let mut bytes = Vec::new();
    put_bytes(&mut bytes, field, &message.encode_to_vec());
    vec![Chunk::Bytes(bytes)]
}

fn dispatch(
    message: &impl Message,
    services: &impl Services<Model: Hosted>,
    outcome: &mut Outcome,
) -> Result<Vec<Chunk>, Refusal> {
    let mut source = Source::new(message);
    let asked = Asked::decode(&mut source).map_err(|fault| {
        let error = fault.into_error("tensorgate.edge.v1.Request");
        // gRPC's words for it are the library's; here it is whoever asks.
        match error.code() {
            ErrorCode::Internal => Error::invalid_argument(error.message()),
            _ => error,
        }
    })?;
    if asked.questions > 1 {
        let what = "the request asks for several things: expected one of open, status and run";
        return Err(Error::invalid_argument(what).into());
    }
    match asked.what {
        What::Nothing => Err(Error::invalid_argument(
            "the request asks for nothing: expected one of open, status and run",
        )
        .into()),
        What::Open(open) => {
            outcome.api = "metadata";
            let model = open_model(services, open.model, outcome)?;
            Ok(small(2, &opened(&model, &open.known_digest)))
        }
        What::Status(status) => {
            outcome.api = "status";
            outcome.model.clone_from(&status.name);
            let versions = services.status(&status.name, status.version)?;
            let versions = versions.into_iter().map(|version| {
                let (code, message) = match version.status {
                    Ok(()) => (0, String::new()),
                    Err((code, message)) => (code.number(), message),
                };
                proto::Version {
                    version: version.version,
                    state: version.state as u32,
                    code,
                    message,
                }
            });
            let versions = versions.collect();
            Ok(small(3, &proto::Versions { versions }))
        }
        What::Run(ask) => run(
            ask,
            asked.inputs,
            asked.body,
            &mut source,
            services,
            outcome,
        ),
    }
}

fn open_model<I: Inference>(
    inference: &I,
    spec: Option<proto::Spec>,
    outcome: &mut Outcome,
) -> Result<I::Model> {
    let spec = spec.unwrap_or_default();
    if spec.name.is_empty() {
        return Err(Error::invalid_argument("the request names no model"));
    }
    let spec = ModelSpec {
        name: spec.name,
        version: match spec.choice {
            None => VersionChoice::Latest,
            Some(proto::spec::Choice::Version(version)) => VersionChoice::Specific(version),
            Some(proto::spec::Choice::Label(label)) => VersionChoice::Label(label),
        },
    };
    outcome.model.clone_from(&spec.name);
    let model = inference.open(&spec)?;
    outcome.version = Some(model.version());
    Ok(model)
}

fn run(
    ask: proto::Run,
    inputs: BTreeMap<String, TensorParts>,
    body: Option<RawBody>,
    source: &mut Source<'_, impl Message>,
    services: &impl Services<Model: Hosted>,
    outcome: &mut Outcome,
) -> Result<Vec<Chunk>, Refusal> {
    outcome.api = api_name(&ask.api)?;
    let signature = match &*ask.signature_name {
        "" => DEFAULT_SIGNATURE,
        name => name,
    };
    signature.clone_into(&mut outcome.signature);
    let model = open_model(services, ask.model, outcome)?;
    let (version, digest) = (model.version(), &ask.digest);
    if !digest.is_empty() && (version != ask.version || *digest != model.digest()) {
        return Err(Refusal {
            error: Error::new(
                ErrorCode::Aborted,
                format!(
                    "the model is another by now: the request was made for version {} with the \
                     digest {digest}, and version {version} would answer it",
                    ask.version
                ),
            ),
            current: Some(Box::new(opened(&model, ""))),
        });
    }
    let model = if ask.bare { model.bare() } else { model };
    if !ask.api.is_empty() {
        model.called_as(&ask.api);
    }
    if let Some(body) = body {
        if !inputs.is_empty() {
            let what = "a run has inputs or a body, and this one has both";
            return Err(Error::invalid_argument(what).into());
        }
        outcome.rows = 1;
        let accept = (!ask.accept.is_empty()).then_some(&*ask.accept);
        let content = body.content;
        let reply = model.run_body(signature, &body.content_type, accept, Some(content))?;
        return ran(&model, reply, outcome);
    }
    let mut tensors = Vec::with_capacity(inputs.len());
    for (name, mut parts) in inputs {
        let fault = |fault: crate::grpc::wire::Fault| fault.into_error("tensorflow.TensorProto");
        let tensor = decode(&mut parts, source).map_err(fault)?;
        let tensor: Tensor = tensor.map_err(|bad| match bad {
            // TensorFlow Serving's words do not say more; nobody expects them here.
            Bad::Tensor => Error::invalid_argument(format!(
                "the input {name} is no tensor ({}): expected a dtype of numbers, \
                 booleans or strings, a shape without unknown dimensions, and exactly its elements",
                parts.described()
            )),
            Bad::Size(_) => bad.into_error(&name),
        })?;
        tensors.push((name, tensor));
    }
    let inputs: Vec<Input<'_>> = tensors
        .iter()
        .map(|(name, tensor)| tensor.as_input(name))
        .collect();
    outcome.rows = inputs.first().map_or(1, |input| {
        input.shape.first().map_or(1, |rows| rows.unsigned_abs())
    });
    let outputs: Vec<&str> = ask.outputs.iter().map(String::as_str).collect();
    let call = Call {
        signature,
        inputs: &inputs,
        outputs: &outputs,
    };
    // All of them can be sent as they are.
    let outputs = model.run(&[call], HOLD_FROM)?.pop().unwrap_or_default();
    ran(&model, Reply::Tensors(outputs), outcome)
}

fn ran(model: &impl Model, reply: Reply, outcome: &mut Outcome) -> Result<Vec<Chunk>, Refusal> {
    let version = model.answered_by();
    outcome.version = Some(version);
    let mut answer = Answer::default();
    put_bytes(answer.bytes(), 4, &proto::Ran { version }.encode_to_vec());
    match reply {
        Reply::Tensors(outputs) => {
            for output in outputs {
                answer.tensor_entry(5, output, true)?;
            }
        }
        Reply::Body {
            content_type,
            bytes,
        } => answer.body_field(6, &content_type, bytes),
    }
    Ok(answer.finish())
}

/// What a run is for, in the words of reports and processors.
fn api_name(api: &str) -> Result<&'static str> {
    const APIS: [&str; 4] = ["predict", "classify", "regress", "multi-inference"];
    if api.is_empty() {
        return Ok(APIS[0]);
    }
    APIS.into_iter().find(|name| *name == api).ok_or_else(|| {
        let given: String = api.chars().take(100).collect();
        Error::invalid_argument(format!(
            "the api {given:?} is none: expected one of {}",
            APIS.join(", ")
        ))
    })
}

/// A body within the message.
struct RawBody {
    content_type: String,
    content: Range,
}

enum What {
    Nothing,
    Open(proto::Open),
    Status(proto::Status),
    Run(proto::Run),
}

/// `Request`, its large parts still in the message.
struct Asked {
    what: What,
    /// How many there are: of several the last would be answered, and the others lost unseen.
    questions: u32,
    inputs: BTreeMap<String, TensorParts>,
    body: Option<RawBody>,
}

impl Asked {
    fn decode(source: &mut Source<'_, impl Message>) -> Decoded<Self> {
        let mut asked = Self {
            what: What::Nothing,
            questions: 0,
            inputs: BTreeMap::new(),
            body: None,
        };
        let mut fields = Cursor::whole(source);
        while let Some((number, value)) = fields.next(source)? {
            let Value::Part(place) = value else { continue };
            asked.questions += u32::from((1..=3).contains(&number));
            match number {
                1 => asked.what = What::Open(read(place, source)?),
                2 => asked.what = What::Status(read(place, source)?),
                3 => asked.what = What::Run(read(place, source)?),
                4 => {
                    source.take(ENTRY_COST)?;
                    let (name, parts) = tensor_entry(place, source)?;
                    asked.inputs.insert(name, parts);
                }
                5 => asked.body = Some(RawBody::decode(place, source)?),
                _ => {}
            }
        }
        Ok(asked)
    }
}

/// An entry of a map from names to tensors.
pub(super) fn tensor_entry(
    mut place: Cursor,
    source: &mut Source<'_, impl Message>,
) -> Decoded<(String, TensorParts)> {
    let (mut name, mut parts) = (String::new(), TensorParts::default());
    while let Some((number, value)) = place.next(source)? {
        match (number, value) {
            (1, Value::Part(key)) => name = key.string(source)?,
            (2, Value::Part(tensor)) => parts.merge(tensor, source)?,
            _ => {}
        }
    }
    Ok((name, parts))
}

impl RawBody {
    fn decode(mut place: Cursor, source: &mut Source<'_, impl Message>) -> Decoded<Self> {
        let mut body = Self {
            content_type: String::new(),
            content: Range {
                offset: place.position,
                length: 0,
            },
        };
        while let Some((number, value)) = place.next(source)? {
            match (number, value) {
                (1, Value::Part(text)) => body.content_type = text.string(source)?,
                (2, Value::Part(content)) => body.content = content.into(),
                _ => {}
            }
        }
        Ok(body)
    }
}

/// A message that is small enough to be taken in.
fn read<T: prost::Message + Default>(
    place: Cursor,
    source: &mut Source<'_, impl Message>,
) -> Decoded<T> {
    if place.length() > MAX_SMALL {
        return Err(Error::resource_exhausted(format!(
            "open, status and run may have {MAX_SMALL} bytes, got {}",
            place.length()
        ))
        .into());
    }
    let bytes = source.copy(place.into())?;
    T::decode(&*bytes).map_err(|error| {
        Error::invalid_argument(format!("cannot parse tensorgate.edge.v1.Request: {error}")).into()
    })
}
