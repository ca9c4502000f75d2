//! How long a client waits: the header `grpc-timeout`.

use std::time::Duration;

use http::HeaderMap;
use tensorgate_types::{Deadline, Error};

/// Beyond eight digits a timeout means never, as the original's library has it.
const DIGITS: usize = 8;

/// The deadline that a request brings; none when it brings none, as in the original.
pub(super) fn of(headers: &HeaderMap) -> Result<Deadline, Error> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(Deadline::NEVER);
    };
    let limit = value.to_str().ok().and_then(parse);
    let limit = limit.ok_or_else(|| Error::internal("Error parsing 'grpc-timeout' metadata"))?;
    Ok(limit.map_or(Deadline::NEVER, Deadline::after))
}

/// Digits and a unit; blanks between are the original's kindness. The inner `None` is no limit.
pub(in crate::door) fn parse(text: &str) -> Option<Option<Duration>> {
    let text = text.trim_start();
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .filter(|end| *end > 0)?;
    let (digits, unit) = text.split_at(end);
    let unit = match unit.trim() {
        "H" => Duration::from_hours(1),
        "M" => Duration::from_mins(1),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    let digits = digits.trim_start_matches('0');
    if digits.len() > DIGITS {
        return Some(None);
    }
    let count: u32 = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    Some(Some(unit * count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_and_nothing_else() {
        let nanos = |nanos| Some(Some(Duration::from_nanos(nanos)));
        for (text, expected) in [
            ("5n", nanos(5)),
            ("5u", nanos(5_000)),
            ("5m", nanos(5_000_000)),
            ("5S", nanos(5_000_000_000)),
            ("5M", nanos(300_000_000_000)),
            ("5H", nanos(18_000_000_000_000)),
            ("0m", nanos(0)),
            ("00000000001S", nanos(1_000_000_000)),
            ("5 S", nanos(5_000_000_000)),
            (
                "99999999H",
                Some(Some(Duration::from_secs(99_999_999 * 3600))),
            ),
            ("123456789S", Some(None)),
            ("", None),
            ("5", None),
            ("S", None),
            ("-1S", None),
            ("1s", None),
            ("1SS", None),
            ("x", None),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn no_header_is_no_limit_and_a_bad_one_is_an_error() {
        assert_eq!(of(&HeaderMap::new()).unwrap(), Deadline::NEVER);
        let headers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", value.parse().unwrap());
            headers
        };
        assert!(of(&headers("1S")).unwrap().instant().is_some());
        assert!(of(&headers("0m")).unwrap().has_passed());
        let error = of(&headers("soon")).unwrap_err();
        assert_eq!(error.message(), "Error parsing 'grpc-timeout' metadata");
    }
}
