//! Uses handles that it does not own, one way per path. Bindings would not let it.

#![expect(unsafe_code, reason = "handles that safe bindings cannot forge")]

use std::mem::forget;

use tensorgate_test_programs::{Guest, Request, Response, answer, open_model};

struct ForeignHandles;

tensorgate_test_programs::rest_only!(ForeignHandles);

#[link(wasm_import_module = "tensorgate:serving/inference@0.1.0")]
unsafe extern "C" {
    #[link_name = "[method]model.version"]
    fn version(model: u32) -> i64;
    #[link_name = "[resource-drop]model"]
    fn close(model: u32);
}

impl Guest for ForeignHandles {
    fn handle(request: Request) -> Response {
        let Ok(model) = open_model() else {
            return answer(500, "no model");
        };
        let own = model.handle();
        // From here on this program counts its handles itself.
        forget(model);
        // SAFETY: these calls touch no memory; whether the handles are good is for the host to
        // find out.
        let version = unsafe {
            match request.path.as_str() {
                "/own" => version(own),
                "/zero" => version(0),
                "/next" => version(own + 1),
                "/far" => version(1 << 30),
                "/last" => version(u32::MAX),
                "/dropped" => {
                    close(own);
                    version(own)
                }
                "/dropped-twice" => {
                    close(own);
                    close(own);
                    0
                }
                "/drop-foreign" => {
                    close(own + 7);
                    0
                }
                _ => return answer(404, "no such handle"),
            }
        };
        answer(200, version.to_string())
    }
}
