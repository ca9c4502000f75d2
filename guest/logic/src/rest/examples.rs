//! `:classify` and `:regress`.

use tensorgate_types::{DEFAULT_SIGNATURE, ModelSpec, Result};

use super::Outcome;
use crate::examples::{Examples, Method, Plan, infer};
use crate::inference::Model as _;
use crate::request::parse_examples;
use crate::response::write_answer;
use crate::services::Services;

pub(super) fn answer(
    method: Method,
    spec: &ModelSpec,
    body: &[u8],
    services: &impl Services,
    outcome: &mut Outcome,
) -> Result<Vec<u8>> {
    // All of the body comes before the model, which is of no use for reading it.
    let request = parse_examples(body)?;
    let model = services.open(spec)?;
    outcome.version = Some(model.version());
    let name = match &*request.signature_name {
        "" => DEFAULT_SIGNATURE,
        name => name,
    };
    let plan = Plan::find(&model, name, method, services.settings())?;
    outcome.signature = name.to_owned();
    outcome.rows = request.examples().len() as u64;
    let examples = match &request.context {
        Some(context) => Examples::with_context(context, request.examples())?,
        None => Examples::Bytes {
            offsets: request.offsets,
            bytes: request.bytes,
        },
    };
    let answers = infer(&model, &[plan], &examples)?;
    write_answer(&answers)
}
