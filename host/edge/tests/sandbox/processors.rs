//! Processors between the house's own gateway and a fake model: good ones and hostile ones.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tensorgate_edge::{
    Directory, Gateway, Grants, Processor, ProcessorError, ProcessorOptions, Processors,
    RestRequest, RestResponse, Rights, Services,
};
use tensorgate_types::{Deadline, ServableId};

use crate::fake::Fake;
use crate::harness::{engine, gateway_component, limits, program, text};

const MIB: usize = 1 << 20;

pub(crate) fn processors() -> Processors {
    let options = ProcessorOptions {
        threads: 2,
        slots: 8,
        memory: 64 * MIB,
        ..ProcessorOptions::default()
    };
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("components");
    Processors::new(&options, Some(&cache)).expect("room for processors")
}

pub(crate) fn rights() -> Rights {
    Rights {
        time: Duration::from_millis(200),
        memory: 32 * MIB,
        answer_bytes: MIB,
        ..Rights::default()
    }
}

pub(crate) async fn attach(
    processors: &Processors,
    wasm: Bytes,
    rights: Rights,
    id: &ServableId,
) -> Result<Processor, ProcessorError> {
    attach_to(processors, wasm, rights, id, &Fake::ready()).await
}

async fn attach_to(
    processors: &Processors,
    wasm: Bytes,
    rights: Rights,
    id: &ServableId,
    fake: &Fake,
) -> Result<Processor, ProcessorError> {
    let Services { models, .. } = fake.services();
    let component = processors.load(&id.name, wasm, rights, models).await?;
    component.attach(id, fake.signatures()).await
}

/// A gateway, a model and the processor before it.
pub(crate) struct House {
    pub(crate) processors: Processors,
    gateway: Gateway,
    pub(crate) fake: Fake,
}

impl House {
    pub(crate) async fn new(name: &str, rights: Rights) -> Self {
        Self::with(name, rights, Fake::ready()).await
    }

    pub(crate) async fn with(name: &str, rights: Rights, fake: Fake) -> Self {
        let engine = engine(limits());
        let gateway = engine.load(gateway_component(), fake.services()).await;
        let gateway = gateway.expect("the gateway");
        let processors = processors();
        let processor = attach_to(&processors, program(name), rights, fake.id(), &fake).await;
        fake.put_before(processor.expect("a processor"));
        Self {
            processors,
            gateway,
            fake,
        }
    }

