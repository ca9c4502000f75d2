//! Calls `predict` below its bindings, with pointers and lengths that no bindings would make.

#![expect(unsafe_code, reason = "lies that safe bindings cannot tell")]

use tensorgate_test_programs::{Guest, Request, Response, answer, open_model};

struct RawLies;

tensorgate_test_programs::rest_only!(RawLies);

#[link(wasm_import_module = "tensorgate:serving/inference@0.1.0")]
unsafe extern "C" {
    #[link_name = "[method]model.predict"]
    fn predict(
        model: u32,
        signature: usize,
        signature_len: usize,
        inputs: usize,
        inputs_len: usize,
        outputs: usize,
        outputs_len: usize,
        result: *mut u8,
    );
}

/// A `named-tensor` as the canonical ABI lays it out: name, dtype, shape, data.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawInput {
    name: (usize, usize),
    dtype: u32,
    shape: (usize, usize),
    data_case: u32,
    data: (usize, usize),
    /// The second list of the larger case (strings).
    unused: (usize, usize),
}

impl Guest for RawLies {
    fn handle(request: Request) -> Response {
        let Ok(model) = open_model() else {
            return answer(500, "no model");
        };
        let data = vec![0_u8; 1 << 20];
        let shape = [data.len() as i64 / 4];
        let honest = RawInput {
            name: (c"x".as_ptr() as usize, 1),
            dtype: 1,
            shape: (shape.as_ptr() as usize, 1),
            data_case: 0,
            data: (data.as_ptr() as usize, data.len()),
            unused: (0, 0),
        };
        let mut signature = (c"double".as_ptr() as usize, 6);
        let mut inputs = vec![honest];
        let mut claimed = None;
        let not_utf8 = [0xff_u8, 0xfe];
        match request.path.as_str() {
            "/none" => {}
            "/data-beyond-memory" => inputs[0].data.1 = 0xf000_0000,
            "/data-wraps-around" => inputs[0].data = (0xffff_fff0, 0x20),
            "/shape-beyond-memory" => inputs[0].shape.1 = 0x1fff_ffff,
            "/shape-not-aligned" => inputs[0].shape.0 += 1,
            "/inputs-beyond-memory" => claimed = Some(0x0fff_ffff),
            "/name-beyond-memory" => inputs[0].name.1 = 0xf000_0000,
            "/name-not-utf8" => inputs[0].name = (not_utf8.as_ptr() as usize, 2),
            "/signature-not-utf8" => signature = (not_utf8.as_ptr() as usize, 2),
            "/no-such-case" => inputs[0].data_case = 9,
            // A gigabyte and more, all of it the same megabyte.
            "/same-bytes-often" => inputs = vec![honest; 4000],
            _ => return answer(404, "no such lie"),
        }
        let mut result = [0_u64; 4];
        // SAFETY: `result` has room for what `predict` writes (16 bytes); the lies are in what
        // the host reads, and the host must find them.
        unsafe {
            predict(
                model.handle(),
                signature.0,
                signature.1,
                inputs.as_ptr() as usize,
                claimed.unwrap_or(inputs.len()),
                8,
                0,
                result.as_mut_ptr().cast(),
            );
        }
        // The first byte tells a result from an error.
        answer(
            200,
            if result[0] & 0xff == 0 {
                "believed"
            } else {
                "told"
            },
        )
    }
}
