//! What a component exports, over a [`Processor`].

use std::fmt;
use std::marker::PhantomData;

use crate::bindings::exports::tensorgate::serving::processor as wit;
use crate::bindings::tensorgate::serving::types;
use crate::processor::Processor;
use crate::{convert, state};

/// The exports, made of a processor.
pub struct Shell<P>(PhantomData<P>);

impl<P> fmt::Debug for Shell<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shell")
    }
}

impl<P: Processor + 'static> wit::Guest for Shell<P> {
    fn describe(subject: wit::Subject) -> Result<Vec<wit::Description>, types::Error> {
        P::describe(&convert::subject(subject))
            .map(|described| described.into_iter().map(convert::description).collect())
            .map_err(|error| convert::error_out(&error))
    }

    fn preprocess(context: wit::Context, request: wit::Payload) -> Result<wit::Step, types::Error> {
        state::forget();
        convert::request(request)
            .and_then(|request| P::preprocess(&convert::context(context), request))
            .map(convert::step)
            .map_err(|error| convert::error_out(&error))
    }

    fn postprocess(
        context: wit::Context,
        outputs: Vec<types::NamedTensor>,
    ) -> Result<wit::Answer, types::Error> {
        convert::outputs(outputs)
            .and_then(|outputs| P::postprocess(&convert::context(context), outputs))
            .map(convert::answer)
            .map_err(|error| convert::error_out(&error))
    }
}
