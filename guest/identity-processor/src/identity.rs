//! What the component exports.

use alloc::borrow::ToOwned as _;
use alloc::vec::Vec;

use crate::bindings::exports::tensorgate::serving::processor::{
    Answer, Context, Description, Guest, ModelCall, Payload, Step, Subject,
};
use crate::bindings::tensorgate::serving::types::{Error, ErrorCode, NamedTensor};

pub(crate) struct Identity;

impl Guest for Identity {
    fn describe(_subject: Subject) -> Result<Vec<Description>, Error> {
        Ok(Vec::new())
    }

    fn preprocess(context: Context, request: Payload) -> Result<Step, Error> {
        match request {
            Payload::Tensors(inputs) => Ok(Step::Run(ModelCall {
                signature_name: context.signature_name,
                inputs,
                outputs: context.outputs,
            })),
            Payload::Body(_) => Err(Error {
                code: ErrorCode::InvalidArgument,
                message: "this processor takes tensors, and bodies of no content type".to_owned(),
            }),
        }
    }

    fn postprocess(_context: Context, outputs: Vec<NamedTensor>) -> Result<Answer, Error> {
        Ok(Answer {
            payload: Payload::Tensors(outputs),
            version: None,
            properties: Vec::new(),
        })
    }
}
