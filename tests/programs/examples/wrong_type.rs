//! Says that it is a gateway, and has a `handle` of another type.

#![expect(unsafe_code, missing_docs, reason = "generated from the text below")]

wit_bindgen::generate!({
    inline: "
        package tensorgate:serving@0.1.0;
        interface rest {
            handle: func(request: string) -> string;
        }
        interface grpc {
            handle: func(request: string) -> string;
        }
        interface exchange {
            handle: func(request: string) -> string;
        }
        world gateway {
            export rest;
            export grpc;
            export exchange;
        }
    ",
});

struct Other;

export!(Other);

impl exports::tensorgate::serving::rest::Guest for Other {
    fn handle(request: String) -> String {
        request
    }
}

impl exports::tensorgate::serving::grpc::Guest for Other {
    fn handle(request: String) -> String {
        request
    }
}

impl exports::tensorgate::serving::exchange::Guest for Other {
    fn handle(request: String) -> String {
        request
    }
}
