//! What one request costs over REST: the whole server against a bare run of the session, in turns,
//! one client on loopback.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tensorgate_engine::{Call, Predictor as _, RunRequest};
use tensorgate_tensorflow::SavedModel;
use tensorgate_types::{DType, Deadline, Tensor};

use crate::client::{Client, request};
use crate::server::Server;
use crate::stats::Samples;
use crate::{library, load, say};

const BODY: &[u8] = br#"{"instances": [1.0, 2.0, 5.0]}"#;

/// Start-up and the cost of a request, `requests` times.
pub(crate) fn measure(binary: &Path, base_path: &Path, requests: usize) -> Result<()> {
    say(&format!(
        "half_plus_two, {requests} requests, one client on loopback"
    ));
    let start = Instant::now();
    let library = library()?;
    let library_took = start.elapsed();
    let start = Instant::now();
    let model = load(library, base_path)?;
    let model_took = start.elapsed();

    startup(binary, base_path, library_took, model_took)?;
    request_cost(binary, base_path, &model, requests)
}

/// From the start of the process until the model answers, warm caches, the median of five.
fn startup(binary: &Path, base_path: &Path, library: Duration, model: Duration) -> Result<()> {
    drop(Server::start(binary, "half_plus_two", base_path, &[])?);
    let mut times = Vec::new();
    for _ in 0..5 {
        times.push(Server::start(binary, "half_plus_two", base_path, &[])?.ready_after);
    }
    let ready = Samples::new(times).median();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    say(&format!(
        "start to ready: {:.0} ms; opening libtensorflow alone {:.0} ms, loading the model alone \
         {:.0} ms; the rest {:.0} ms",
        ms(ready),
        ms(library),
        ms(model),
        ms(ready) - ms(library) - ms(model),
    ));
    Ok(())
}

/// Request to answer through the whole server, against a run of the session alone.
fn request_cost(binary: &Path, base_path: &Path, model: &SavedModel, count: usize) -> Result<()> {
    let server = Server::start(binary, "half_plus_two", base_path, &[])?;
    let predict = request("POST", "/v1/models/half_plus_two:predict", BODY);
    let health = request("GET", "/health/live", b"");
    let mut client = Client::connect(server.address)?;
    let (status, body) = client.send(&predict)?;
    ensure!(
        (status, body)
            == (
                200,
                b"{\n    \"predictions\": [2.5, 3.0, 4.5\n    ]\n}".as_slice()
            ),
        "unexpected answer: {status} {}",
        String::from_utf8_lossy(body)
    );
    // Twice each, in turn: the machine's mood then shows, and is in both.
    for round in 1..=2 {
        let bare = Samples::of(count, || run(model))?;
        let door = Samples::of(count, || client.send(&health).map(drop))?;
        let whole = Samples::of(count, || {
            let (status, _) = client.send(&predict)?;
            ensure!(status == 200, "status {status}");
            Ok(())
        })?;
        say(&format!("round {round}: bare session run       {bare}"));
        say(&format!("round {round}: HTTP alone (health)    {door}"));
        say(&format!("round {round}: request to answer      {whole}"));
        say(&format!(
            "round {round}: all but the session run adds {:.1} us at the median; \
             request / bare run = {:.2}",
            whole.median_us() - bare.median_us(),
            whole.median_us() / bare.median_us(),
        ));
    }
    drop(client);
    for line in server.stop()? {
        if line.contains("instances") {
            say(&format!("server: {line}"));
        }
    }
    Ok(())
}

fn run(model: &SavedModel) -> Result<()> {
    let input = Tensor::from_slice(DType::FLOAT, vec![3], &[1.0f32, 2.0, 5.0])?;
    let call = Call {
        signature: "serving_default".to_owned(),
        inputs: vec![("x".to_owned(), input)],
        outputs: Vec::new(),
    };
    model.run(&RunRequest::one(call, Deadline::NEVER))?;
    Ok(())
}
