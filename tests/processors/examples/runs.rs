//! A processor that has runs of its own model under way, as the body says: `begin 3` and the like.

use tensorgate_test_processors::bindings::tensorgate::serving::types::{ModelSpec, VersionChoice};
use tensorgate_test_processors::{
    Answer, Context, Description, Error, Guest, NamedTensor, Payload, Step, Subject, body,
    description, export, floats, floats_of, inference, invalid, runs, tensors,
};

struct Runs;

export!(Runs);

impl Guest for Runs {
    fn describe(_subject: Subject) -> Result<Vec<Description>, Error> {
        Ok(vec![Description {
            content_types: vec!["text/plain".to_owned()],
            ..description("double")
        }])
    }

    fn preprocess(context: Context, request: Payload) -> Result<Step, Error> {
        let Payload::Body(request) = request else {
            return Err(invalid("a body is expected"));
        };
        let told = String::from_utf8_lossy(&request.bytes);
        let (word, count) = told.split_once(' ').unwrap_or((&told, "1"));
        let count: u16 = count.parse().map_err(|_| invalid("no number"))?;
        let model = inference::open(&ModelSpec {
            name: context.model,
            version: VersionChoice::Latest,
        })?;
        let answer = match word {
            "begin" => all_of(&begun(&model, count)?)?,
            // All but the last are given up.
            "drop" => {
                let mut all = begun(&model, count)?;
                let last = all.split_off(all.len().saturating_sub(1));
                drop(all);
                all_of(&last)?
            }
            "leave" => {
                std::mem::forget(begun(&model, count)?);
                "left".to_owned()
            }
            "twice" => {
                let run = &begun(&model, 1)?[0];
                let first = run.wait().is_ok();
                let second = run.wait().err();
                format!("{first} {}", second.map_or_else(String::new, |e| e.message))
            }
            // Of 1 MiB each.
            "large" => {
                let input = floats("x", &vec![1.0; 1 << 18]);
                let begin = |_| runs::begin(&model, "double", std::slice::from_ref(&input), &[]);
                let begun: Vec<runs::Run> = (0..count).map(begin).collect::<Result<_, _>>()?;
                format!("{} begun", begun.len())
            }
            "unfit" => {
                let wrong = [floats("nobody", &[1.0])];
                let mut refused = 0;
                for _ in 0..count {
                    refused += u16::from(runs::begin(&model, "double", &wrong, &[]).is_err());
                    refused += u16::from(runs::mirror(&model, "double", &wrong).is_err());
                }
                format!("{refused} refused")
            }
            "mirror" => {
                let mirror = |value| runs::mirror(&model, "double", &[floats("x", &[value])]);
                let told: Vec<String> = (0..count)
                    .map(|value| match mirror(f32::from(value)) {
                        Ok(()) => "taken".to_owned(),
                        Err(error) => error.message,
                    })
                    .collect();
                told.join("\n")
            }
            _ => return Err(invalid("begin, drop, leave, twice, large, unfit or mirror")),
        };
        Ok(Step::Answer(body("text/plain", answer)))
    }

    fn postprocess(_context: Context, outputs: Vec<NamedTensor>) -> Result<Answer, Error> {
        Ok(tensors(outputs))
    }
}

/// Runs of 0, 1, 2 and so on.
fn begun(model: &inference::Model, count: u16) -> Result<Vec<runs::Run>, Error> {
    (0..count)
        .map(|value| runs::begin(model, "double", &[floats("x", &[f32::from(value)])], &[]))
        .collect()
}

/// What they give, in their order.
fn all_of(runs: &[runs::Run]) -> Result<String, Error> {
    let mut all = Vec::new();
    for run in runs {
        let outputs = run.wait()?;
        all.push(format!("{:?}", floats_of(&outputs[0].tensor)));
    }
    Ok(all.join(" "))
}
