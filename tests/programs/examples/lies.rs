//! Calls a model with tensors that are not what they say, one lie per path, and answers with what
//! it was told.

use tensorgate_test_programs::types::{NamedTensor, StringData, TensorData};
use tensorgate_test_programs::{Guest, Request, Response, answer, error_answer, fixed, open_model};

struct Lies;

tensorgate_test_programs::rest_only!(Lies);

const FLOAT: u32 = 1;
const STRING: u32 = 7;

impl Guest for Lies {
    fn handle(request: Request) -> Response {
        let lie = request.path.trim_start_matches('/');
        let Some((signature, inputs, outputs)) = call(lie) else {
            return answer(404, "no such lie");
        };
        let result = open_model().and_then(|model| model.predict(signature, &inputs, &outputs));
        match result {
            Ok(_) => answer(200, "believed"),
            Err(error) => error_answer(&error),
        }
    }
}

type Call = (&'static str, Vec<NamedTensor>, Vec<String>);

fn call(lie: &str) -> Option<Call> {
    let floats = |shape: &[i64], len| vec![fixed("x", FLOAT, shape, &vec![0; len])];
    let inputs = match lie {
        "none" => floats(&[2], 8),
        "short-data" => floats(&[2], 7),
        "long-data" => floats(&[2], 12),
        "overflowing-shape" => floats(&[i64::MAX, i64::MAX], 8),
        "overflowing-bytes" => floats(&[1 << 61, 2], 0),
        "huge-shape" => floats(&[1 << 40], 8),
        "negative-dimension" => floats(&[-1, 2], 8),
        "high-rank" => floats(&[1; 300], 4),
        "unknown-dtype" => vec![fixed("x", 77, &[1], &[0])],
        "resource-dtype" => vec![fixed("x", 20, &[1], &[0])],
        "huge-dtype" => vec![fixed("x", u32::MAX, &[1], &[0])],
        "fixed-strings" => vec![fixed("x", STRING, &[1], &[0])],
        "wrong-name" => vec![fixed("y", FLOAT, &[1], &[0; 4])],
        "twice" => [floats(&[1], 4), floats(&[1], 4)].concat(),
        "no-inputs" => Vec::new(),
        "too-many-inputs" => vec![fixed("x", FLOAT, &[0], &[]); 5000],
        "no-such-signature" => return Some(("nothing", floats(&[1], 4), Vec::new())),
        "too-many-outputs" => {
            return Some(("double", floats(&[1], 4), vec!["y".to_owned(); 5000]));
        }
        _ => return strings(lie).map(|inputs| ("same", inputs, Vec::new())),
    };
    Some(("double", inputs, Vec::new()))
}

fn strings(lie: &str) -> Option<Vec<NamedTensor>> {
    let (dtype, count, offsets): (u32, i64, &[u64]) = match lie {
        "strings-for-floats" => (FLOAT, 1, &[0, 1]),
        "offsets-backwards" => (STRING, 2, &[0, 3, 2]),
        "offsets-beyond" => (STRING, 1, &[0, 1 << 40]),
        "offsets-not-to-the-end" => (STRING, 1, &[0, 2]),
        "offsets-not-from-zero" => (STRING, 1, &[1, 4]),
        "too-few-offsets" => (STRING, 2, &[0, 4]),
        "no-offsets" => (STRING, 2, &[]),
        "many-strings" => (STRING, 1 << 40, &[0, 4]),
        _ => return None,
    };
    let mut input = fixed("x", dtype, &[count], &[]);
    input.tensor.data = TensorData::Strings(StringData {
        offsets: offsets.to_vec(),
        bytes: b"abcd".to_vec(),
    });
    Some(vec![input])
}
