//! A host that gives components all that a dependency may inherit, and sees what they import.

use std::collections::BTreeMap;

use tokio::net::TcpListener;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

mod spin {
    wasmtime::component::bindgen!({
        path: "../../tests/composed/wit/deps/spin.wit",
        inline: "
            package test:host;
            world host {
                import fermyon:spin/key-value@2.0.0;
                import fermyon:spin/variables@2.0.0;
            }
        ",
        with: { "fermyon:spin/key-value.store": super::OpenStore },
    });
}
use spin::fermyon::spin::{key_value, variables};

/// A key-value store of this host.
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub struct OpenStore;

/// What comes of everything that is tried when everything may be.
pub(crate) const ALLOWED: &[(&str, &str)] = &[
    ("environment", "NAME=value"),
    ("directory", "file.txt"),
    ("variable", "ok value"),
    ("store", "ok"),
    ("connect", "ok"),
    // It has left the guest, and there is nobody: see `Nowhere`.
    ("fetch", "ErrorCode::HttpProtocolError"),
];

struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Nowhere,
}

/// Requests leave the guest, which is all that is looked at, and get nowhere.
struct Nowhere;

type Sent = (
    http::Response<WasiBody>,
    Box<dyn Future<Output = Result<(), Error>> + Send>,
);

impl WasiHttpHooks for Nowhere {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _fut: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        Box::new(async { Err(Error::ConnectionRefused) })
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.hooks,
        }
    }
}

impl variables::Host for State {
    fn get(&mut self, name: String) -> Result<String, variables::Error> {
        match name.as_str() {
            "key" => Ok("value".to_owned()),
            _ => Err(variables::Error::Undefined(name)),
        }
    }
}

type Opened = wasmtime::component::Resource<OpenStore>;

impl key_value::Host for State {}

impl key_value::HostStore for State {
    fn open(&mut self, _: String) -> Result<Opened, key_value::Error> {
        self.table
            .push(OpenStore)
            .map_err(|_| key_value::Error::StoreTableFull)
    }

    fn get(&mut self, _: Opened, _: String) -> Result<Option<Vec<u8>>, key_value::Error> {
        Ok(None)
    }

    fn set(&mut self, _: Opened, _: String, _: Vec<u8>) -> Result<(), key_value::Error> {
        Ok(())
    }

    fn delete(&mut self, _: Opened, _: String) -> Result<(), key_value::Error> {
        Ok(())
    }

    fn exists(&mut self, _: Opened, _: String) -> Result<bool, key_value::Error> {
        Ok(false)
    }

    fn get_keys(&mut self, _: Opened) -> Result<Vec<String>, key_value::Error> {
        Ok(Vec::new())
    }

    fn drop(&mut self, store: Opened) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}

/// Runs a component in a host that gives everything; calls a function of it.
async fn call<P, R>(bytes: &[u8], interface: &str, function: &str, arguments: P) -> R
where
    P: wasmtime::component::ComponentNamedList + wasmtime::component::Lower + Send + Sync,
    R: wasmtime::component::Lift + Send + Sync + 'static,
    (R,): wasmtime::component::ComponentNamedList + wasmtime::component::Lift,
{
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file.txt"), "text").unwrap();
    let engine = Engine::default();
    let component = Component::new(&engine, bytes).unwrap();
    let mut linker = Linker::<State>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
    variables::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state).unwrap();
    key_value::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state).unwrap();
    let wasi = WasiCtx::builder()
        .env("NAME", "value")
        .preopened_dir(directory.path(), "/", FsPerms::ReadOnly)
        .unwrap()
        .inherit_network()
        .allow_tcp(true)
        .build();
    let mut store = Store::new(
        &engine,
        State {
            table: ResourceTable::new(),
            wasi,
            http: WasiHttpCtx::new(),
            hooks: Nowhere,
        },
    );
    let instance = linker
        .instantiate_async(&mut store, &component)
        .await
        .unwrap();
    let interface = instance
        .get_export_index(&mut store, None, interface)
        .unwrap();
    let function = instance
        .get_export_index(&mut store, Some(&interface), function)
        .unwrap();
    let function = instance
        .get_typed_func::<P, (R,)>(&mut store, function)
        .unwrap();
    function.call_async(&mut store, arguments).await.unwrap().0
}

/// Instantiates a component in a host that links nothing.
pub(crate) async fn instantiate(bytes: &[u8]) {
    let engine = Engine::default();
    let component = Component::new(&engine, bytes).unwrap();
    let mut store = Store::new(&engine, ());
    let linker = Linker::new(&engine);
    linker
        .instantiate_async(&mut store, &component)
        .await
        .unwrap();
}

/// What came of everything that was tried.
pub(crate) async fn probe(bytes: &[u8]) -> BTreeMap<String, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let found: Vec<(String, String)> =
        call(bytes, "test:composed/front@0.1.0", "all", (address,)).await;
    found.into_iter().collect()
}

/// What came of a resource that was used through two interfaces.
pub(crate) async fn pair(bytes: &[u8]) -> String {
    call(bytes, "test:composed/pair@0.1.0", "both", ("m".to_owned(),)).await
}

/// Functions that a component imports, with their interfaces.
pub(crate) fn imported_functions(bytes: &[u8]) -> Vec<(String, String)> {
    let engine = Engine::default();
    let component = Component::new(&engine, bytes).unwrap();
    let mut found = Vec::new();
    for (interface, item) in component.component_type().imports(&engine) {
        if let ComponentItem::ComponentInstance(instance) = item.ty {
            for (name, item) in instance.exports(&engine) {
                if matches!(item.ty, ComponentItem::ComponentFunc(_)) {
                    found.push((interface.to_owned(), name.to_owned()));
                }
            }
        }
    }
    found
}

/// A component or module from its text.
pub(crate) fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}
