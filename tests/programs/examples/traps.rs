//! One way to trap per path; behind the door all paths begin with `/v1`.

use tensorgate_test_programs::{Guest, Request, Response, answer};

struct Traps;

tensorgate_test_programs::rest_only!(Traps);

impl Guest for Traps {
    fn handle(request: Request) -> Response {
        match request.path.trim_start_matches("/v1") {
            "/panic" => panic!("the program says why"),
            "/abort" => std::process::abort(),
            "/exit" => std::process::exit(0),
            "/out-of-bounds" => read_far_away(),
            _ => answer(200, "fine"),
        }
    }
}

#[expect(unsafe_code, reason = "a read that safe code cannot make")]
fn read_far_away() -> Response {
    // SAFETY: none; the sandbox must catch it.
    let byte = unsafe { std::ptr::read_volatile((u32::MAX - 1) as usize as *const u8) };
    answer(200, [byte])
}
