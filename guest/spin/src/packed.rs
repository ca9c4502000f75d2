//! Bodies that were packed by their sender, and answers that are packed for who asks for it.

use std::io::Read as _;

use tensorgate_logic::rest::{self, Response};

use crate::door::Head;

/// As the original decides it: the header holds the word.
pub(crate) fn is_gzip(head: &Head) -> bool {
    head.all("content-encoding").any(|value| {
        let value = value.to_ascii_lowercase();
        value.windows(4).any(|word| word == b"gzip")
    })
}

/// The answer to a body that is packed in another way. Words that name no compression
/// (`identity`, `utf-8`) are passed over.
pub(crate) fn refuse_others(head: &Head) -> Option<Response> {
    const OTHERS: [&str; 5] = ["br", "compress", "deflate", "x-compress", "zstd"];
    if is_gzip(head) {
        return None;
    }
    let named = head
        .all("content-encoding")
        .filter_map(|value| str::from_utf8(value).ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .find(|name| OTHERS.iter().any(|other| name.eq_ignore_ascii_case(other)))?;
    let wrong = format!("content-encoding {named} is not supported: gzip is");
    Some(rest::refusal(415, &wrong))
}

/// A body unpacked; none when it is longer than `max`. As in the original, what cannot be unpacked
/// is no document at all.
pub(crate) fn unpack(packed: &[u8], max: usize) -> Option<Vec<u8>> {
    let limit = (max as u64).saturating_add(1);
    let mut unpacked = Vec::new();
    let decoder = flate2::read::MultiGzDecoder::new(packed);
    match decoder.take(limit).read_to_end(&mut unpacked) {
        Err(_) => Some(Vec::new()),
        Ok(_) if unpacked.len() > max => None,
        Ok(_) => Some(unpacked),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn encoded(encodings: &[&str]) -> Head {
        let headers = encodings.iter();
        let headers =
            headers.map(|value| ("content-encoding".to_owned(), value.as_bytes().to_vec()));
        Head {
            method: "POST".to_owned(),
            path: "/v1/models/m:predict".to_owned(),
            headers: headers.collect(),
        }
    }

    #[test]
    fn gzip_is_unpacked_within_the_limit() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&[b'x'; 2000]).unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(unpack(&packed, 2000), Some(vec![b'x'; 2000]));
        assert_eq!(unpack(&packed, 1999), None);
        assert_eq!(unpack(b"nonsense", 100), Some(vec![]));
        // Two members are one document.
        assert_eq!(
            unpack(&packed.repeat(2), 4000).map(|all| all.len()),
            Some(4000)
        );
    }

    #[test]
    fn other_compressions_are_refused_by_name() {
        for (encoding, refused) in [
            ("br", Some("br")),
            ("identity, ZSTD", Some("ZSTD")),
            ("deflate", Some("deflate")),
            ("identity", None),
            ("utf-8", None),
            ("x-GZIP", None),
        ] {
            let refusal = refuse_others(&encoded(&[encoding]));
            let expected = refused.map(|name| {
                let words = format!("content-encoding {name} is not supported: gzip is");
                (415, format!("{{\n    \"error\": \"{words}\"\n}}"))
            });
            let found =
                refusal.map(|refusal| (refusal.status, String::from_utf8(refusal.body).unwrap()));
            assert_eq!(found, expected);
        }
        assert!(is_gzip(&encoded(&["identity", "GZip"])));
        assert!(!is_gzip(&encoded(&["identity"])));
    }
}
