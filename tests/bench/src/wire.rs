//! Requests as clients write them: a `PredictRequest` and its JSON.
//!
//! Numbers of fields are those of TensorFlow Serving's protocol files. Written out by hand: what
//! is sent is made once, and must not depend on the code that reads it.

use std::fmt::Write as _;

use bytes::Bytes;

/// Floats for one input of one signature of one model.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) model: &'a str,
    pub(crate) signature: &'a str,
    pub(crate) input: &'a str,
    pub(crate) shape: &'a [usize],
    pub(crate) values: &'a [f32],
}

impl Request<'_> {
    /// A `PredictRequest` in a gRPC frame.
    pub(crate) fn grpc(&self) -> Bytes {
        let content: Vec<u8> = self
            .values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let dims: Vec<u8> = self
            .shape
            .iter()
            .flat_map(|size| field(2, &[vec![0x08], varint(*size)].concat()))
            .collect();
        let tensor = [
            // dtype: DT_FLOAT
            vec![0x08, 1],
            // tensor_shape
            field(2, &dims),
            // tensor_content
            field(4, &content),
        ]
        .concat();
        let input = [field(1, self.input.as_bytes()), field(2, &tensor)].concat();
        let spec = [
            field(1, self.model.as_bytes()),
            field(3, self.signature.as_bytes()),
        ]
        .concat();
        let request = [field(1, &spec), field(2, &input)].concat();
        let length = u32::try_from(request.len()).expect("a request is below 4 GiB");
        [&[0][..], &length.to_be_bytes(), &request].concat().into()
    }

    /// `{"signature_name": ..., "instances": ...}`, as `json.dumps` writes it. The shortest digits
    /// that give the float again.
    pub(crate) fn json(&self) -> Bytes {
        let mut json = String::with_capacity(self.values.len() * 8);
        let _ = write!(
            json,
            "{{\"signature_name\": \"{}\", \"instances\": ",
            self.signature
        );
        nested(&mut json, self.shape, self.values);
        json.push('}');
        json.into()
    }
}

/// Nested arrays of this shape.
pub(crate) fn nested(json: &mut String, shape: &[usize], values: &[f32]) {
    let Some((first, inner)) = shape.split_first() else {
        for value in values {
            let _ = write!(json, "{value:?}");
        }
        return;
    };
    let step = inner.iter().product::<usize>();
    json.push('[');
    for index in 0..*first {
        if index > 0 {
            json.push_str(", ");
        }
        nested(json, inner, &values[index * step..(index + 1) * step]);
    }
    json.push(']');
}

fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    field.extend(varint(value.len()));
    field.extend(value);
    field
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Request<'_> = Request {
        model: "m",
        signature: "s",
        input: "x",
        shape: &[2, 1],
        values: &[0.5, 3.0],
    };

    #[test]
    fn writes_json_as_python_does() {
        assert_eq!(
            REQUEST.json(),
            r#"{"signature_name": "s", "instances": [[0.5], [3.0]]}"#
        );
    }

    #[test]
    fn writes_a_message_with_its_frame() {
        let tensor = [
            &[
                0x08, 1, 0x12, 8, 0x12, 2, 0x08, 2, 0x12, 2, 0x08, 1, 0x22, 8,
            ][..],
            &0.5f32.to_le_bytes(),
            &3.0f32.to_le_bytes(),
        ]
        .concat();
        let mut wanted = vec![0, 0, 0, 0, 37];
        wanted.extend([0x0a, 6, 0x0a, 1, b'm', 0x1a, 1, b's']);
        wanted.extend([0x12, 27, 0x0a, 1, b'x', 0x12, 22]);
        wanted.extend(tensor);
        assert_eq!(REQUEST.grpc(), wanted);
    }

    #[test]
    fn a_length_above_127_takes_two_bytes() {
        assert_eq!(varint(300), [0xac, 2]);
    }
}
