//! An ordinary processor: numbers as words. Clients send strings, or a body of lines, and the
//! model gets floats; what it gives becomes floats with a count, or lines.
//!
//! It covers each signature that takes and gives one tensor of floats, the one that it takes called `x`, and adds one, `sum`, that
//! takes only bodies and needs no model.

use std::cell::Cell;

use tensorgate_test_processors::{
    Answer, Body, Context, Description, Error, FLOAT, Guest, NamedTensor, Payload, STRING, Step,
    Subject, body, description, export, floats, floats_of, info, invalid, run, strings, strings_of,
    tensors,
};

struct Words;

export!(Words);

thread_local! {
    /// How the request came, for the way back.
    static CAME_AS_BODY: Cell<bool> = const { Cell::new(false) };
    /// How many requests this instance has seen.
    static REQUESTS: Cell<u32> = const { Cell::new(0) };
}

impl Guest for Words {
    fn describe(subject: Subject) -> Result<Vec<Description>, Error> {
        let mut covered: Vec<Description> = subject
            .signatures
            .iter()
            .filter(|named| {
                let signature = &named.signature;
                let sides = [&signature.inputs, &signature.outputs];
                sides
                    .iter()
                    .all(|side| matches!(side.as_slice(), [one] if one.dtype == FLOAT))
            })
            .map(|named| Description {
                content_types: vec!["text/plain".to_owned(), "text/csv".to_owned()],
                inputs: Some(vec![info("words", STRING)]),
                outputs: Some(vec![info("numbers", FLOAT), info("seen", STRING)]),
                ..description(&named.name)
            })
            .collect();
        if covered.is_empty() {
            return Err(invalid(format!(
                "model {} has no signature with one input and one output of floats",
                subject.model
            )));
        }
        covered.push(Description {
            content_types: vec!["text/plain".to_owned()],
            outputs: Some(vec![info("sum", FLOAT)]),
            ..description("sum")
        });
        Ok(covered)
    }

    fn preprocess(context: Context, request: Payload) -> Result<Step, Error> {
        REQUESTS.set(REQUESTS.get() + 1);
        CAME_AS_BODY.set(matches!(request, Payload::Body(_)));
        let words = match request {
            Payload::Tensors(inputs) => inputs
                .iter()
                .find(|input| input.name == "words")
                .map(|input| strings_of(&input.tensor))
                .unwrap_or_default(),
            Payload::Body(Body { bytes, .. }) => String::from_utf8(bytes)
                .map_err(|_| invalid("the body is not UTF-8"))?
                .lines()
                .map(str::to_owned)
                .collect(),
        };
        let numbers = words
            .iter()
            .map(|word| number(word))
            .collect::<Result<Vec<f32>, Error>>()?;
        if context.signature_name == "sum" {
            return Ok(Step::Answer(tensors(vec![floats(
                "sum",
                &[numbers.iter().sum()],
            )])));
        }
        Ok(run(&context.signature_name, vec![floats("x", &numbers)]))
    }

    fn postprocess(context: Context, outputs: Vec<NamedTensor>) -> Result<Answer, Error> {
        let numbers = outputs
            .first()
            .map(|output| floats_of(&output.tensor))
            .unwrap_or_default();
        if CAME_AS_BODY.get() {
            let lines: Vec<String> = numbers.iter().map(f32::to_string).collect();
            return Ok(body("text/plain; charset=utf-8", lines.join("\n")));
        }
        let api = context.properties.iter().find(|(name, _)| name == "api");
        let api = api.map_or("nothing", |(_, api)| api.as_str());
        let seen = format!("{} in {} to {api}", REQUESTS.get(), context.signature_name);
        let seen = vec![seen; numbers.len()];
        Ok(tensors(vec![
            floats("numbers", &numbers),
            strings("seen", &seen),
        ]))
    }
}

fn number(word: &str) -> Result<f32, Error> {
    const WORDS: [&str; 10] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    ];
    let at = WORDS.iter().position(|known| *known == word.trim());
    at.map(|at| at as f32)
        .ok_or_else(|| invalid(format!("{word:?} is no number from zero to nine")))
}
