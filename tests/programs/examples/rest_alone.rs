//! Half a gateway: it answers over REST, and exports nothing for gRPC calls.

#![expect(unsafe_code, missing_docs, reason = "generated from the text below")]

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package test:half@0.1.0;
        world half {
            export tensorgate:serving/rest@0.1.0;
        }
    ",
    generate_all,
});

use exports::tensorgate::serving::rest::{Guest, Request, Response};

struct Half;

export!(Half);

impl Guest for Half {
    fn handle(request: Request) -> Response {
        Response {
            status: 200,
            headers: Vec::new(),
            body: request.body,
        }
    }
}
