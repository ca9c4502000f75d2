//! The standard gRPC services, asked by their own clients.

use std::convert::Infallible;

use axum::body::Body;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::{Service, ServiceExt as _, service_fn};

use super::wire_tests::{grpc, stage, within};
use super::*;

/// A port, as clients see it.
fn service(
    routes: Router,
) -> impl Service<
    Request<tonic::body::Body>,
    Response = Response<Body>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send {
    service_fn(move |request: Request<tonic::body::Body>| {
        routes.clone().oneshot(request.map(Body::new))
    })
}

fn with_health() -> GrpcOptions {
    GrpcOptions {
        health: true,
        ..GrpcOptions::default()
    }
}

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

#[tokio::test]
async fn health_follows_readiness() {
    let stage = stage();
    let mut client = HealthClient::new(service(grpc(&stage, with_health())));
    for (ready, status) in [
        (true, ServingStatus::Serving),
        (false, ServingStatus::NotServing),
    ] {
        stage.ready.send_replace(ready);
        for name in [
            "",
            "ModelService",
            "PredictionService",
            "tensorflow.serving.ModelService",
            "tensorflow.serving.PredictionService",
        ] {
            let answer = client.check(about(name)).await.unwrap().into_inner();
            assert_eq!(answer.status(), status, "{name:?}");
        }
    }
    let unknown = client.check(about("Nope")).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound);
    assert_eq!(unknown.message(), "service name unknown");
    stage.ready.send_replace(true);
    stage.door.drain();
    let answer = client.check(about("")).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::NotServing);
}

#[tokio::test]
async fn watching_health_tells_of_every_change_and_ends_with_the_server() {
    let stage = stage();
    let mut client = HealthClient::new(service(grpc(&stage, with_health())));
    let mut known = client.watch(about("")).await.unwrap().into_inner();
    let mut unknown = client.watch(about("Nope")).await.unwrap().into_inner();
    let first = within(unknown.message()).await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    for (ready, status) in [
        (true, ServingStatus::Serving),
        (false, ServingStatus::NotServing),
        (true, ServingStatus::Serving),
    ] {
        stage.ready.send_replace(ready);
        let told = within(known.message()).await.unwrap().unwrap();
        assert_eq!(told.status(), status);
    }
    stage.door.drain();
    let last = within(known.message()).await.unwrap().unwrap();
    assert_eq!(last.status(), ServingStatus::NotServing);
    assert!(within(known.message()).await.unwrap().is_none());
    assert!(within(unknown.message()).await.unwrap().is_none());
}

#[tokio::test]
async fn health_is_there_when_it_was_asked_for() {
    let stage = stage();
    let mut client = HealthClient::new(service(grpc(&stage, GrpcOptions::default())));
    let refused = client.check(about("")).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unimplemented);
}

/// The message that a method of the V2 protocol answers an empty one with.
async fn v2_health(stage: &super::wire_tests::Stage, method: &str) -> Bytes {
    let request = Request::post(format!("/inference.GRPCInferenceService/{method}"))
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .body(Body::from(&[0; 5][..]))
        .unwrap();
    let response = grpc(stage, GrpcOptions::default()).oneshot(request);
    let answer = response.await.unwrap().into_body();
    let answer = answer.collect().await.unwrap();
    assert_eq!(answer.trailers().unwrap()["grpc-status"], "0");
    answer.to_bytes().slice(5..)
}

#[tokio::test]
async fn health_of_the_v2_protocol_follows_readiness_without_the_component() {
    let stage = stage();
    for (ready, expected) in [(true, &[8, 1][..]), (false, &[])] {
        stage.ready.send_replace(ready);
        assert_eq!(v2_health(&stage, "ServerReady").await, expected);
        assert_eq!(v2_health(&stage, "ServerLive").await, &[8, 1][..]);
    }
    stage.ready.send_replace(true);
    stage.door.drain();
    assert_eq!(v2_health(&stage, "ServerReady").await, &[][..]);
}

/// The names that a version of reflection lists, and how the call ends when the server does.
macro_rules! reflects {
    ($version:ident, $routes:expr, $drain:expr) => {{
        use tonic_reflection::pb::$version as pb;
        let mut client =
            pb::server_reflection_client::ServerReflectionClient::new(service($routes));
        let about = |question| pb::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        };
        let unknown = pb::server_reflection_request::MessageRequest::FileContainingSymbol;
        let unknown = about(unknown("nobody.knows.It".to_owned()));
        let list = pb::server_reflection_request::MessageRequest::ListServices(String::new());
        // A client that asks twice and keeps the call.
        let asked = stream::iter([unknown.clone(), about(list)]);
        let asked = futures_util::StreamExt::chain(asked, stream::pending());
        let answer = client.server_reflection_info(asked).await.unwrap();
        let mut answers = answer.into_inner();
        let none = within(answers.message()).await.unwrap().unwrap();
        assert_eq!(none.original_request, Some(unknown));
        let Some(pb::server_reflection_response::MessageResponse::ErrorResponse(error)) =
            none.message_response
        else {
            panic!("nobody knows it");
        };
        assert_eq!(
            (error.error_code, error.error_message.as_str()),
            (5, "Symbol not found.")
        );
        let second = within(answers.message()).await.unwrap().unwrap();
        let Some(pb::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
            second.message_response
        else {
            panic!("it answers what was asked");
        };
        let names: Vec<String> = list.service.into_iter().map(|one| one.name).collect();
        $drain;
        let end = within(answers.message()).await.unwrap_err();
        assert_eq!(end.code(), tonic::Code::Unavailable);
        names
    }};
}

#[tokio::test]
async fn reflection_lists_the_services_in_both_versions() {
    let all = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ];
    let first = stage();
    let v1 = reflects!(v1, grpc(&first, with_health()), first.door.drain());
    let second = stage();
    let alpha = reflects!(v1alpha, grpc(&second, with_health()), second.door.drain());
    for mut names in [v1, alpha] {
        names.sort();
        assert_eq!(names, all);
    }
    let third = stage();
    let none = reflects!(v1, grpc(&third, GrpcOptions::default()), third.door.drain());
    assert!(!none.iter().any(|name| name.contains("health")));
}
