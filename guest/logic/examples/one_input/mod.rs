//! A model with one input, for measuring.

use std::rc::Rc;

use tensorgate_logic::SignatureSource;
use tensorgate_types::{DType, Result, ShapeCheck, Signature, TensorInfo};

/// A model with one input.
pub(crate) struct OneInput(Rc<(Signature, ShapeCheck)>);

impl OneInput {
    pub(crate) fn new(dtype: DType) -> Self {
        let info = TensorInfo {
            tensor_name: String::new(),
            dtype,
            shape: None,
            optional: false,
        };
        let signature = Signature {
            inputs: [("x".to_owned(), info)].into(),
            ..Signature::default()
        };
        Self(Rc::new((signature, ShapeCheck::Lenient)))
    }
}

impl SignatureSource for OneInput {
    fn signature(&mut self, _name: &str) -> Result<Rc<(Signature, ShapeCheck)>> {
        Ok(Rc::clone(&self.0))
    }
}
