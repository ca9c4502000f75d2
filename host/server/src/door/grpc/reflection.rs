//! Server reflection, v1 and v1alpha: what services there are, for clients that were not told.
//!
//! Both versions say the same in the same bytes, under two names, so v1 answers for both.
//!
//! **Invariant:** a question that has no answer gets an error in its place, in the words of gRPC's
//! own library, and the call goes on.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use http::Uri;
use tensorgate_types::Error;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::server_reflection_server::{
    ServerReflection, ServerReflectionServer,
};
use tonic_reflection::pb::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
    ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
};

use super::GrpcOptions;
use super::descriptors::Descriptors;

const V1: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const V1_ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

/// Adds the service. It answers v1alpha too when calls come by way of [`as_v1`].
pub(super) fn add(routes: Routes, options: &GrpcOptions) -> Result<Routes, Error> {
    let health = options
        .health
        .then_some(tonic_health::pb::FILE_DESCRIPTOR_SET);
    let sets = [
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ]
    .into_iter()
    .chain(health)
    .chain(options.descriptors.iter().copied());
    let descriptors = Descriptors::new(sets)
        .map_err(|error| Error::internal(format!("cannot reflect: {error}")))?;
    let reflection = Reflection(Arc::new(descriptors));
    Ok(routes.add_service(ServerReflectionServer::new(reflection)))
}

/// Leads calls of v1alpha to v1.
pub(super) fn as_v1(uri: &mut Uri) {
    if uri.path() == V1_ALPHA {
        *uri = Uri::from_static(V1);
    }
}

struct Reflection(Arc<Descriptors>);

type Answers = Pin<Box<dyn Stream<Item = Result<ServerReflectionResponse, Status>> + Send>>;

#[tonic::async_trait]
impl ServerReflection for Reflection {
    type ServerReflectionInfoStream = Answers;

    async fn server_reflection_info(
        &self,
        questions: Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let descriptors = Arc::clone(&self.0);
        // One at a time: a client that reads no answers is read no further.
        let answers = questions
            .into_inner()
            .map(move |question| Ok(answer(&descriptors, question?)));
        Ok(Response::new(Box::pin(answers)))
    }
}

fn answer(
    descriptors: &Descriptors,
    question: ServerReflectionRequest,
) -> ServerReflectionResponse {
    let response = match &question.message_request {
        None => refused(Code::Unimplemented, ""),
        Some(MessageRequest::ListServices(_)) => services(descriptors),
        Some(MessageRequest::FileByFilename(name)) => {
            files(descriptors.with_imports(name), "File not found.")
        }
        Some(MessageRequest::FileContainingSymbol(name)) => files(
            descriptors
                .file_of(name)
                .and_then(|file| descriptors.with_imports(file)),
            "Symbol not found.",
        ),
        // No message has any: they are a thing of proto2.
        Some(MessageRequest::FileContainingExtension(_)) => {
            refused(Code::NotFound, "Extension not found.")
        }
        Some(MessageRequest::AllExtensionNumbersOfType(name)) => {
            if descriptors.has_message(name) {
                MessageResponse::AllExtensionNumbersResponse(ExtensionNumberResponse {
                    base_type_name: name.clone(),
                    extension_number: Vec::new(),
                })
            } else {
                refused(Code::NotFound, "Type not found.")
            }
        }
    };
    ServerReflectionResponse {
        valid_host: question.host.clone(),
        original_request: Some(question),
        message_response: Some(response),
    }
}

fn services(descriptors: &Descriptors) -> MessageResponse {
    let service = descriptors
        .services()
        .iter()
        .map(|name| ServiceResponse { name: name.clone() })
        .collect();
    MessageResponse::ListServicesResponse(ListServiceResponse { service })
}

fn files(found: Option<Vec<Vec<u8>>>, otherwise: &str) -> MessageResponse {
    match found {
        Some(file_descriptor_proto) => {
            MessageResponse::FileDescriptorResponse(FileDescriptorResponse {
                file_descriptor_proto,
            })
        }
        None => refused(Code::NotFound, otherwise),
    }
}

fn refused(code: Code, message: &str) -> MessageResponse {
    MessageResponse::ErrorResponse(ErrorResponse {
        error_code: code.into(),
        error_message: message.to_owned(),
    })
}
