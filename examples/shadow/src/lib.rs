//! A processor: a copy of the requests goes to a candidate, whose answer nobody waits for.
//!
//! Clients send and get what they did without it. The candidate runs on real traffic, so that its
//! latency, its errors and its memory are known before it answers anybody; `SHADOW_PERCENT` (100)
//! says how much of the traffic that is.
//!
//! **Invariant:** whatever the candidate does, or whether it is there at all, makes no difference
//! to any answer.

use tensorgate_sdk::{
    Context, Description, Model, Processor, Request, Result, Step, Subject, setting, split,
};

const SIGNATURE: &str = "serving_default";

/// The model that gets the copies. It takes the same.
const CANDIDATE: &str = "digits_large";

/// The processor.
#[derive(Debug)]
pub struct Shadow;

tensorgate_sdk::export!(Shadow);

/// How many requests of a hundred are copied.
fn percent() -> Result<f64> {
    setting("SHADOW_PERCENT", 100.0, 0.0..=100.0)
}

impl Processor for Shadow {
    fn describe(model: &Subject) -> Result<Vec<Description>> {
        percent()?;
        model.signature(SIGNATURE)?;
        Ok(vec![Description::of(SIGNATURE)])
    }

    fn preprocess(context: &Context, request: Request) -> Result<Step> {
        let call = context.call(request.tensors()?);
        if split::random_point() * 100.0 < percent()? {
            // Not there, not granted, busy: the server's metrics tell, the client is not told.
            let _unseen = Model::open(CANDIDATE).and_then(|model| model.mirror(call.clone()));
        }
        Ok(call.into())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tensorgate_sdk::testing::{with_models, with_settings};
    use tensorgate_sdk::{Call, Error, Tensor, Tensors};

    use super::*;

    /// Sends `count` requests, each of which must go on as it came; how many were copied.
    fn copied(count: usize, percent: &str) -> usize {
        let seen = Rc::new(Cell::new(0));
        let counter = Rc::clone(&seen);
        let context = Context {
            signature_name: SIGNATURE.to_owned(),
            outputs: vec!["scores".to_owned()],
            ..Context::default()
        };
        let inputs = Tensors::from([("images", Tensor::scalar(0.5f32))]);
        let expected = Step::Run(Call::new(SIGNATURE, inputs.clone()).output("scores"));
        let candidate = {
            let inputs = inputs.clone();
            move |model: &str, call: &Call| {
                assert_eq!((model, &call.inputs), (CANDIDATE, &inputs));
                counter.set(counter.get() + 1);
                Err(Error::internal("it fails"))
            }
        };
        with_models(candidate, || {
            with_settings(&[("SHADOW_PERCENT", percent)], || {
                for _ in 0..count {
                    let request = Request::Tensors(inputs.clone());
                    assert_eq!(Shadow::preprocess(&context, request).unwrap(), expected);
                }
            });
        });
        seen.get()
    }

    #[test]
    fn a_share_is_copied_and_every_request_goes_on() {
        assert_eq!(copied(10, "100"), 10);
        assert_eq!(copied(10, "0"), 0);
        let half = copied(400, "50");
        assert!((100..300).contains(&half), "{half}");
    }

    #[test]
    fn a_candidate_that_is_not_there_is_not_missed() {
        let context = Context::default();
        let inputs = Tensors::from([("images", Tensor::scalar(0.5f32))]);
        let step = Shadow::preprocess(&context, Request::Tensors(inputs.clone()));
        assert_eq!(step.unwrap(), context.call(inputs).into());
    }
}
