//! A processor that gives its model what clients send, and clients what the model gives: what a
//! processor costs at the least.

use tensorgate_sdk::{
    Answer, Context, DEFAULT_SIGNATURE, Description, Outputs, Processor, Request, Result, Step,
    Subject,
};

/// Says that it covers the default signature, and changes nothing.
#[derive(Debug)]
pub struct PassThrough;

impl Processor for PassThrough {
    fn describe(_model: &Subject) -> Result<Vec<Description>> {
        Ok(vec![Description::of(DEFAULT_SIGNATURE)])
    }

    fn preprocess(context: &Context, request: Request) -> Result<Step> {
        Ok(context.call(request.tensors()?).into())
    }

    fn postprocess(_context: &Context, outputs: Outputs) -> Result<Answer> {
        Ok(Answer::tensors(outputs))
    }
}

tensorgate_sdk::export!(PassThrough);
