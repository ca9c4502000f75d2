//! What one request owns inside the sandbox: the data of its store.
//!
//! Made for a request and dropped with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tensorgate_edge::{Native, NativeView};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::budget::Budget;
use super::key_value::KeyValueFile;
use super::memory::Memory;
use super::outgoing::Outgoing;
use super::stdio::Output;
use crate::hosts::AllowedHosts;
use crate::variables::Variables;

/// Entries in the resource table: streams, requests, models, stores.
const MAX_RESOURCES: usize = 4096;

/// Random bytes in one call. They are made on the host's time.
const MAX_RANDOM: u64 = 64 << 10;

/// What every instance of a component sees of its app.
pub(super) struct Settings {
    pub(super) id: String,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) mounts: Vec<Mount>,
    /// Whether files may be written where they are mounted.
    pub(super) writable: bool,
    pub(super) variables: Arc<Variables>,
    pub(super) hosts: AllowedHosts,
    pub(super) key_value_stores: BTreeSet<String>,
    /// None where no component of the app has a store.
    pub(super) key_value: Option<Arc<KeyValueFile>>,
    pub(super) outputs: [Output; 2],
}

/// A directory of the host, and where the component sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) host: PathBuf,
    pub(super) guest: String,
}

pub(super) struct State {
    pub(super) table: ResourceTable,
    pub(super) component: Arc<Settings>,
    pub(super) budget: Arc<Budget>,
    pub(super) memory: Memory,
    native: Native,
    http: WasiHttpCtx,
    outgoing: Outgoing,
    /// Made when the component first asks WASI for something: seeding random generators for
    /// nothing costs as much as a small request.
    wasi: Option<Box<WasiCtx>>,
}

impl State {
    pub(super) fn new(
        component: Arc<Settings>,
        budget: Arc<Budget>,
        memory: Memory,
        native: Native,
        outgoing: Outgoing,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Self {
            table,
            component,
            budget,
            memory,
            native,
            http: WasiHttpCtx::new(),
            outgoing,
            wasi: None,
        }
    }
}

/// A context that allows what the manifest grants.
fn context(settings: &Settings) -> WasiCtx {
    // What is not named here is denied: arguments, standard input, sockets.
    let mut context = WasiCtx::builder();
    for (name, value) in &settings.environment {
        context.env(name, value);
    }
    let rights = if settings.writable {
        FsPerms::ReadWrite
    } else {
        FsPerms::ReadOnly
    };
    for Mount { host, guest } in &settings.mounts {
        // It was there when the app was loaded; one that has gone is not seen.
        if let Err(error) = context.preopened_dir(host, guest, rights) {
            tracing::warn!(
                "component {}: {} is not there: {error}",
                settings.id,
                host.display()
            );
        }
    }
    let [stdout, stderr] = settings.outputs.clone();
    context
        .stdout(stdout)
        .stderr(stderr)
        .max_random_size(MAX_RANDOM)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ctx = self
            .wasi
            .get_or_insert_with(|| Box::new(context(&self.component)));
        WasiCtxView {
            ctx,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.outgoing,
        }
    }
}

impl NativeView for State {
    fn native(&self) -> (&Native, &ResourceTable) {
        (&self.native, &self.table)
    }

    fn native_mut(&mut self) -> (&mut Native, &mut ResourceTable) {
        (&mut self.native, &mut self.table)
    }
}
