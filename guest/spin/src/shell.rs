//! One HTTP request through the shell.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use futures_util::{SinkExt as _, StreamExt as _};
use spin_sdk::http::{Fields, IncomingRequest, Method, OutgoingResponse, ResponseOutparam};
use spin_sdk::http_component;
use tensorgate_logic::edge::{Edge, Whole};
use tensorgate_logic::rest::{self, Response};
use tensorgate_logic::{HttpRequest, v2};

use crate::door::{self, Head, Incoming};
use crate::far::Host;
use crate::processor::Beside;

#[http_component]
async fn handle(request: IncomingRequest, answer_to: ResponseOutparam) {
    let head = head(&request);
    let mut response = match answer(&head, request).await {
        Ok(response) | Err(response) => response,
    };
    door::complete(&mut response, &head, || {
        RandomState::new().build_hasher().finish()
    });
    send(response, answer_to).await;
}

fn head(request: &IncomingRequest) -> Head {
    let headers = request.headers().entries().into_iter();
    Head {
        method: match request.method() {
            Method::Get => "GET".to_owned(),
            Method::Head => "HEAD".to_owned(),
            Method::Post => "POST".to_owned(),
            Method::Put => "PUT".to_owned(),
            Method::Delete => "DELETE".to_owned(),
            Method::Connect => "CONNECT".to_owned(),
            Method::Options => "OPTIONS".to_owned(),
            Method::Trace => "TRACE".to_owned(),
            Method::Patch => "PATCH".to_owned(),
            Method::Other(other) => other,
        },
        path: request.path_with_query().unwrap_or_else(|| "/".to_owned()),
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect(),
    }
}

async fn answer(head: &Head, request: IncomingRequest) -> Result<Response, Response> {
    if let Some(response) = door::without_body(head) {
        return Ok(response);
    }
    let setting = door::max_body_bytes_setting();
    let mut body = Incoming::new(head, door::max_body_bytes(setting.as_deref())?);
    let mut pieces = request.into_body_stream();
    while body.wants_more(head) {
        match pieces.next().await {
            None => break,
            Some(Ok(piece)) => body.push(piece),
            Some(Err(error)) => {
                let words = format!(
                    "the request body could not be read: {}",
                    error.to_debug_string()
                );
                return Err(rest::refusal(400, &words));
            }
        }
    }
    let body = body.finish(head)?;
    let headers = head.passed_on();
    let edge = Edge::new(&Host, &Beside, &body);
    if head.is_v2() {
        let request = HttpRequest {
            method: &head.method,
            path: &head.path,
            headers: &headers,
        };
        let whole = Whole(&body);
        let (response, _outcome) = edge.handle_surely(
            |services| v2::rest::handle(&request, &whole, services),
            |(response, _)| may_be_old(head, response.status),
        );
        let body = whole.assemble(response.body);
        return match body {
            Ok(body) => Ok(Response {
                status: response.status,
                headers: response.headers,
                body,
            }),
            Err(error) => Err(rest::refusal(500, error.message())),
        };
    }
    let request = rest::Request {
        method: &head.method,
        path: &head.path,
        headers: &headers,
        body: &body,
    };
    let (response, _outcome) = edge.handle_surely(
        |services| rest::handle(&request, services),
        |(response, _)| may_be_old(head, response.status),
    );
    Ok(response)
}

/// Whether an answer may rest on what was true of a model once: that a request is bad, and what a
/// model is.
fn may_be_old(head: &Head, status: u16) -> bool {
    (400..500).contains(&status) || head.method == "GET"
}

async fn send(response: Response, answer_to: ResponseOutparam) {
    let headers: Vec<(String, Vec<u8>)> = response
        .headers
        .into_iter()
        .map(|(name, value)| (name, value.into_bytes()))
        .collect();
    // Names and values are the logic's, and those that a processor chose were looked at; what
    // cannot be a header all the same is not worth more than an answer without any.
    let headers = Fields::from_list(&headers).unwrap_or_else(|_| Fields::new());
    let answer = OutgoingResponse::new(headers);
    // From 200 to 599: it can be set.
    let _ = answer.set_status_code(response.status);
    let mut body = answer.take_body();
    answer_to.set(answer);
    if !response.body.is_empty() {
        // Whether the client has gone: nobody is left to be told.
        let _ = body.send(response.body).await;
    }
}
