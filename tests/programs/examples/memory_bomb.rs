//! Takes memory until there is none. Under `/polite` it stops asking when it is refused, and
//! answers.

use tensorgate_test_programs::{Guest, Request, Response, answer};

struct MemoryBomb;

tensorgate_test_programs::rest_only!(MemoryBomb);

const PIECE: usize = 1 << 20;

impl Guest for MemoryBomb {
    fn handle(request: Request) -> Response {
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        loop {
            let mut piece = Vec::new();
            if request.path == "/polite" && piece.try_reserve_exact(PIECE).is_err() {
                let held = pieces.len();
                drop(pieces);
                return answer(200, format!("{held} MiB"));
            }
            piece.resize(PIECE, 1);
            pieces.push(piece);
        }
    }
}
