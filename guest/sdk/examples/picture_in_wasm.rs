//! A picture to a tensor as a component: a host gives it a file and has it decoded again and again,
//! to measure what the sandbox costs. Empty outside of WebAssembly.

#[cfg(target_arch = "wasm32")]
mod one_picture;

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "generated from the world below")]
mod shell {
    use std::cell::RefCell;
    use std::hint::black_box;

    use super::one_picture::to_tensor;

    wit_bindgen::generate!({
        inline: "
            package tensorgate:picture-speed;
            world picture-speed {
                /// Keeps a file.
                export prepare: func(file: list<u8>);
                /// Makes its tensor so many times; how many came out.
                export repeat: func(times: u32) -> u32;
                /// Makes the tensor of a file; nothing where it cannot be decoded.
                export once: func(file: list<u8>) -> list<u8>;
            }
        ",
    });

    thread_local! {
        static FILE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }

    struct Speed;

    export!(Speed);

    impl Guest for Speed {
        fn prepare(file: Vec<u8>) {
            FILE.replace(file);
        }

        fn repeat(times: u32) -> u32 {
            FILE.with_borrow(|file| {
                (0..times)
                    .filter(|_| black_box(to_tensor(black_box(file))).is_ok())
                    .count() as u32
            })
        }

        fn once(file: Vec<u8>) -> Vec<u8> {
            let tensor = to_tensor(&file).ok();
            tensor
                .and_then(|tensor| Some(tensor.bytes()?.to_vec()))
                .unwrap_or_default()
        }
    }
}
