//! The logic crate's traits over the component's imports, and the component's export over the
//! logic crate.

use tensorgate_logic::{Call, Inference, LogEntry, Model, Output, Services, rest};
use tensorgate_types::{
    Error, ModelConfig, ModelSpec, ModelVersionStatus, Result, Settings, ShapeCheck, Signature,
};

use crate::bindings::exports::tensorgate::serving::rest::{Guest, Request, Response};
use crate::bindings::tensorgate::serving::{inference, telemetry};
use crate::convert;

/// What the component exports.
pub(crate) struct Gateway;

impl Guest for Gateway {
    fn handle(request: Request) -> Response {
        let (response, outcome) = rest::handle(
            &rest::Request {
                method: &request.method,
                path: &request.path,
                headers: &request.headers,
                body: &request.body,
            },
            &Host,
        );
        telemetry::report(telemetry::Outcome {
            model: &outcome.model,
            version: outcome.version,
            api: outcome.api,
            signature: &outcome.signature,
            rows: outcome.rows,
            code: outcome.code,
        });
        Response {
            status: response.status,
            headers: response.headers,
            body: response.body,
        }
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
        Settings::default()
    }

    fn reload(
        &self,
        _models: Option<Vec<ModelConfig>>,
        _metric_names: &[String],
    ) -> Result<Vec<(String, i64)>> {
        Err(Error::unimplemented("this gateway cannot reload models"))
    }

    fn log_sampled(&self, _model: &str) -> bool {
        false
    }

    fn log(&self, _entry: LogEntry) {}
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

    fn run(&self, calls: &[Call<'_>], _hold_from: u64) -> Result<Vec<Vec<Output>>> {
        let run = |call: &Call<'_>| {
            let inputs: Vec<_> = call
                .inputs
                .iter()
                .map(convert::input)
                .collect::<Result<_>>()?;
            self.predict(call.signature, &inputs, call.outputs)
                .map_err(convert::error)?
                .into_iter()
                .map(convert::output)
                .collect()
        };
        calls.iter().map(run).collect()
    }
}
