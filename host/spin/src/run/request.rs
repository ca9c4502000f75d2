//! A request made ready for a guest, as Spin does it: its URI complete, and headers that say what
//! was matched.

use std::net::SocketAddr;

use http::header::{CONNECTION, HOST};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

use crate::hosts;
use crate::routes::Match;

/// What was matched, for headers.
pub(super) struct Matched {
    /// The route as the manifest writes it.
    raw_route: String,
    raw_prefix: String,
    route: String,
    named: Vec<(String, String)>,
    rest: String,
}

impl Matched {
    pub(super) fn of<T>(found: &Match<'_, T>) -> Self {
        let named = found.named.iter();
        Self {
            raw_route: found.raw_route.to_owned(),
            raw_prefix: found.raw_prefix().to_owned(),
            route: found.route.to_owned(),
            named: named
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            rest: found.rest.clone(),
        }
    }

    /// Of a request that another component made: all of its path is below the component.
    pub(super) fn chained(path: &str) -> Self {
        Self {
            raw_route: "/...".to_owned(),
            raw_prefix: String::new(),
            route: "/...".to_owned(),
            named: Vec::new(),
            rest: path.to_owned(),
        }
    }
}

/// Gives the request's URI its scheme and its authority.
///
/// # Errors
/// When there is no authority, or there are two that differ.
pub(super) fn complete_uri<B>(request: &mut Request<B>, scheme: Scheme) -> Result<(), String> {
    let host = request.headers().get(HOST);
    let from_header = host.map(|host| {
        let host = host
            .to_str()
            .map_err(|_| "the 'Host' header is not valid UTF-8".to_owned())?;
        host.parse::<Authority>()
            .map_err(|_| "the 'Host' header is no host".to_owned())
    });
    let from_header = from_header.transpose()?;
    let mut parts = request.uri().clone().into_parts();
    let authority = match (from_header, parts.authority.take()) {
        (None, None) => return Err("the request has no 'Host' header".to_owned()),
        (Some(one), Some(other)) if one != other => {
            return Err("the 'Host' header is not the authority of the URI".to_owned());
        }
        (Some(authority), _) | (None, Some(authority)) => authority,
    };
    parts.scheme = Some(scheme);
    parts.authority = Some(authority);
    if parts.path_and_query.is_none() {
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
    }
    *request.uri_mut() = Uri::from_parts(parts).map_err(|error| error.to_string())?;
    Ok(())
}

/// Takes away what is between the client and this host, and adds what was matched.
///
/// # Errors
/// When a header is not UTF-8: guests see text.
pub(super) fn prepare_headers<B>(
    request: &mut Request<B>,
    matched: &Matched,
    client: SocketAddr,
) -> Result<(), String> {
    let uri = request.uri();
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let scheme = uri.scheme_str().unwrap_or("http");
    let host = request.headers().get(HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(Authority::as_str));
    let full_url = format!("{scheme}://{}{path}", host.unwrap_or("localhost"));
    let headers = request.headers_mut();
    if let Some((name, _)) = headers
        .iter()
        .find(|(_, value)| std::str::from_utf8(value.as_bytes()).is_err())
    {
        return Err(format!("the header {name} is not valid UTF-8"));
    }
    headers.remove(CONNECTION);
    let internal = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .is_some_and(|host| hosts::internal_component(host).is_some());
    if internal {
        headers.remove(HOST);
    }
    for (name, value) in [
        ("spin-path-info", matched.rest.as_str()),
        ("spin-full-url", &full_url),
        ("spin-matched-route", &matched.route),
        ("spin-base-path", "/"),
        ("spin-raw-component-route", &matched.raw_route),
        ("spin-component-route", &matched.raw_prefix),
        ("spin-client-addr", &client.to_string()),
    ] {
        insert(headers, name, value)?;
    }
    for (name, value) in &matched.named {
        let name = format!("spin-path-match-{}", name.to_ascii_lowercase());
        insert(headers, &name, value)?;
    }
    Ok(())
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let problem = || format!("{name} cannot be a header with the value {value:?}");
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| problem())?;
    let value = HeaderValue::from_str(value).map_err(|_| problem())?;
    headers.insert(header, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::routes::Routes;

    use super::*;

    fn request(uri: &str, host: Option<&str>) -> Request<()> {
        let mut request = Request::get(uri).body(()).unwrap();
        if let Some(host) = host {
            let host = HeaderValue::from_str(host).unwrap();
            request.headers_mut().insert(HOST, host);
        }
        request
    }

    #[test]
    fn an_authority_comes_from_the_uri_or_the_header_and_never_from_two() {
        for (uri, host, expected) in [
            ("/a?b", Some("x:1"), Ok("http://x:1/a?b")),
            ("http://x/a", None, Ok("http://x/a")),
            ("http://x/a", Some("x"), Ok("http://x/a")),
            ("http://x/a", Some("y"), Err("not the authority")),
            ("/a", None, Err("no 'Host' header")),
            ("/a", Some("a b"), Err("no host")),
        ] {
            let mut request = request(uri, host);
            let done = complete_uri(&mut request, Scheme::HTTP);
            match expected {
                Ok(expected) => {
                    assert_eq!(done, Ok(()));
                    assert_eq!(request.uri().to_string(), expected);
                }
                Err(words) => assert!(done.unwrap_err().contains(words), "{uri} {host:?}"),
            }
        }
    }

    #[test]
    fn a_guest_is_told_what_was_matched() {
        let (routes, _) = Routes::new([("/v1/models/...", 1), ("/:user/x", 2)]).unwrap();
        let client = "127.0.0.1:5".parse().unwrap();
        let told = |path: &str| {
            let mut request = request(path, Some("h:80"));
            let found = routes.find(request.uri().path()).unwrap();
            let matched = Matched::of(&found);
            complete_uri(&mut request, Scheme::HTTP).unwrap();
            request
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
            prepare_headers(&mut request, &matched, client).unwrap();
            request.headers().clone()
        };
        let headers = told("/v1/models/m:predict?q=1");
        for (name, expected) in [
            ("spin-path-info", "/m:predict"),
            ("spin-full-url", "http://h:80/v1/models/m:predict?q=1"),
            ("spin-matched-route", "/v1/models/..."),
            ("spin-base-path", "/"),
            ("spin-raw-component-route", "/v1/models/..."),
            ("spin-component-route", "/v1/models"),
            ("spin-client-addr", "127.0.0.1:5"),
            ("host", "h:80"),
        ] {
            assert_eq!(headers.get(name).unwrap(), expected, "{name}");
        }
        assert!(headers.get(CONNECTION).is_none());
        assert_eq!(told("/me/x").get("spin-path-match-user").unwrap(), "me");
    }

    #[test]
    fn a_header_that_is_no_text_is_refused() {
        let mut request = request("/", Some("h"));
        let value = HeaderValue::from_bytes(b"\xff").unwrap();
        request.headers_mut().insert("x-bytes", value);
        let matched = Matched::chained("/");
        let refused = prepare_headers(&mut request, &matched, "127.0.0.1:5".parse().unwrap());
        assert_eq!(
            refused,
            Err("the header x-bytes is not valid UTF-8".to_owned())
        );
    }
}
