//! `inference.GRPCInferenceService`: one message in, chunks of one message or a status out.

mod infer;
mod request;

use tensorgate_proto::inference as proto;
use tensorgate_types::{Error, ModelSpec, Result};

use super::models;
use super::version_choice;
use crate::grpc::source::Source;
use crate::inference::Range;
use crate::outcome::Outcome;
use crate::services::{Chunk, Message, Services};

/// The largest message of those that tell of a model and carry no tensors.
const MAX_LENGTH: u64 = 1 << 20;

/// Answers the method `name` of the service.
pub(crate) fn dispatch(
    name: &str,
    message: &impl Message,
    services: &impl Services,
    outcome: &mut Outcome,
) -> Result<Vec<Chunk>> {
    match name {
        "ModelInfer" => {
            outcome.api = "infer";
            infer::infer(message, services, outcome)
        }
        "ServerLive" => answer(&proto::ServerLiveResponse { live: true }),
        // Who is asked here is: what is known of all models is the server's to tell, and it
        // answers this one before it gets here.
        "ServerReady" => answer(&proto::ServerReadyResponse { ready: true }),
        "ModelReady" => {
            outcome.api = "status";
            let request: proto::ModelReadyRequest = decode(message, "ModelReadyRequest")?;
            let spec = spec(request.name, &request.version, outcome)?;
            let ready = models::is_ready(&spec, services, outcome)?;
            answer(&proto::ModelReadyResponse { ready })
        }
        "ServerMetadata" => answer(&proto::ServerMetadataResponse {
            name: models::SERVER.to_owned(),
            version: models::VERSION.to_owned(),
            extensions: models::EXTENSIONS.map(str::to_owned).to_vec(),
        }),
        "ModelMetadata" => {
            outcome.api = "metadata";
            let request: proto::ModelMetadataRequest = decode(message, "ModelMetadataRequest")?;
            let spec = spec(request.name, &request.version, outcome)?;
            answer(&models::metadata(&spec, None, services, outcome)?)
        }
        "ModelConfig" => {
            outcome.api = "metadata";
            let request: proto::ModelConfigRequest = decode(message, "ModelConfigRequest")?;
            let spec = spec(request.name, &request.version, outcome)?;
            let config = Some(models::config(&spec, None, services, outcome)?);
            answer(&proto::ModelConfigResponse { config })
        }
        "RepositoryIndex" => {
            let request: proto::RepositoryIndexRequest = decode(message, "RepositoryIndexRequest")?;
            let models = models::index(services.models(), request.ready, services)?;
            answer(&proto::RepositoryIndexResponse { models })
        }
        _ => Err(Error::unimplemented(not_implemented(name))),
    }
}

/// Why a method of Triton's service is not answered.
fn not_implemented(name: &str) -> String {
    let why = match name {
        "ModelStreamInfer" => "streams of requests; send each with ModelInfer",
        "ModelStatistics" => "statistics; the server's metrics have them",
        "RepositoryModelLoad" | "RepositoryModelUnload" => {
            "loading and unloading; the configuration says which models are served"
        }
        "SystemSharedMemoryStatus"
        | "SystemSharedMemoryRegister"
        | "SystemSharedMemoryUnregister"
        | "CudaSharedMemoryStatus"
        | "CudaSharedMemoryRegister"
        | "CudaSharedMemoryUnregister" => "shared memory; send tensors in the request",
        "TraceSetting" => "trace settings",
        "LogSettings" => "log settings",
        _ => return format!("unknown method /inference.GRPCInferenceService/{name}"),
    };
    format!("{name} is not implemented: {why}")
}

fn decode<T: prost::Message + Default>(message: &impl Message, name: &str) -> Result<T> {
    let length = message.length();
    if length > MAX_LENGTH {
        return Err(Error::resource_exhausted(format!(
            "an inference.{name} may have {MAX_LENGTH} bytes, this one has {length}"
        )));
    }
    let bytes = Source::new(message).copy(Range { offset: 0, length })?;
    T::decode(&*bytes)
        .map_err(|error| Error::internal(format!("cannot parse inference.{name}: {error}")))
}

fn answer(message: &impl prost::Message) -> Result<Vec<Chunk>> {
    Ok(vec![Chunk::Bytes(message.encode_to_vec())])
}

fn spec(name: String, version: &str, outcome: &mut Outcome) -> Result<ModelSpec> {
    outcome.model.clone_from(&name);
    Ok(ModelSpec {
        name,
        version: version_choice(version)?,
    })
}
