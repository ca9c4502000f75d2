//! Recursion without an end.

use std::hint::black_box;

use tensorgate_test_programs::{Guest, Request, Response, answer};

struct DeepRecursion;

tensorgate_test_programs::rest_only!(DeepRecursion);

impl Guest for DeepRecursion {
    fn handle(request: Request) -> Response {
        answer(200, dig(request.body.len() as u64).to_string())
    }
}

#[expect(unconditional_recursion, reason = "what this program is for")]
#[inline(never)]
fn dig(depth: u64) -> u64 {
    // Arithmetic on the result keeps it from being a tail call; nothing lies in linear memory,
    // so that it is the machine's stack that ends.
    black_box(dig(black_box(depth).wrapping_add(1)).wrapping_mul(3))
}
