//! One component of an app: compiled, linked, and called once for each request.
//!
//! **Invariant:** an instance lives for one request. A trap, a loop, a memory bomb costs its own
//! request and nobody else anything.

use std::sync::Arc;

use http::{Request, Response};
use tensorgate_edge::NativeModels;
use tensorgate_types::Deadline;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::timeout;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component as Compiled, Linker};
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::{WasiBody, WasiHttpView as _};

use super::app::Chain;
use super::budget::{Budget, Counted, OutOfTime};
use super::engine::{Room, because};
use super::memory::Memory;
use super::outgoing::{Outgoing, Sender};
use super::state::{Settings, State};
use super::{Console, Limits, RunError, key_value, variables};

/// Handles of all kinds that an instance may have at a time.
const MAX_HANDLES: usize = 4096;

/// Room for small lists in one call, which are larger on the host's side.
const AROUND_A_CALL: usize = 256 << 10;

/// Interfaces that the models of this process give.
const NATIVE: [&str; 3] = [
    "tensorgate:serving/inference@",
    "tensorgate:serving/runs@",
    "tensorgate:edge/models@",
];

/// What a component has to export.
const HANDLER: &str = "wasi:http/incoming-handler@0.2";

/// Gives components what there is here.
pub(super) fn linker(room: &Room, native: bool) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(&room.engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    variables::add_to_linker(&mut linker)?;
    key_value::add_to_linker(&mut linker)?;
    tensorgate_edge::link_no_processor(&mut linker)?;
    if native {
        tensorgate_edge::link_models(&mut linker)?;
    }
    Ok(linker)
}

/// A component, ready to be called.
pub(super) struct Component {
    settings: Arc<Settings>,
    proxy: ProxyPre<State>,
}

/// What calls need beside the component.
pub(super) struct Around {
    pub(super) room: Arc<Room>,
    pub(super) models: NativeModels,
    pub(super) sender: Sender,
    pub(super) console: Console,
}

/// Why there is no response from a guest.
#[derive(Debug)]
pub(super) enum Failed {
    /// There are too many requests.
    Busy(String),
    /// The guest has failed, which the log says.
    Guest,
}

impl Component {
    /// Compiles a component, or finds it in the cache. Takes tenths of a second where it has to
    /// compile.
    pub(super) fn load(
        room: &Room,
        linker: &Linker<State>,
        wasm: &[u8],
        native: bool,
        settings: Settings,
    ) -> Result<Self, RunError> {
        let id = &settings.id;
        let compiled = Compiled::from_binary(&room.engine, wasm)
            .map_err(|error| because(format!("failed to compile component {id:?}"), error))?;
        check_exports(room, &compiled, id)?;
        if !native {
            check_imports(room, &compiled, id)?;
        }
        let instance = linker
            .instantiate_pre(&compiled)
            .map_err(|error| because(format!("failed to link component {id:?}"), error))?;
        let proxy = ProxyPre::new(instance)
            .map_err(|error| because(format!("component {id:?} cannot be called"), error))?;
        Ok(Self {
            settings: Arc::new(settings),
            proxy,
        })
    }

    /// Answers a request. Returns when the guest has set its response; the guest goes on.
    pub(super) async fn handle(
        self: &Arc<Self>,
        around: &Arc<Around>,
        chain: Chain,
        request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Failed> {
        let slot = around.enter().await?;
        let (sender, receiver) = oneshot::channel();
        let guest = Arc::clone(self).run(Arc::clone(around), chain, request, sender, slot);
        let guest = tokio::spawn(guest);
        match receiver.await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(code)) => {
                tracing::error!(
                    component = self.settings.id,
                    "Error processing request: the guest answered with {code:?}"
                );
            }
            Err(_) => {
                // It has ended; what its task said is in the log already, unless it was nothing.
                if matches!(guest.await, Ok(true)) {
                    tracing::error!(
                        component = self.settings.id,
                        "Error processing request: the guest ended without setting a response"
                    );
                }
            }
        }
        Err(Failed::Guest)
    }

    /// The whole life of an instance. Gives whether it ended well.
    async fn run(
        self: Arc<Self>,
        around: Arc<Around>,
        chain: Chain,
        request: Request<WasiBody>,
        sender: oneshot::Sender<Result<Response<WasiBody>, ErrorCode>>,
        _slot: OwnedSemaphorePermit,
    ) -> bool {
        let limits = &around.room.limits;
        let budget = Budget::new(limits.cpu);
        let mut store = self.store(&around, chain, &budget);
        let _running = around.room.ticker.run();
        let called = self.call(&mut store, request, sender);
        let ended = timeout(limits.life, Counted::new(budget, called)).await;
        let id = &self.settings.id;
        let problem = match ended {
            Ok(Ok(())) => return true,
            Err(_) => format!("the guest did not end within {:?}", limits.life),
            Ok(Err(error)) => told(&error, store.data(), limits),
        };
        tracing::error!(
            component = id,
            "Error processing request: guest invocation failed: {problem}"
        );
        false
    }

    fn store(&self, around: &Arc<Around>, chain: Chain, budget: &Arc<Budget>) -> Store<State> {
        let limits = &around.room.limits;
        let outgoing = Outgoing {
            component: Arc::clone(&self.settings),
            sender: around.sender.clone(),
            chain,
            console: around.console.clone(),
        };
        let state = State::new(
            Arc::clone(&self.settings),
            Arc::clone(budget),
            Memory::new(limits.memory),
            around.models.for_request(Deadline::after(limits.life)),
            outgoing,
        );
        let mut store = Store::new(&around.room.engine, state);
        store.limiter(|state| &mut state.memory);
        store.epoch_deadline_callback(|store| {
            store.data().budget.check()?;
            // Others want the thread too.
            Ok(UpdateDeadline::Yield(1))
        });
        store.set_epoch_deadline(1);
        store.set_hostcall_fuel(limits.memory.saturating_add(AROUND_A_CALL));
        store.set_max_component_handles(MAX_HANDLES);
        store
    }

    async fn call(
        &self,
        store: &mut Store<State>,
        request: Request<WasiBody>,
        sender: oneshot::Sender<Result<Response<WasiBody>, ErrorCode>>,
    ) -> wasmtime::Result<()> {
        let scheme = match request.uri().scheme_str() {
            Some("https") => Scheme::Https,
            _ => Scheme::Http,
        };
        let mut http = store.data_mut().http();
        let request = http.new_incoming_request(scheme, request)?;
        let out = http.new_response_outparam(sender)?;
        let proxy = self.proxy.instantiate_async(&mut *store).await?;
        let handler = proxy.wasi_http_incoming_handler();
        handler.call_handle(store, request, out).await
    }
}

