//! Opens thousands of models: under `/keep` it holds them all, else it drops each one.

use tensorgate_test_programs::types::Error;
use tensorgate_test_programs::{Guest, Request, Response, answer, open_model};

struct ManyModels;

tensorgate_test_programs::rest_only!(ManyModels);

impl Guest for ManyModels {
    fn handle(request: Request) -> Response {
        let mut held = Vec::new();
        let mut refused: Option<Error> = None;
        let mut opened = 0;
        for _ in 0..5000 {
            match open_model() {
                Err(error) => refused = Some(error),
                Ok(model) => {
                    opened += 1;
                    if request.path == "/keep" {
                        held.push(model);
                    }
                }
            }
        }
        let refused = refused.map(|error| format!("{:?}", error.code));
        answer(200, format!("opened {opened}, refused {refused:?}"))
    }
}
