//! `:classify` and `:regress`.

use tensorgate_types::{DEFAULT_SIGNATURE, ModelSpec, Result};

use super::Outcome;
use super::log::{self, Asked};
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
    let version = model.version();
    outcome.version = Some(version);
    let name = match request.signature_name.clone() {
        name if name.is_empty() => DEFAULT_SIGNATURE.to_owned(),
        name => name,
    };
    let name = &*name;
    let plan = Plan::find(&model, name, method, services.settings())?;
    outcome.signature = name.to_owned();
    outcome.rows = request.examples().len() as u64;
    let asked = Asked {
        spec,
        version,
        signature: name,
    };
    let logged = log::examples_request(services, asked, &request);
    let examples = match &request.context {
        Some(context) => Examples::with_context(context, request.examples())?,
        None => Examples::Bytes {
            offsets: request.offsets,
            bytes: request.bytes,
        },
    };
    model.called_as(outcome.api);
    let answers = infer(&model, &[plan], &examples)?;
    let version = model.answered_by();
    outcome.version = Some(version);
    let written = write_answer(&answers)?;
    if let (Some(request), [answer]) = (logged, &answers[..]) {
        let asked = Asked { version, ..asked };
        log::answer(services, asked, method, request, answer);
    }
    Ok(written)
}
