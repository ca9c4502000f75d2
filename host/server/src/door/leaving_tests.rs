//! A port that leaves: everything is answered, and clients over HTTP/1 are asked to connect anew.

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use super::wire_tests::{Http2Client, connect, connections, http2, serve, stage};

type Http1Client = http1::SendRequest<Body>;

fn request() -> Request<Body> {
    Request::post("http://x/v1/x")
        .body(Body::from("m"))
        .unwrap()
}

async fn http1(port: u16) -> (Http1Client, JoinHandle<hyper::Result<()>>) {
    let io = TokioIo::new(connect(port).await);
    let (client, connection) = http1::handshake(io).await.unwrap();
    (client, tokio::spawn(connection))
}

/// The status and the header `connection` of an answer that was read to its end.
async fn told(answer: Response<Incoming>) -> (u16, Option<String>) {
    let (parts, body) = answer.into_parts();
    body.collect().await.unwrap();
    let connection = parts.headers.get("connection");
    let connection = connection.map(|value| value.to_str().unwrap().to_owned());
    (parts.status.as_u16(), connection)
}

async fn over_http1(client: &mut Http1Client) -> (u16, Option<String>) {
    client.ready().await.unwrap();
    told(client.send_request(request()).await.unwrap()).await
}

async fn over_http2(client: &mut Http2Client) -> (u16, Option<String>) {
    told(client.send_request(request()).await.unwrap()).await
}

#[tokio::test]
async fn a_port_that_leaves_answers_and_asks_clients_to_come_back_by_another_connection() {
    let stage = stage();
    let (port, listening) = serve(stage.door.routes(), connections());
    let mut lasting = http2(connect(port).await).await.unwrap();
    let (mut kept, ended) = http1(port).await;
    assert_eq!(over_http1(&mut kept).await, (200, None));

    stage.door.leave();
    listening.leave();
    // Over HTTP/2 nothing changes: its clients are told at the end which requests were taken.
    assert_eq!(over_http2(&mut lasting).await, (200, None));
    assert_eq!(over_http2(&mut lasting).await, (200, None));
    let close = Some("close".to_owned());
    assert_eq!(over_http1(&mut kept).await, (200, close.clone()));
    // The connection has ended; how the client's library sees that is its own affair.
    let _ = ended.await.unwrap();
    // Whoever comes is still taken.
    let (mut new, _) = http1(port).await;
    assert_eq!(over_http1(&mut new).await, (200, close));
    drop(lasting);
    listening.shut_down().await;
}
