//! Not a gateway: it exports something else.

#![expect(unsafe_code, missing_docs, reason = "generated from the text below")]

wit_bindgen::generate!({
    inline: "
        package test:other@0.1.0;
        world other {
            export answer: func() -> u32;
        }
    ",
});

struct Other;

export!(Other);

impl Guest for Other {
    fn answer() -> u32 {
        42
    }
}
