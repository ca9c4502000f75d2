//! Which model a path names: for bounds that hold before anything is read of the body.
//!
//! **Invariant:** nothing is decided here but a bound. What a path means is the component's
//! affair, and the bound holds again where the component opens the model.

use std::borrow::Cow;

/// The first has no case, as in the original.
const MODELS: &[u8] = b"/v1/models/";
const V2_MODELS: &[u8] = b"/v2/models/";

/// The model in `/v1/models/<model>...` or `/v2/models/<model>...`, decoded as the component decodes it; none in other paths.
pub(super) fn of_path(path: &str) -> Option<Cow<'_, str>> {
    let (start, rest) = path.split_at_checked(MODELS.len())?;
    let start = start.as_bytes();
    if !start.eq_ignore_ascii_case(MODELS) && start != V2_MODELS {
        return None;
    }
    let end = rest.find(['/', ':']).unwrap_or(rest.len());
    let name = &rest[..end];
    (!name.is_empty()).then(|| decode(name))
}

/// Decodes `%41`; what only looks like it stays as it is.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let hex = |byte: u8| char::from(byte).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if let (b'%', [high, low, tail @ ..]) = (first, tail)
            && let Some((high, low)) = hex(*high).zip(hex(*low))
        {
            // Two digits are a byte.
            decoded.push(u8::try_from(high << 4 | low).unwrap_or(u8::MAX));
            rest = tail;
        } else {
            decoded.push(*first);
        }
    }
    String::from_utf8_lossy(&decoded).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_name_that_the_component_finds() {
        for (path, expected) in [
            ("/v1/models/m", Some("m")),
            ("/V1/Models/m:predict", Some("m")),
            ("/v1/models/m/versions/3:classify", Some("m")),
            ("/v1/models/a%3Ab%2:predict", Some("a:b%2")),
            ("/v1/models/%6d/labels/x:predict", Some("m")),
            ("/v1/models/", None),
            ("/v1/models/:predict", None),
            ("/v1/models", None),
            ("/v1/foo", None),
            ("/é", None),
        ] {
            assert_eq!(of_path(path).as_deref(), expected, "{path}");
        }
    }
}
