//! The parser as a component: a host gives it a body and has it parsed again and again, to measure
//! what the sandbox costs.

#[cfg(target_arch = "wasm32")]
#[path = "one_input/mod.rs"]
mod one_input;

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "generated from the world below")]
mod shell {
    use std::cell::RefCell;
    use std::hint::black_box;

    use tensorgate_logic::parse_predict;
    use tensorgate_types::DType;

    use super::one_input::OneInput;

    wit_bindgen::generate!({
        inline: "
            package tensorgate:parse-speed;
            world parse-speed {
                /// Keeps a body, and the number of the type that its tensor is to have.
                export prepare: func(body: list<u8>, dtype: u32);
                /// Parses it so many times; the number of tensors that came out.
                export parse: func(times: u32) -> u64;
            }
        ",
    });

    thread_local! {
        static PREPARED: RefCell<(Vec<u8>, DType)> =
            const { RefCell::new((Vec::new(), DType::INVALID)) };
    }

    struct Speed;

    export!(Speed);

    impl Guest for Speed {
        fn prepare(body: Vec<u8>, dtype: u32) {
            PREPARED.replace((body, DType::from_number(dtype)));
        }

        fn parse(times: u32) -> u64 {
            PREPARED.with_borrow(|(body, dtype)| {
                let mut source = OneInput::new(*dtype);
                (0..times)
                    .filter_map(|_| parse_predict(black_box(body), &mut source).ok())
                    .map(|request| black_box(request).inputs.len() as u64)
                    .sum()
            })
        }
    }
}