impl Around {
    /// A place for an instance, now or soon.
    async fn enter(&self) -> Result<OwnedSemaphorePermit, Failed> {
        let Room { slots, limits, .. } = &*self.room;
        if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
            return Ok(slot);
        }
        let Ok(_place) = self.room.line.try_acquire() else {
            return Err(Failed::Busy(format!(
                "{} requests are running and {} are waiting; try again later",
                limits.instances, limits.waiting
            )));
        };
        match timeout(limits.patience, Arc::clone(slots).acquire_owned()).await {
            Ok(Ok(slot)) => Ok(slot),
            // Nobody closes these slots: what is left is that none came free.
            Ok(Err(_)) | Err(_) => Err(Failed::Busy(format!(
                "{} requests are running, and none ended within {:?}; try again later",
                limits.instances, limits.patience
            ))),
        }
    }
}

fn check_exports(room: &Room, compiled: &Compiled, id: &str) -> Result<(), RunError> {
    let kind = compiled.component_type();
    let exports: Vec<&str> = kind.exports(&room.engine).map(|(name, _)| name).collect();
    if exports.iter().any(|name| name.starts_with(HANDLER)) {
        return Ok(());
    }
    let other = exports.iter().find(|name| {
        ["wasi:http/", "fermyon:spin/inbound-"]
            .iter()
            .any(|start| name.starts_with(start))
    });
    let found = match other {
        Some(other) => format!("it exports {other}, which Tensorgate does not call"),
        None => "it exported none of those".to_owned(),
    };
    Err(RunError::new(format!(
        "Expected component {id:?} to export one of `{HANDLER}.*` but {found}"
    )))
}

/// Whether everything of `tensorgate:serving` is there, where no models are.
fn check_imports(room: &Room, compiled: &Compiled, id: &str) -> Result<(), RunError> {
    let kind = compiled.component_type();
    let mut imports = kind.imports(&room.engine);
    let native = imports.find(|(name, item)| {
        let is_native = NATIVE.iter().any(|start| name.starts_with(start));
        // Of some nothing is left but the types that others are written in.
        is_native && has_functions(room, &item.ty)
    });
    match native {
        None => Ok(()),
        Some((name, _)) => Err(RunError::new(format!(
            "component {id:?} imports {name}, which none of its dependencies satisfies, and no \
             models are served in this process; expected models in [application.tool.tensorgate], \
             or a dependency such as \"tensorgate:serving/inference@0.1.0\" = {{ path = ... }}"
        ))),
    }
}

fn has_functions(room: &Room, item: &ComponentItem) -> bool {
    let ComponentItem::ComponentInstance(instance) = item else {
        return false;
    };
    let mut exports = instance.exports(&room.engine);
    exports.any(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
}

/// What a failed call was.
fn told(error: &wasmtime::Error, state: &State, limits: &Limits) -> String {
    if let Some(out) = error.downcast_ref::<OutOfTime>() {
        return out.to_string();
    }
    if state.memory.refused {
        return format!(
            "the guest needs more than the {} bytes of memory that it may have: {error:?}",
            limits.memory
        );
    }
    format!("{error:?}")
}
