//! A processor: tables in, tables out.
//!
//! The model takes serialized `tf.Example`s, which nobody writes by hand. Users send CSV, to any of
//! its signatures, and get JSON, or CSV where they accept `text/csv`. Clients that send
//! `tf.Example`s, by predict, classify or regress, do so as without the processor.
//!
//! **Invariant:** a row of the table is an example, and the answer has as many rows in the same
//! order. A column that the model does not know is left out; one that it needs is the client's
//! error.

use serde::Serialize;
use tensorgate_sdk::tabular::{Limits, Schema, Table, to_csv};
use tensorgate_sdk::{
    Answer, Body, Call, Context, DType, Description, Error, Outputs, Processor, Request, Result,
    Step, Subject, Tensor, keep, take_kept,
};

/// The signatures of the model, with the input of each.
const SIGNATURES: [(&str, &str); 3] = [
    (PREDICT, "examples"),
    (CLASSIFY, "inputs"),
    (REGRESS, "inputs"),
];
const PREDICT: &str = "serving_default";
const CLASSIFY: &str = "classify";
const REGRESS: &str = "regress";

/// The bands of rent, in the order of the model's scores.
const BANDS: [&str; 3] = ["low", "middle", "high"];

/// Rows of one request: they are one batch.
const MAX_ROWS: usize = 10_000;

/// The processor.
#[derive(Debug)]
pub struct Tabular;

tensorgate_sdk::export!(Tabular);

/// How the client asked: kept for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// With `tf.Example`s.
    Tensors,
    /// With a table, for JSON.
    ForJson,
    /// With a table, for another.
    ForCsv,
}

impl Processor for Tabular {
    fn describe(model: &Subject) -> Result<Vec<Description>> {
        let described = SIGNATURES.map(|(name, input)| {
            let signature = model.signature(name)?;
            signature.expect_input(input, DType::STRING, &[-1])?;
            Ok(Description::of(name).takes("text/csv"))
        });
        described.into_iter().collect()
    }

    fn preprocess(context: &Context, request: Request) -> Result<Step> {
        let body = match request {
            Request::Tensors(examples) => {
                keep(Asked::Tensors);
                return Ok(context.call(examples).into());
            }
            Request::Body(body) => body,
        };
        keep(if accepts_csv(context) {
            Asked::ForCsv
        } else {
            Asked::ForJson
        });
        let name = &context.signature_name;
        let known = SIGNATURES.iter().find(|(known, _)| known == name);
        let (_, input) = known
            .ok_or_else(|| Error::internal(format!("the signature {name} was never described")))?;
        Ok(Call::new(name, [(*input, examples(&body)?)]).into())
    }

    fn postprocess(context: &Context, outputs: Outputs) -> Result<Answer> {
        let asked: Asked = take_kept()?;
        if asked == Asked::Tensors {
            return Ok(Answer::tensors(outputs));
        }
        let (names, predictions) = table(&context.signature_name, &outputs)?;
        if asked == Asked::ForJson {
            return Answer::json(&Predictions { predictions });
        }
        Ok(Answer::body("text/csv", to_csv(&predictions, names)?))
    }
}

/// Whether the client has said that it takes a table.
fn accepts_csv(context: &Context) -> bool {
    let accepted = context.accept().unwrap_or_default().split(',');
    let mut kinds = accepted.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    kinds.any(|kind| kind.eq_ignore_ascii_case("text/csv"))
}

/// What the model takes, of a table.
///
/// # Errors
/// `INVALID_ARGUMENT` with row and column, where it is none that the model takes.
pub fn examples(body: &Body) -> Result<Tensor> {
    let table = Table::parse(body.text()?.as_bytes(), Limits { rows: MAX_ROWS })?;
    if table.is_empty() {
        return Err(Error::invalid_argument(
            "CSV: expected rows below the line with the names of the columns, found none",
        ));
    }
    let schema = Schema::new()
        .float("area")
        .integer("rooms")
        .text("city")
        .integer("built")
        .optional();
    table.examples(&schema)
}

/// The body of an answer.
#[derive(Debug, Serialize)]
struct Predictions<'a> {
    predictions: Vec<Prediction<'a>>,
}

/// A row of the answer, with as much as the signature says of it.
#[derive(Debug, Default, Serialize)]
struct Prediction<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    rent: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    band: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
}

/// The names of an answer's columns, and its rows.
type Rows<'a> = (&'static [&'static str], Vec<Prediction<'a>>);

fn table<'a>(signature: &str, outputs: &'a Outputs) -> Result<Rows<'a>> {
    let rents = |name| Ok(outputs.view_of::<f32>(name, &[-1])?.values().to_vec());
    Ok(match signature {
        REGRESS => {
            let rents: Vec<f32> = rents("outputs")?;
            (&["rent"], rents.into_iter().map(with_rent).collect())
        }
        CLASSIFY => {
            let classes = outputs.strings_of("classes", &[-1, BANDS.len() as i64])?;
            let classes = classes.texts()?;
            let rows = classes.chunks_exact(BANDS.len());
            (&["band", "score"], banded(outputs, rows)?)
        }
        _ => {
            let rents: Vec<f32> = rents("rent")?;
            let mut rows = banded(outputs, std::iter::repeat(&BANDS[..]))?;
            for (row, rent) in rows.iter_mut().zip(rents) {
                row.rent = Some(rent);
            }
            (&["rent", "band", "score"], rows)
        }
    })
}

fn with_rent(rent: f32) -> Prediction<'static> {
    Prediction {
        rent: Some(rent),
        ..Prediction::default()
    }
}

