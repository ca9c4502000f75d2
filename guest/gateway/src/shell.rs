//! The logic crate's traits over the component's imports, and the component's exports over the
//! logic crate.

use tensorgate_logic as logic;
use tensorgate_logic::{
    Call, Hosted, HttpRequest, Inference, LogEntry, Message, Model, Outcome, Output, Range, Reply,
    Services,
};
use tensorgate_types::{
    ModelConfig, ModelSpec, ModelVersionStatus, Result, Settings, ShapeCheck, Signature,
};

use crate::bindings::exports::tensorgate::serving::{exchange, grpc, rest};
use crate::bindings::tensorgate::serving::{
    inference, management, processing, request_log, settings, telemetry, transfer, types,
};
use crate::convert;

/// What the component exports.
pub(crate) struct Gateway;

impl rest::Guest for Gateway {
    fn handle(request: rest::Request) -> rest::Response {
        let (response, outcome) = logic::rest::handle(
            &logic::rest::Request {
                method: &request.method,
                path: &request.path,
                headers: &request.headers,
                body: &request.body,
            },
            &Host,
        );
        report(&outcome);
        rest::Response {
            status: response.status,
            headers: response.headers,
            body: response.body,
        }
    }
}

impl grpc::Guest for Gateway {
    fn handle(request: grpc::Request) -> Result<Vec<transfer::ChunkResult>, types::Error> {
        let message = Incoming {
            head: request.head,
            length: request.length,
        };
        let (answer, outcome) = logic::grpc::handle(&request.method, &message, &Host);
        report(&outcome);
        match answer {
            Ok(chunks) => Ok(chunks.into_iter().map(convert::chunk).collect()),
            Err(error) => Err(convert::error_out(&error)),
        }
    }
}

impl exchange::Guest for Gateway {
    fn handle(request: exchange::Request) -> exchange::Response {
        let message = Incoming {
            head: request.head,
            length: request.length,
        };
        let asked = HttpRequest {
            method: &request.method,
            path: &request.path,
            headers: &request.headers,
        };
        let (response, outcome) = if asked.path_alone() == logic::remote::PATH {
            logic::remote::answer(&asked, &message, &Host)
        } else {
            logic::v2::rest::handle(&asked, &message, &Host)
        };
        report(&outcome);
        exchange::Response {
            status: response.status,
            headers: response.headers,
            body: response.body.into_iter().map(convert::chunk).collect(),
        }
    }
}

fn report(outcome: &Outcome) {
    telemetry::report(telemetry::Outcome {
        model: &outcome.model,
        version: outcome.version,
        api: outcome.api,
        signature: &outcome.signature,
        rows: outcome.rows,
        code: outcome.code,
    });
}

/// The message of a gRPC call, or a body that is one: its beginning, and a host that has the rest.
struct Incoming {
    head: Vec<u8>,
    length: u64,
}

impl Message for Incoming {
    fn length(&self) -> u64 {
        self.length
    }

    fn head(&self) -> &[u8] {
        &self.head
    }

    fn read(&self, part: Range) -> Result<Vec<u8>> {
        transfer::read(convert::range(&part)).map_err(convert::error)
    }
}

/// Whoever is on the other side of the imports.
struct Host;

impl Inference for Host {
    type Model = inference::Model;

    fn open(&self, spec: &ModelSpec) -> Result<Self::Model> {
        inference::open(convert::model_spec(spec)).map_err(convert::error)
    }

    fn status(&self, name: &str, version: Option<i64>) -> Result<Vec<ModelVersionStatus>> {
        let versions = inference::status(name, version).map_err(convert::error)?;
        Ok(versions.into_iter().map(convert::version_status).collect())
    }
}

impl Services for Host {
    fn settings(&self) -> Settings {
        let settings = settings::get();
        Settings {
            tensor_content: settings.tensor_content,
            check_method_names: settings.check_method_names,
        }
    }

