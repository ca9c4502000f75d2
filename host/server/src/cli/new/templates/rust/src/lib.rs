//! A processor: lines of CSV in, JSON out.
//!
//! Users send `text/csv` with a name and a number in each line. The model behind it takes the
//! numbers as the tensor `x` and knows of neither names nor CSV. Clients of TensorFlow Serving's
//! JSON and gRPC send and get the model's own tensors, as if nothing stood before it.

use serde::Serialize;
use tensorgate_sdk::{
    Answer, Context, DType, Description, Error, Outputs, Processor, Request, Result, Step, Subject,
    Tensor, keep, take_kept,
};

/// The signature of the model that is covered, with its input and output.
const SIGNATURE: &str = "serving_default";
const INPUT: &str = "x";
const OUTPUT: &str = "y";

/// Lines of one request; more are refused, which bounds what a request costs.
const MAX_LINES: usize = 10_000;

/// How the client asked: kept for the answer.
enum Asked {
    /// With CSV that has these names.
    Csv(Vec<String>),
    /// With tensors.
    Tensors,
}

/// One line of the answer.
#[derive(Serialize)]
struct Line {
    name: String,
    y: f32,
}

struct Csv;

tensorgate_sdk::export!(Csv);

impl Processor for Csv {
    /// Called once for each version of the model, before it serves: an error here keeps a model
    /// that does not fit from being served.
    fn describe(model: &Subject) -> Result<Vec<Description>> {
        let signature = model.signature(SIGNATURE)?;
        signature.expect_input(INPUT, DType::FLOAT, &[-1])?;
        signature.expect_output(OUTPUT, DType::FLOAT, &[-1])?;
        Ok(vec![Description::of(SIGNATURE).takes("text/csv")])
    }

    fn preprocess(context: &Context, request: Request) -> Result<Step> {
        let body = match request {
            Request::Body(body) => body,
            Request::Tensors(inputs) => {
                keep(Asked::Tensors);
                return Ok(context.call(inputs).into());
            }
        };
        let (names, numbers) = parse(&body.bytes)?;
        let x = Tensor::new(&[numbers.len() as i64], &numbers)?;
        keep(Asked::Csv(names));
        Ok(context.call([(INPUT, x)]).into())
    }

    fn postprocess(_context: &Context, outputs: Outputs) -> Result<Answer> {
        let names = match take_kept()? {
            Asked::Csv(names) => names,
            Asked::Tensors => return Ok(Answer::tensors(outputs)),
        };
        let y = outputs.view_of::<f32>(OUTPUT, &[names.len() as i64])?;
        let lines = names.into_iter().zip(y.values());
        let lines: Vec<Line> = lines.map(|(name, &y)| Line { name, y }).collect();
        Answer::json(&lines)
    }
}

/// The names and the numbers of lines like `kitchen,21.5`.
fn parse(csv: &[u8]) -> Result<(Vec<String>, Vec<f32>)> {
    let csv = str::from_utf8(csv)
        .map_err(|_| Error::invalid_argument("expected CSV, found bytes that are not UTF-8"))?;
    let lines = (1..)
        .zip(csv.lines())
        .filter(|(_, line)| !line.trim().is_empty());
    let mut names = Vec::new();
    let mut numbers = Vec::new();
    for (number, line) in lines {
        if names.len() == MAX_LINES {
            return Err(Error::invalid_argument(format!(
                "expected at most {MAX_LINES} lines"
            )));
        }
        let (name, value) = line
            .rsplit_once(',')
            .and_then(|(name, value)| Some((name.trim(), finite(value)?)))
            .ok_or_else(|| {
                Error::invalid_argument(format!(
                    "line {number}: expected a name, a comma and a number, found {line:?}"
                ))
            })?;
        names.push(name.to_owned());
        numbers.push(value);
    }
    if names.is_empty() {
        return Err(Error::invalid_argument(
            "expected lines of CSV, found none",
        ));
    }
    Ok((names, numbers))
}

/// A number, where it is one. JSON has neither infinities nor what is no number.
fn finite(text: &str) -> Option<f32> {
    let number: f32 = text.trim().parse().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use tensorgate_sdk::{Body, Payload};

    use super::*;

    #[test]
    fn a_line_becomes_a_number_and_a_number_a_line() {
        let context = Context::default();
        let body = Body::new("text/csv", "kitchen,1\n\nhall,-2.5\n");
        let step = Csv::preprocess(&context, Request::Body(body)).unwrap();
        let Step::Run(call) = step else {
            panic!("the model is asked");
        };
        let x = call.inputs.view_of::<f32>(INPUT, &[2]).unwrap();
        assert_eq!(x.values(), [1.0, -2.5]);

        let y = Tensor::new(&[2], &[2.5_f32, 0.75]).unwrap();
        let outputs = Outputs::outputs([(OUTPUT.to_owned(), y)]);
        let answer = Csv::postprocess(&context, outputs).unwrap();
        let Payload::Body(body) = answer.payload else {
            panic!("the answer is JSON");
        };
        assert_eq!(
            String::from_utf8(body.bytes).unwrap(),
            r#"[{"name":"kitchen","y":2.5},{"name":"hall","y":0.75}]"#
        );
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let error = parse(b"kitchen,1\nhall").unwrap_err();
        assert_eq!(
            error.message(),
            "line 2: expected a name, a comma and a number, found \"hall\""
        );
        assert!(parse(b"").is_err());
        assert!(parse(b"hall,1e999").is_err());
        assert!(parse(b"\xff").is_err());
    }
}