/// The likeliest band of each row, of those that are named beside it.
fn banded<'a, 'b>(
    outputs: &Outputs,
    bands: impl Iterator<Item = &'b [&'a str]>,
) -> Result<Vec<Prediction<'a>>>
where
    'a: 'b,
{
    let scores = outputs.view_of::<f32>("scores", &[-1, BANDS.len() as i64])?;
    let rows = scores.rows().zip(bands).map(|(scores, bands)| {
        let all = scores.iter().zip(bands);
        let best = all.max_by(|one, other| one.0.total_cmp(other.0));
        Prediction {
            band: best.map(|(_, band)| *band),
            score: best.map(|(score, _)| *score),
            ..Prediction::default()
        }
    });
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use tensorgate_sdk::{Payload, Tensors};

    use super::*;

    const CSV: &str = "city,area,rooms,built,note\n\
                       \"Frankfurt, Main\",50.5,2,1999,bright\nBasel,20,1,,\n";

    fn context(signature: &str, accept: Option<&str>) -> Context {
        let accept = accept.map(|accept| ("accept".to_owned(), accept.to_owned()));
        Context {
            signature_name: signature.to_owned(),
            properties: accept.into_iter().collect(),
            ..Context::default()
        }
    }

    /// The answer to [`CSV`], as text, where the model gives these.
    fn answer(context: &Context, outputs: Outputs) -> (String, String) {
        let request = Request::Body(Body::new("text/csv", CSV));
        let Step::Run(call) = Tabular::preprocess(context, request).unwrap() else {
            panic!("expected a run");
        };
        assert_eq!(call.signature_name, context.signature_name);
        assert_eq!(call.inputs.len(), 1);
        let answer = Tabular::postprocess(context, outputs).unwrap();
        let Payload::Body(body) = answer.payload else {
            panic!("expected a body");
        };
        (body.content_type, String::from_utf8(body.bytes).unwrap())
    }

    fn outputs<const COUNT: usize>(tensors: [(&str, Tensor); COUNT]) -> Outputs {
        Tensors::outputs(tensors.map(|(name, tensor)| (name.to_owned(), tensor)))
    }

    fn scores() -> Tensor {
        Tensor::new(&[2, 3], &[0.25f32, 0.5, 0.25, 0.75, 0.125, 0.125]).unwrap()
    }

    #[test]
    fn a_table_is_answered_with_json_or_with_a_table() {
        let rents = || Tensor::new(&[2], &[850.5f32, 700.0]).unwrap();
        let given = || outputs([("rent", rents()), ("scores", scores())]);
        assert_eq!(
            answer(&context(PREDICT, None), given()),
            (
                "application/json".to_owned(),
                r#"{"predictions":[{"rent":850.5,"band":"middle","score":0.5},{"rent":700.0,"band":"low","score":0.75}]}"#.to_owned()
            )
        );
        let accept = "application/xml;q=0.1, Text/CSV;q=0.9";
        assert_eq!(
            answer(&context(PREDICT, Some(accept)), given()),
            (
                "text/csv".to_owned(),
                "rent,band,score\n850.5,middle,0.5\n700.0,low,0.75\n".to_owned()
            )
        );
    }

    #[test]
    fn the_other_signatures_answer_what_they_know() {
        let rents = Tensor::new(&[2], &[850.5f32, 700.0]).unwrap();
        let (_, text) = answer(
            &context(REGRESS, Some("text/csv")),
            outputs([("outputs", rents)]),
        );
        assert_eq!(text, "rent\n850.5\n700.0\n");
        let classes = ["low", "middle", "high", "low", "middle", "high"];
        let classes = Tensor::strings(&[2, 3], classes).unwrap();
        let given = outputs([("classes", classes), ("scores", scores())]);
        let (_, text) = answer(&context(CLASSIFY, Some("text/csv")), given);
        assert_eq!(text, "band,score\nmiddle,0.5\nlow,0.75\n");
    }

    #[test]
    fn examples_pass_through() {
        let context = context(REGRESS, None);
        let sent = Tensors::from([("inputs", Tensor::strings(&[1], [b"\x0a\x00"]).unwrap())]);
        let step = Tabular::preprocess(&context, Request::Tensors(sent.clone())).unwrap();
        assert_eq!(step, context.call(sent).into());
        let given = outputs([("outputs", Tensor::new(&[1], &[1.0f32]).unwrap())]);
        let answer = Tabular::postprocess(&context, given.clone()).unwrap();
        assert_eq!(answer, Answer::tensors(given));
    }

    #[test]
    fn what_is_no_such_table_is_the_clients_error() {
        for (csv, message) in [
            (
                "area,rooms\n1,2\n",
                "CSV: there is no column `city`, only `area`, `rooms`",
            ),
            (
                "area,rooms,city\n1,two,x\n",
                "CSV: row 1, column `rooms`: expected a whole number, found `two`",
            ),
            (
                "area,rooms,city\n",
                "CSV: expected rows below the line with the names of the columns, found none",
            ),
            (
                "area,rooms,city,built\n1,2,x,1990.5\n",
                "CSV: row 1, column `built`: expected a whole number, found `1990.5`",
            ),
        ] {
            let error = examples(&Body::new("text/csv", csv)).unwrap_err();
            assert_eq!(error.message(), message);
        }
        let many = format!("area,rooms,city\n{}", "1,2,x\n".repeat(MAX_ROWS + 1));
        assert!(examples(&Body::new("text/csv", many)).is_err());
        assert!(examples(&Body::new("text/csv; charset=latin1", CSV)).is_err());
    }
}
