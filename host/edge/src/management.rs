//! The WIT interfaces `management`, `settings` and `request-log`: what an operator may ask for and
//! has asked for.
//!
//! A request has one new configuration at most, one lot to draw and one entry to write. A
//! component that asks for more is told so, or not listened to: with more it could hold up every
//! reload, or fill a disk, from within one request.

use tensorgate_types::{Error, LogKind, LoggingConfig, ModelConfig, ModelVersionPolicy, Result};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use crate::LogEntry;
use crate::contract::management::{
    LogEntryIn, LogKindIn, LoggingConfigIn, ModelConfigIn, SettingsOut, VersionPolicyIn,
};
use crate::inference::{Answer, Store, refuse, wait_for};
use crate::lower::error_out;
use crate::state::EdgeState;

const MANAGEMENT: &str = "tensorgate:serving/management@0.1.0";
const SETTINGS: &str = "tensorgate:serving/settings@0.1.0";
const REQUEST_LOG: &str = "tensorgate:serving/request-log@0.1.0";

pub(crate) fn add_to_linker(linker: &mut Linker<EdgeState>) -> wasmtime::Result<()> {
    let mut management = linker.instance(MANAGEMENT)?;
    management.func_wrap("models", |store, ()| Ok((models(&store),)))?;
    management.func_wrap_async("reload", |store, call| Box::new(reload(store, call)))?;
    linker
        .instance(SETTINGS)?
        .func_wrap("get", |store, ()| Ok((settings(&store),)))?;
    let mut log = linker.instance(REQUEST_LOG)?;
    log.func_wrap("sampled", sampled)?;
    log.func_wrap("write", write)?;
    Ok(())
}

// --- management ---

fn models(store: &StoreContextMut<'_, EdgeState>) -> Option<Vec<String>> {
    store.data().services.management.models()
}

type ReloadCall = (Option<Vec<ModelConfigIn>>, Vec<String>);

async fn reload(
    mut store: Store<'_>,
    (models, metric_names): ReloadCall,
) -> wasmtime::Result<Answer<Vec<(String, i64)>>> {
    if std::mem::replace(&mut store.data_mut().reloaded, true) {
        let error = Error::resource_exhausted("one request may change the configuration once");
        return Ok((refuse(store.data(), &error),));
    }
    let models = models.map(|models| models.into_iter().map(model_config).collect());
    let management = std::sync::Arc::clone(&store.data().services.management);
    let deadline = store.data().deadline;
    let reload = management.reload(models, metric_names, deadline);
    let result = wait_for(&mut store, reload).await;
    Ok((result.map_err(|error| error_out(&error)),))
}

fn model_config(config: ModelConfigIn) -> ModelConfig {
    ModelConfig {
        name: config.name,
        base_path: config.base_path,
        model_type: config.model_type,
        model_platform: config.model_platform,
        version_policy: config.version_policy.map(|policy| match policy {
            VersionPolicyIn::Latest(count) => ModelVersionPolicy::Latest(count),
            VersionPolicyIn::All => ModelVersionPolicy::All,
            VersionPolicyIn::Specific(versions) => ModelVersionPolicy::Specific(versions),
        }),
        version_labels: config.version_labels,
        logging: config.logging.map(logging_config),
    }
}

fn logging_config(config: LoggingConfigIn) -> LoggingConfig {
    LoggingConfig {
        collector: config.collector,
        filename_prefix: config.filename_prefix,
        sampling_rate: config.sampling_rate,
    }
}

// --- settings ---

fn settings(store: &StoreContextMut<'_, EdgeState>) -> SettingsOut {
    let settings = store.data().services.settings;
    SettingsOut {
        tensor_content: settings.tensor_content,
        check_method_names: settings.check_method_names,
    }
}

// --- request-log ---

/// Draws once; a component that asks again hears the same, since it could otherwise ask until the
/// lot falls as it likes.
fn sampled(
    mut store: StoreContextMut<'_, EdgeState>,
    (model,): (WasmStr,),
) -> wasmtime::Result<(bool,)> {
    if let Some(drawn) = store.data().sampled {
        return Ok((drawn,));
    }
    let drawn = {
        let model = model.to_str(&store)?;
        store.data().services.request_log.sampled(&model)
    };
    store.data_mut().sampled = Some(drawn);
    Ok((drawn,))
}

/// Takes one entry, of a request that was drawn; whatever else comes is dropped and counted.
fn write(
    mut store: StoreContextMut<'_, EdgeState>,
    (entry,): (LogEntryIn,),
) -> wasmtime::Result<()> {
    let state = store.data_mut();
    let first = state.sampled == Some(true) && !std::mem::replace(&mut state.logged, true);
    match log_entry(state, entry) {
        Ok(entry) if first => state.services.request_log.write(entry),
        _ => state.shared.counters.refused_calls.increment(),
    }
    Ok(())
}

fn log_entry(state: &EdgeState, entry: LogEntryIn) -> Result<LogEntry> {
    let limits = &state.shared.limits;
    let outside = &state.outside;
    let request = outside.assemble(entry.request, limits.grpc_request_bytes)?;
    let response = outside.assemble(entry.response, limits.grpc_response_bytes)?;
    let copied = request.copied + response.copied;
    state.shared.counters.bytes_from_guests.add(copied as u64);
    Ok(LogEntry {
        kind: match entry.kind {
            LogKindIn::Classify => LogKind::Classify,
            LogKindIn::Regress => LogKind::Regress,
            LogKindIn::Predict => LogKind::Predict,
            LogKindIn::MultiInference => LogKind::MultiInference,
        },
        model: entry.model,
        version: entry.version,
        signature_name: entry.signature_name,
        request: request.chunks,
        response: response.chunks,
    })
}
