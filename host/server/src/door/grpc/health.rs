//! The standard health service, for `--enable_grpc_healthcheck_service`.
//!
//! The original sets its services `SERVING` once and for all. Here they follow readiness: not
//! serving until the first load of every model has ended, and again from the moment that the
//! server begins to end. The V2 protocol has health of its own, always, in two methods of its
//! service.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use prost::Message as _;
use tensorgate_proto::inference::{ServerLiveResponse, ServerReadyResponse};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::door::{Door, Handler};

/// What may be asked for: the server as a whole, the original's names, and the full ones.
const SERVICES: [&str; 5] = [
    "",
    "ModelService",
    "PredictionService",
    "tensorflow.serving.ModelService",
    "tensorflow.serving.PredictionService",
];

/// The service, over the state of a door.
pub(super) fn service<H: Handler>(door: &Arc<Door<H>>) -> HealthServer<Watched<H>> {
    HealthServer::new(Watched(Arc::clone(door)))
}

pub(super) struct Watched<H>(Arc<Door<H>>);

/// The answer to a call of the V2 protocol that asks for the server's health: what it knows of its
/// models is known here. Nothing is read of the request, which has nothing in it.
pub(super) fn of_v2<H: Handler>(door: &Door<H>, path: &str) -> Option<Bytes> {
    let answer = match path {
        "/inference.GRPCInferenceService/ServerLive" => {
            ServerLiveResponse { live: true }.encode_to_vec()
        }
        "/inference.GRPCInferenceService/ServerReady" => ServerReadyResponse {
            ready: door.why_not_ready().is_none(),
        }
        .encode_to_vec(),
        _ => return None,
    };
    Some(answer.into())
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

fn status<H: Handler>(door: &Door<H>) -> ServingStatus {
    if door.why_not_ready().is_none() {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    }
}

#[tonic::async_trait]
impl<H: Handler> Health for Watched<H> {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if SERVICES.contains(&request.get_ref().service.as_str()) {
            return Ok(Response::new(response(status(&self.0))));
        }
        // The words of the original's library.
        Err(Status::not_found("service name unknown"))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let known = SERVICES.contains(&request.get_ref().service.as_str());
        let door = Arc::clone(&self.0);
        // Ends when the server does; a client that wants to know more calls again, elsewhere.
        let stream = stream::unfold((door, None), move |(door, last)| async move {
            loop {
                let now = if known {
                    status(&door)
                } else {
                    ServingStatus::ServiceUnknown
                };
                if Some(now) != last {
                    return Some((Ok(response(now)), (door, Some(now))));
                }
                if door.is_draining() {
                    return None;
                }
                tokio::select! {
                    () = door.until_ready(now != ServingStatus::Serving), if known => {}
                    () = door.draining() => {}
                }
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }
}