    fn reload(
        &self,
        models: Option<Vec<ModelConfig>>,
        metric_names: &[String],
    ) -> Result<Vec<(String, i64)>> {
        let labels: Vec<Vec<(&str, i64)>> = models
            .iter()
            .flatten()
            .map(|model| {
                let labels = model.version_labels.iter();
                labels
                    .map(|(name, version)| (name.as_str(), *version))
                    .collect()
            })
            .collect();
        let configs: Option<Vec<_>> = models.as_ref().map(|models| {
            let models = models.iter().zip(&labels);
            models
                .map(|(model, labels)| convert::model_config(model, labels))
                .collect()
        });
        let names: Vec<&str> = metric_names.iter().map(String::as_str).collect();
        management::reload(configs.as_deref(), &names).map_err(convert::error)
    }

    fn models(&self) -> Option<Vec<String>> {
        management::models()
    }

    fn log_sampled(&self, model: &str) -> bool {
        request_log::sampled(model)
    }

    fn log(&self, entry: LogEntry) {
        let request: Vec<_> = entry.request.iter().map(convert::logged_chunk).collect();
        let response: Vec<_> = entry.response.iter().map(convert::logged_chunk).collect();
        request_log::write(request_log::Entry {
            kind: convert::log_kind(entry.kind),
            model: &entry.model,
            version: entry.version,
            signature_name: &entry.signature_name,
            request: &request,
            response: &response,
        });
    }
}

impl Hosted for inference::Model {
    fn bare(&self) -> Self {
        processing::bare(self)
    }

    fn digest(&self) -> String {
        processing::digest(self)
    }
}

impl Model for inference::Model {
    fn version(&self) -> i64 {
        self.version()
    }

    fn signature(&self, name: &str) -> Option<(Signature, ShapeCheck)> {
        self.signature(name).map(convert::signature)
    }

    fn signature_defs(&self) -> Vec<(String, Vec<u8>)> {
        self.signature_defs()
    }

    fn covered(&self) -> Vec<(String, Signature)> {
        let covered = processing::covered(self).into_iter();
        covered
            .map(|covered| (covered.name, convert::signature(covered.signature).0))
            .collect()
    }

    fn content_types(&self, signature: &str) -> Vec<String> {
        processing::content_types(self, signature)
    }

    fn called_as(&self, api: &str) {
        processing::called_as(self, api);
    }

    fn answered_by(&self) -> i64 {
        processing::answered_by(self)
    }

    fn run_body(
        &self,
        signature: &str,
        content_type: &str,
        accept: Option<&str>,
        part: Option<Range>,
    ) -> Result<Reply> {
        let part = part.as_ref().map(convert::range);
        let reply = processing::run_body(self, signature, content_type, accept, part);
        match reply.map_err(convert::error)? {
            processing::Reply::Tensors(outputs) => {
                let outputs = outputs.into_iter().map(convert::output);
                outputs.collect::<Result<_>>().map(Reply::Tensors)
            }
            processing::Reply::Body((content_type, bytes)) => Ok(Reply::Body {
                content_type,
                bytes,
            }),
        }
    }

    fn run(&self, calls: &[Call<'_>], hold_from: u64) -> Result<Vec<Vec<Output>>> {
        // The contract's records borrow, so what they borrow from is made first.
        let ranges: Vec<Vec<Vec<transfer::Range>>> = calls
            .iter()
            .map(|call| call.inputs.iter().map(convert::string_ranges).collect())
            .collect();
        let inputs: Vec<Vec<transfer::Input<'_>>> = calls
            .iter()
            .zip(&ranges)
            .map(|(call, ranges)| {
                let inputs = call.inputs.iter().zip(ranges);
                inputs
                    .map(|(input, ranges)| convert::input(input, ranges))
                    .collect()
            })
            .collect();
        let calls: Vec<transfer::Call<'_>> = calls
            .iter()
            .zip(&inputs)
            .map(|(call, inputs)| transfer::Call {
                signature_name: call.signature,
                inputs,
                outputs: call.outputs,
            })
            .collect();
        transfer::run(self, &calls, hold_from)
            .map_err(convert::error)?
            .into_iter()
            .map(|outputs| outputs.into_iter().map(convert::output).collect())
            .collect()
    }
}
