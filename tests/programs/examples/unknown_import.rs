//! A gateway that needs what nobody gives it.

#![expect(unsafe_code, missing_docs, reason = "generated from the text below")]

wit_bindgen::generate!({
    inline: "
        package tensorgate:serving@0.1.0;
        interface root-shell {
            run: func(command: string) -> string;
        }
        interface rest {
            record request {
                method: string,
                path: string,
                headers: list<tuple<string, string>>,
                body: list<u8>,
            }
            record response {
                status: u16,
                headers: list<tuple<string, string>>,
                body: list<u8>,
            }
            handle: func(request: request) -> response;
        }
        world gateway {
            import root-shell;
            export rest;
        }
    ",
});

use exports::tensorgate::serving::rest::{Guest, Request, Response};

struct Other;

export!(Other);

impl Guest for Other {
    fn handle(request: Request) -> Response {
        Response {
            status: 200,
            headers: Vec::new(),
            body: tensorgate::serving::root_shell::run(&request.path).into_bytes(),
        }
    }
}
