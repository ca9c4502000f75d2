//! Uses everything that a host of Spin's kind gives, well and badly: what a test wants is in the
//! path.

#![cfg(target_arch = "wasm32")]
#![expect(unsafe_code, reason = "what the SDK and the bindings generate")]
#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "what guests print is looked at"
)]

use spin_sdk::http::{
    Headers, IncomingRequest, OutgoingResponse, Request, Response, ResponseOutparam,
};
use spin_sdk::http_component;
use spin_sdk::key_value::Store;

#[http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    let headers = request.headers().entries();
    let path = request.path_with_query().unwrap_or_default();
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    let (status, body) = match path {
        "/trap" => panic!("the guest has had enough"),
        "/loop" => loop {
            std::hint::black_box(0);
        },
        "/memory" => (200, memory().to_string()),
        "/never" => return,
        "/sleep" => {
            std::thread::sleep(std::time::Duration::from_millis(number(query)));
            (200, "slept".to_owned())
        }
        "/after" => return after(out).await,
        "/print" => print(),
        "/environment" => (200, environment()),
        "/file" => file(query),
        "/write" => written(query),
        "/variable" => variable(query),
        "/count" => count(query),
        "/keys" => keys(query),
        "/get" => get(query).await,
        "/body" => {
            let body = request.into_body().await.unwrap_or_default();
            (200, body.len().to_string())
        }
        _ => (200, echo(&headers)),
    };
    let response = OutgoingResponse::new(Headers::new());
    let _ = response.set_status_code(status);
    respond(response, out, body.into_bytes()).await;
}

async fn respond(response: OutgoingResponse, out: ResponseOutparam, bytes: Vec<u8>) {
    if let Err(error) = out.set_with_body(response, bytes).await {
        eprintln!("the client has gone: {error}");
    }
}

/// A response is set and its body sent; then the guest goes on, says so, and fails.
async fn after(out: ResponseOutparam) {
    let response = OutgoingResponse::new(Headers::new());
    respond(response, out, b"answered".to_vec()).await;
    println!("it went on");
    panic!("and failed");
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

/// Takes memory until there is no more.
fn memory() -> usize {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(vec![1; 16 << 20]);
        std::hint::black_box(&all);
        if all.len() > 1024 {
            return all.len();
        }
    }
}

fn print() -> (u16, String) {
    println!("to standard output");
    eprintln!("to standard error");
    (200, String::new())
}

fn environment() -> String {
    let mut all: Vec<String> = std::env::vars()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    all.sort();
    all.concat()
}

fn file(path: &str) -> (u16, String) {
    match std::fs::read_to_string(path) {
        Ok(text) => (200, text),
        Err(error) => (404, error.kind().to_string()),
    }
}

fn written(path: &str) -> (u16, String) {
    match std::fs::write(path, "written") {
        Ok(()) => (200, "written".to_owned()),
        Err(error) => (403, error.kind().to_string()),
    }
}

fn variable(name: &str) -> (u16, String) {
    match spin_sdk::variables::get(name) {
        Ok(value) => (200, value),
        Err(error) => (404, error.to_string()),
    }
}

/// Counts in a store.
fn count(store: &str) -> (u16, String) {
    let counted = Store::open(store).and_then(|store| {
        let before = store.get("count")?.unwrap_or_default();
        let before = String::from_utf8_lossy(&before).parse().unwrap_or(0);
        let now = before + 1_u32;
        store.set("count", now.to_string().as_bytes())?;
        Ok(now)
    });
    match counted {
        Ok(count) => (200, count.to_string()),
        Err(error) => (403, format!("{error:?}")),
    }
}

/// All that a store has.
fn keys(store: &str) -> (u16, String) {
    let keys = Store::open(store).and_then(|store| {
        let mut keys = store.get_keys()?;
        keys.sort();
        store.delete("gone")?;
        if store.exists("gone")? {
            keys.push("not gone".to_owned());
        }
        Ok(keys)
    });
    match keys {
        Ok(keys) => (200, keys.join(",")),
        Err(error) => (403, format!("{error:?}")),
    }
}

/// Asks another server.
async fn get(url: &str) -> (u16, String) {
    let request = Request::get(url);
    match spin_sdk::http::send::<_, Response>(request).await {
        Ok(response) => {
            let text = String::from_utf8_lossy(response.body()).into_owned();
            (*response.status(), text)
        }
        Err(error) => (502, error.to_string()),
    }
}

fn echo(headers: &[(String, Vec<u8>)]) -> String {
    let mut lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value)))
        .collect();
    lines.sort();
    lines.concat()
}
