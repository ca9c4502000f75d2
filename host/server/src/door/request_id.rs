//! A name for each request, so that an answer and a line in the log can be brought together.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};

/// Where clients, balancers and we put it.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ones are not taken over: the id goes into every line about the request.
const MAX: usize = 128;

/// The client's id when it sent a sensible one, else a new one.
pub(super) fn of(headers: &HeaderMap) -> HeaderValue {
    headers
        .get(HEADER)
        .filter(|id| {
            (1..=MAX).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
        })
        .cloned()
        .unwrap_or_else(fresh)
}

/// Different in every process and, within one, for every request: the time at which the process
/// asked first, then a count. Nobody's security depends on it.
fn fresh() -> HeaderValue {
    static START: LazyLock<u64> = LazyLock::new(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = now.map_or(0, |now| now.as_nanos() as u64);
        nanos ^ u64::from(std::process::id()).rotate_left(48)
    });
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let id = format!("{:016x}-{count:x}", *START);
    HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_over_sensible_ids_and_makes_others() {
        let with = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_bytes(id.as_bytes()).unwrap());
            of(&headers)
        };
        assert_eq!(with("abc-1"), "abc-1");
        assert_ne!(with("two words"), "two words");
        assert_ne!(with(&"x".repeat(129)), "x".repeat(129));
        assert_ne!(with(""), "");
        assert_ne!(of(&HeaderMap::new()), of(&HeaderMap::new()));
    }
}
