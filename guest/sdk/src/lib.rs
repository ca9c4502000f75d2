//! For writers of processors: one function each way over typed tensors.
//!
//! A processor is the code that stands between what users send and what a model takes. It is
//! built as a WebAssembly component (`cargo build --release --target wasm32-wasip2`, crate type
//! `cdylib`), runs in a sandbox beside the model, and belongs to it. `wit/processor.wit` is the
//! contract; this crate is the same in Rust's words.
//!
//! ```
//! use tensorgate_sdk::{
//!     Answer, Context, DType, Description, Error, Outputs, Processor, Request, Result, Step,
//!     Subject, Tensor,
//! };
//!
//! /// Takes temperatures in Fahrenheit for a model that wants Celsius.
//! struct Fahrenheit;
//!
//! impl Processor for Fahrenheit {
//!     fn describe(model: &Subject) -> Result<Vec<Description>> {
//!         let signature = model.signature("serving_default")?;
//!         signature.expect_input("celsius", DType::FLOAT, &[-1])?;
//!         Ok(vec![
//!             Description::of("serving_default").input("fahrenheit", DType::FLOAT, &[-1]),
//!         ])
//!     }
//!
//!     fn preprocess(context: &Context, request: Request) -> Result<Step> {
//!         let inputs = request.tensors()?;
//!         let fahrenheit = inputs.view_of::<f32>("fahrenheit", &[-1])?;
//!         if let Some(cold) = fahrenheit.values().iter().find(|value| **value < -459.67) {
//!             return Err(Error::invalid_argument(format!("{cold} is below absolute zero")));
//!         }
//!         let celsius = Tensor::build(fahrenheit.shape(), |celsius: &mut [f32]| {
//!             for (celsius, fahrenheit) in celsius.iter_mut().zip(fahrenheit.values()) {
//!                 *celsius = (fahrenheit - 32.0) / 1.8;
//!             }
//!             Ok(())
//!         })?;
//!         Ok(context.call([("celsius", celsius)]).into())
//!     }
//!
//!     fn postprocess(_context: &Context, outputs: Outputs) -> Result<Answer> {
//!         Ok(Answer::tensors(outputs))
//!     }
//! }
//!
//! tensorgate_sdk::export!(Fahrenheit);
//! # fn main() {}
//! ```
//!
//! | feature | |
//! |---|---|
//! | `json` (default) | `Answer::json`, `Body::parse_json` |
//! | `image` | module `image`: JPEG and PNG files to pixels, sizes and tensors |
//! | `ndarray` | arrays from tensors and tensors from arrays |
//! | `tabular` | module `tabular`: CSV to columns and to serialized `tf.Example`s |
//! | `text` | module `text`: WordPiece, and words as Keras has them, by a packed vocabulary |
//!
//! A processor may call [`Model`]s itself. [`setting`] reads what the operator has set for it, and
//! the module [`split`] divides requests by shares.
//!
//! Processors are tested natively, as any other code: outside of a component nothing here needs a
//! server, and the models that a processor calls are what a test says (`testing::with_models`), as
//! are its settings (`testing::with_settings`).
//!
//! **Invariant:** what is the client's fault becomes the client's error, with its reason; nothing
//! here panics on data.

#[cfg(feature = "ndarray")]
mod array;
mod body;
#[cfg(target_arch = "wasm32")]
mod convert;
mod describe;
#[cfg(feature = "image")]
pub mod image;
mod models;
mod processor;
mod rows;
mod settings;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod shell;
pub mod split;
mod state;
mod strings;
#[cfg(feature = "tabular")]
pub mod tabular;
mod tensor;
mod tensors;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
#[cfg(feature = "text")]
pub mod text;

pub use body::Body;
pub use describe::{Description, Signature, Subject, TensorInfo};
pub use models::{Model, Run};
pub use processor::{Answer, Call, Context, Payload, Processor, Request, Step};
pub use settings::setting;
pub use state::{keep, take_kept};
pub use strings::Strings;
pub use tensor::{Element, Tensor, View};
pub use tensorgate_types::{
    DEFAULT_SIGNATURE, DType, Error, ErrorCode, ModelSpec, Result, VersionChoice,
};
pub use tensors::{Outputs, Tensors};

/// The contract in Rust, generated.
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings {
    wit_bindgen::generate!({
        world: "model-processor",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "tensorgate_sdk::bindings",
        export_macro_name: "export_processor",
        generate_all,
    });
}

/// Makes a [`Processor`] what the component exports. Once in a crate; nothing outside of
/// WebAssembly.
#[macro_export]
macro_rules! export {
    ($processor:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Shell = $crate::shell::Shell<$processor>;
    $crate::bindings::export_processor!(Shell with_types_in $crate::bindings);
        };
    };
}