    pub(crate) async fn post(
        &self,
        content_type: &str,
        body: &str,
        deadline: Deadline,
    ) -> RestResponse {
        let request = RestRequest {
            method: "POST".to_owned(),
            path: "/v1/models/m:predict?signature_name=double".to_owned(),
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        let response = self.gateway.handle(request, deadline).await;
        response.expect("the gateway is not hostile")
    }

    pub(crate) async fn tell(&self, words: &str) -> (u16, String) {
        let response = self.post("text/plain", words, Deadline::NEVER).await;
        (response.status, text(&response))
    }

    async fn json(&self, body: &str) -> (u16, String) {
        let response = self.post("application/json", body, Deadline::NEVER).await;
        (response.status, text(&response))
    }

    async fn get(&self, path: &str) -> String {
        let request = RestRequest {
            method: "GET".to_owned(),
            path: path.to_owned(),
            ..RestRequest::default()
        };
        let response = self.gateway.handle(request, Deadline::NEVER).await;
        text(&response.expect("an answer"))
    }

    /// After whatever happened: nothing is held, and the next request is answered.
    pub(crate) async fn assert_unharmed(&self) {
        let (status, answer) = self.tell("fine").await;
        assert_eq!(status, 200, "{answer}");
        // What was cut off is dropped on its own thread, at its next tick.
        let mut tries = 0;
        while self.processors.occupancy() != (0, 0) {
            tries += 1;
            assert!(tries < 10_000, "{:?}", self.processors.occupancy());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(self.fake.held(), 0, "models are held by nobody");
    }
}

#[tokio::test]
async fn a_processor_stands_before_both_ways_of_asking() {
    let house = House::new("words", rights()).await;
    let lines = house.post("text/plain; charset=utf-8", "one\ntwo", Deadline::NEVER);
    let lines = lines.await;
    assert_eq!(text(&lines), "2\n4");
    assert!(
        lines.headers.contains(&(
            "content-type".to_owned(),
            "text/plain; charset=utf-8".to_owned()
        )),
        "{:?}",
        lines.headers
    );
    let asked = r#"{"signature_name": "double", "inputs": ["three", "four"]}"#;
    let (status, answer) = house.json(asked).await;
    assert_eq!(status, 200, "{answer}");
    let squeezed: String = answer.split_whitespace().collect();
    assert_eq!(
        squeezed,
        r#"{"outputs":{"numbers":[6.0,8.0],"seen":["1indoubletopredict","1indoubletopredict"]}}"#
    );
    let usages = house.fake.usages();
    assert_eq!(usages.len(), 2);
    assert!(usages.iter().all(|usage| usage.memory > 0), "{usages:?}");
    let stats = house.processors.stats();
    let [(model, stats)] = &stats[..] else {
        panic!("one model: {stats:?}");
    };
    assert_eq!((model.as_str(), stats.requests, stats.failed), ("m", 2, 0));
    assert!(stats.nanos > 0 && stats.peak_memory > 0, "{stats:?}");
}

#[tokio::test]
async fn clients_are_held_against_what_the_processor_describes() {
    let house = House::new("words", rights()).await;
    let (status, answer) = house
        .json(r#"{"signature_name": "double", "inputs": [[["one"]]]}"#)
        .await;
    assert_eq!(status, 400);
    assert!(
        answer.contains("Expects input words to be of shape [-1] but [1, 1, 1] is provided"),
        "{answer}"
    );
    let (status, answer) = house
        .json(r#"{"signature_name": "double", "inputs": {"x": [1.0]}}"#)
        .await;
    assert_eq!(status, 400, "{answer}");
    let (status, answer) = house.tell("eleven").await;
    assert_eq!(status, 400);
    assert!(
        answer.contains(r#"\"eleven\" is no number from zero to nine"#),
        "{answer}"
    );
    // A body that is not of its content types is read as JSON, and the error says so.
    let other = house.post("text/html", "one", Deadline::NEVER).await;
    assert_eq!(other.status, 400);
    assert!(
        text(&other).contains(
            "its content type being text/html: the signature double takes JSON, and bodies of \
             text/plain, text/csv"
        ),
        "{}",
        text(&other)
    );
    // Signatures that it does not name are the model's own.
    let (status, answer) = house
        .json(r#"{"signature_name": "same", "inputs": ["one"]}"#)
        .await;
    assert_eq!((status, answer.contains("one")), (200, true), "{answer}");
    let metadata = house.get("/v1/models/m/metadata").await;
    for words in ["\"words\"", "\"seen\"", "\"sum\"", "DT_STRING"] {
        assert!(metadata.contains(words), "{words} {metadata}");
    }
    // A signature of its own, which takes bodies only.
    let (status, answer) = house
        .json(r#"{"signature_name": "sum", "inputs": {}}"#)
        .await;
    assert_eq!(status, 400, "{answer}");
}

#[tokio::test]
async fn a_processor_built_against_the_first_release_works() {
    let house = House::new("released", rights()).await;
    let (status, answer) = house.tell("everything").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer, "2 versions, 3 opened, 1 inputs, 2 signatures, 8 8");
    let (status, answer) = house
        .json(r#"{"signature_name": "double", "instances": [4.0]}"#)
        .await;
    assert_eq!((status, answer.contains("8.0")), (200, true), "{answer}");
}

/// What a processor built against a later `0.1` is, as long as it asks for nothing new.
#[tokio::test]
async fn the_last_number_of_the_contract_makes_no_difference() {
    let mut later = program("released").to_vec();
    let (old, new) = (b"tensorgate:serving/", b"@0.1.0");
    let mut places = 0;
    for at in 0..later.len() {
        let Some(name) = later[at..].strip_prefix(old) else {
            continue;
        };
        let length = name.iter().take_while(|byte| **byte != b'@').count();
        let version = at + old.len() + length;
        if later[version..].starts_with(new) {
            later[version + new.len() - 1] = b'7';
            places += 1;
        }
    }
    assert!(places > 3, "{places}");
    let fake = Fake::ready();
    let attached = attach_to(&processors(), later.into(), rights(), fake.id(), &fake).await;
    assert!(attached.is_ok(), "{attached:?}");
}

#[tokio::test]
async fn what_a_hostile_processor_does_costs_its_own_request() {
    let house = House::new("hostile_processor", rights()).await;
    let failed = "the processor of model m version 3 failed";
    for (word, code, words) in [
        ("trap", 500, failed),
        (
            "loop",
            500,
            "it computed for longer than the 200ms that it may (limits.time_ms)",
        ),
        ("sleep", 500, "it computed for longer than the 200ms"),
        (
            "memory",
            429,
            "more than the 33554432 bytes of memory that it may have",
        ),
        ("stack", 500, failed),
        ("refuse", 400, "not this one"),
        (
            "short",
            500,
            "input x: float tensor of shape [2] needs 8 bytes, got 7",
        ),
        ("negative", 500, "has the negative dimension -1"),
        ("twice", 500, "x is there twice"),
        ("unknown-input", 500, "what it gives to its model: "),
        (
            "unknown-signature",
            500,
            "Serving signature key \\\"nobody\\\" not found",
        ),
        (
            "endless-shape",
            500,
            "a tensor has at most 254 dimensions, got 100000",
        ),
        ("header", 500, "is no content type"),
        (
            "large",
            500,
            "its answer has 3145728 bytes, and it may give 1048576",
        ),
        (
            "undescribed",
            500,
            "it gave the output z, which it has not described",
        ),
        ("missing", 500, "it did not give the output y"),
        (
            "call other",
            403,
            "may not call model other: it is not granted",
        ),
    ] {
        let (status, answer) = house.tell(word).await;
        assert_eq!(status, code, "{word}: {answer}");
        assert!(answer.contains(words), "{word}: {answer}");
        house.assert_unharmed().await;
    }
}

#[tokio::test]
async fn a_deadline_ends_a_processor() {
    let patient = Rights {
        time: Duration::from_secs(60),
        ..rights()
    };
    let house = House::new("hostile_processor", patient).await;
    for word in ["loop", "sleep"] {
        let deadline = Deadline::after(Duration::from_millis(100));
        let response = house.post("text/plain", word, deadline).await;
        assert_eq!(response.status, 504, "{word}: {}", text(&response));
        house.assert_unharmed().await;
    }
}

#[tokio::test]
async fn a_client_that_goes_away_frees_its_place() {
    let alone = Rights {
        time: Duration::from_secs(60),
        concurrency: 1,
        waiting: 0,
        ..rights()
    };
    let house = House::new("hostile_processor", alone).await;
    let stuck = house.post("text/plain", "sleep", Deadline::NEVER);
    let gone = tokio::time::timeout(Duration::from_millis(100), stuck).await;
    assert!(gone.is_err(), "it sleeps for an hour");
    // The place is free when the instance has been dropped, on another thread.
    let mut tries = 0;
    while house.tell("fine").await.0 != 200 {
        tries += 1;
        assert!(tries < 10_000, "the place is never free");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    house.assert_unharmed().await;
}

#[tokio::test]
async fn a_full_processor_refuses_at_once() {
    let small = Rights {
        time: Duration::from_secs(60),
        concurrency: 1,
        waiting: 1,
        ..rights()
    };
    let house = Arc::new(House::new("hostile_processor", small).await);
    let soon = || Deadline::after(Duration::from_secs(2));
    let answers = (0..3).map(|_| {
        let house = Arc::clone(&house);
        async move { house.post("text/plain", "sleep", soon()).await }
    });
    let answers: Vec<RestResponse> = futures_join(answers).await;
    // One was in it and one waited in vain, each to its deadline; one was refused at once.
    let over = answers
        .iter()
        .filter(|answer| matches!(answer.status, 503 | 504))
        .count();
    assert_eq!(over, 3, "{answers:?}");
    let refused = answers
        .iter()
        .any(|answer| text(answer).contains("1 requests are in it and 1 are waiting"));
    assert!(refused, "{answers:?}");
    house.assert_unharmed().await;
}

async fn futures_join<F>(all: impl Iterator<Item = F>) -> Vec<RestResponse>
where
    F: Future<Output = RestResponse> + Send + 'static,
{
    let tasks: Vec<_> = all.map(tokio::spawn).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("no panic"));
    }
    answers
}

#[tokio::test]
async fn a_processor_sees_what_it_is_granted_and_nothing_else() {
    let none = House::new("hostile_processor", rights()).await;
    let (_, seen) = none.tell("tell").await;
    assert_eq!(
        seen,
        "/: no\n/etc/passwd: no\n/data/file: no\n/data/../secret: no\nwrote: false"
    );
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (_, denied) = none.tell(&format!("call tcp {address}")).await;
    assert_eq!(denied, "PermissionDenied");

    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    std::fs::write(data.join("file"), "granted").expect("a file");
    std::fs::write(folder.path().join("secret"), "not granted").expect("a file");
    let grants = Grants {
        environment: vec![("WEIGHT".to_owned(), "0.1".to_owned())],
        directories: vec![Directory {
            host: data.clone(),
            guest: "/data".to_owned(),
            writable: false,
        }],
        addresses: vec![address],
    };
    let some = House::new("hostile_processor", Rights { grants, ..rights() }).await;
    let (_, seen) = some.tell("tell").await;
    assert_eq!(
        seen,
        "WEIGHT=0.1\n/: no\n/etc/passwd: no\n/data/file: granted\n/data/../secret: no\n\
         wrote: false"
    );
    let (_, connected) = some.tell(&format!("call tcp {address}")).await;
    assert_eq!(connected, "connected");
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let other = other.local_addr().expect("an address");
    let (_, denied) = some.tell(&format!("call tcp {other}")).await;
    assert_eq!(denied, "PermissionDenied");
}

#[tokio::test]
async fn a_processor_calls_its_own_model_without_coming_to_itself() {
    let house = House::new("hostile_processor", rights()).await;
    let (status, doubled) = house.tell("call m").await;
    assert_eq!(status, 200, "{doubled}");
    assert_eq!(doubled, format!("{:?}", 8f32.to_le_bytes()));
}
