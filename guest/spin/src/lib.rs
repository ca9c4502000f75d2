//! The shell for Spin: one component that serves `/v1/...` of a Tensorgate host under `spin up`.
//!
//! It passes requests and answers on, and owns nothing but the address of the host, the
//! application variable `tensorgate_url`. It is built with spin-sdk 5 (WASI 0.2), because no
//! released Spin runs the WASI 0.3 components that newer SDKs make.
//!
//! **Invariant:** no state outlives a request: Spin gives each one a fresh instance.

#[cfg_attr(
    not(target_arch = "wasm32"),
    expect(dead_code, reason = "only its tests run natively")
)]
mod forward;

#[cfg(target_arch = "wasm32")]
#[expect(clippy::print_stderr, reason = "Spin keeps it as the component's log")]
#[expect(
    unsafe_code,
    reason = "the component's exports, which the SDK's macro generates"
)]
mod shell {
    use spin_sdk::http::{Request, Response};
    use spin_sdk::http_component;
    use spin_sdk::variables;

    use super::forward;

    #[http_component]
    async fn handle(request: Request) -> anyhow::Result<Response> {
        let base = variables::get("tensorgate_url")?;
        let path_and_query = request.path_and_query().unwrap_or("/").to_owned();
        let mut onward = Request::builder();
        onward
            .method(request.method().clone())
            .uri(forward::target(&base, &path_and_query));
        for (name, value) in request.headers() {
            if let Some(value) = value.as_str().filter(|_| forward::passes(name)) {
                onward.header(name, value);
            }
        }
        let onward = onward.body(request.into_body()).build();
        let answer: Response = match spin_sdk::http::send(onward).await {
            Ok(answer) => answer,
            Err(error) => {
                eprintln!("cannot reach {base}: {error}");
                let (status, body) = forward::unreachable();
                return Ok(Response::builder()
                    .status(status)
                    .header("content-type", "application/json")
                    .body(body)
                    .build());
            }
        };
        let mut back = Response::builder();
        back.status(*answer.status());
        for (name, value) in answer.headers() {
            if let Some(value) = value.as_str().filter(|_| forward::passes(name)) {
                back.header(name, value);
            }
        }
        Ok(back.body(answer.into_body()).build())
    }
}
