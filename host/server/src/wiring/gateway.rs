//! The gateway component behind the door: the built-in one, or a file's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tensorgate_core::{Manager, ModelReadiness};
use tensorgate_edge::{
    EdgeEngine, EdgeError, EdgeLimits, ExchangeResponse, Gateway, GrpcRequest, RestRequest,
    RestResponse, Services,
};
use tensorgate_types::{Error, ServableState};

use crate::door::{Handler, ModelHealth, ModelsHealth, StatusReport, Terms};
use crate::files;
use crate::metrics::{Api, Entrypoint};
use crate::options::ServeOptions;
use crate::profiler::{self, Profiler};

use super::{MeasuredModel, ModelFactory, Outcomes, status};

/// The component that the binary carries.
const BUILT_IN: &[u8] = include_bytes!(env!("TENSORGATE_GATEWAY_COMPONENT"));

/// Room beside the body for path and headers, which the HTTP parser keeps below 64 KiB.
const AROUND_THE_BODY: usize = 128 << 10;

/// What the door hands requests to: the component, and the shelf to tell whether it is ready.
#[derive(Debug)]
pub(crate) struct EdgeHandler {
    pub(crate) gateway: Gateway,
    pub(crate) manager: Manager<MeasuredModel>,
    pub(crate) outcomes: Arc<Outcomes>,
    /// Answers its own service, where it is enabled.
    pub(crate) profiler: Option<Profiler>,
    /// Knows where models run.
    pub(crate) factory: ModelFactory,
}

impl Handler for EdgeHandler {
    async fn handle(&self, request: RestRequest, terms: Terms) -> Result<RestResponse, Error> {
        let call = self.gateway.handle(request, terms.deadline);
        let (by, api) = (Entrypoint::Rest, Api::Other);
        let answer = self.outcomes.of_client(by, api, &terms, call);
        answer.await.map_err(told)
    }

    async fn exchange(
        &self,
        request: RestRequest,
        terms: Terms,
    ) -> Result<ExchangeResponse, Error> {
        let call = self.gateway.handle_exchange(request, terms.deadline);
        let (by, api) = (Entrypoint::Rest, Api::Other);
        let answer = self.outcomes.of_client(by, api, &terms, call);
        answer.await.map_err(told)
    }

    async fn grpc(&self, call: GrpcRequest, terms: Terms) -> Result<Vec<Bytes>, Error> {
        if let Some(profiler) = &self.profiler
            && call.method.starts_with(profiler::SERVICE)
        {
            return Ok(vec![profiler.handle(&call.method, &call.message).await?]);
        }
        let api = Api::of_method(&call.method);
        let call = self.gateway.handle_grpc(call, terms.deadline);
        let by = Entrypoint::Grpc;
        let answer = self.outcomes.of_client(by, api, &terms, call);
        Ok(answer.await.map_err(told)??.chunks)
    }

    async fn until_ready(&self, ready: bool) {
        let mut manager = self.manager.clone();
        while self.not_ready().is_none() != ready {
            if !manager.changed().await {
                // It has shut down: nothing changes any more.
                std::future::pending::<()>().await;
            }
        }
    }

    fn models(&self) -> ModelsHealth {
        let mut models = ModelsHealth {
            waiting: Vec::new(),
            failed: status::unable(&self.manager, &self.factory),
        };
        for (name, readiness) in self.manager.readiness().models {
            match readiness {
                ModelReadiness::Available { .. } => {}
                ModelReadiness::Pending => models.waiting.extend(self.loads_of(&name)),
                ModelReadiness::Retrying { version, error } => {
                    models
                        .failed
                        .push(failed(name, version, ServableState::Loading, &error));
                }
                ModelReadiness::Failed { version, error } => {
                    models
                        .failed
                        .push(failed(name, version, ServableState::End, &error));
                }
                ModelReadiness::NoVersions => models.failed.push(ModelHealth {
                    name,
                    version: None,
                    state: None,
                    error: Some("there is no version to serve".to_owned()),
                }),
            }
        }
        models
    }

    fn status(&self) -> StatusReport {
        status::report(&self.manager, &self.factory)
    }

    fn not_ready(&self) -> Option<String> {
        let readiness = self.manager.readiness();
        let waiting: Vec<&str> = readiness
            .models
            .iter()
            .filter(|(_, model)| !model.is_settled())
            .map(|(name, _)| name.as_str())
            .collect();
        (!waiting.is_empty()).then(|| format!("still loading: {}", waiting.join(", ")))
    }
}

impl EdgeHandler {
    /// The versions that a model is waited for with; where none is known yet, the model alone.
    fn loads_of(&self, name: &str) -> Vec<ModelHealth> {
        let statuses = self.manager.status(name, None).unwrap_or_default();
        let coming = |state| matches!(state, ServableState::Start | ServableState::Loading);
        let loads: Vec<ModelHealth> = statuses
            .into_iter()
            .filter(|status| coming(status.state))
            .map(|status| ModelHealth {
                name: name.to_owned(),
                version: Some(status.version),
                state: Some(status.state.name()),
                error: status.status.err().map(|(_, message)| message),
            })
            .collect();
        if !loads.is_empty() {
            return loads;
        }
        vec![ModelHealth {
            name: name.to_owned(),
            version: None,
            state: None,
            error: None,
        }]
    }
}

fn failed(name: String, version: i64, state: ServableState, error: &Error) -> ModelHealth {
    ModelHealth {
        name,
        version: Some(version),
        state: Some(state.name()),
        error: Some(error.to_string()),
    }
}

/// What a client is told when the component could not answer: for a bound that an operator can
/// move, the flag.
fn told(error: EdgeError) -> Error {
    match error {
        EdgeError::OutOfMemory { limit, .. } => {
            let message = format!(
                "{} (--sandbox_memory_bytes={limit})",
                error.public_message()
            );
            Error::new(error.code(), message).with_source(error)
        }
        other => other.into(),
    }
}

/// Sets up the sandbox.
///
/// # Errors
/// When its limits make no sense, or ask for more than there is.
pub(crate) fn sandbox(options: &ServeOptions) -> Result<EdgeEngine, Error> {
    EdgeEngine::new(limits(options), cache_dir(options).as_deref())
        .map_err(|error| Error::invalid_argument(chain(&error)))
}

/// Compiles the component, or finds it in the cache, and connects it.
///
/// # Errors
/// When there is no component, or it is no gateway.
pub(crate) async fn load_gateway(
    options: &ServeOptions,
    engine: &EdgeEngine,
    services: Services,
) -> Result<Gateway, Error> {
    let (wasm, name) = match &options.gateway_component {
        None => (Bytes::from_static(BUILT_IN), "the built-in gateway".into()),
        Some(file) => (read(file)?, file.to_string_lossy()),
    };
    engine
        .load(wasm, services)
        .await
        .map_err(|error| Error::invalid_argument(format!("{name}: {}", chain(&error))))
}

fn read(file: &Path) -> Result<Bytes, Error> {
    let read = files::read(file, "a component of 256 MiB at most", 256 << 20);
    read.map(Bytes::from).map_err(|error| {
        let file = file.display();
        Error::invalid_argument(format!("cannot read the gateway component {file}: {error}"))
    })
}

fn limits(options: &ServeOptions) -> EdgeLimits {
    EdgeLimits {
        slots: options.sandbox_slots,
        // The threads of the original's HTTP server; its gRPC server has others.
        rest_slots: match options.rest_api_num_threads {
            0 => usize::MAX,
            threads => threads,
        },
        waiting: options.sandbox_max_waiting,
        guest_time: options.sandbox_cpu_budget,
        memory: options.sandbox_memory_bytes,
        request_bytes: options.max_body_bytes.saturating_add(AROUND_THE_BODY),
        ..EdgeLimits::default()
    }
}

/// Where compiled components are kept; nowhere when there is no home.
pub(crate) fn cache_dir(options: &ServeOptions) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    options.cache_dir.clone().or_else(|| {
        absolute("XDG_CACHE_HOME")
            .or_else(|| Some(absolute("HOME")?.join(".cache")))
            .map(|cache| cache.join("tensorgate/components"))
    })
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
