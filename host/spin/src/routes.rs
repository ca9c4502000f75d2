//! Which trigger takes a request: by its path alone, as Spin decides it.
//!
//! A route is exact, has `:name` for one segment, or ends in `/...` (or `/*`) and then takes its
//! prefix and everything below. An exact segment goes before a named one and that before the rest,
//! so the longest prefix wins. Of equal routes the last one wins.

use std::collections::BTreeMap;

use routefinder::{RouteSpec, Router};

/// Paths below this one are the host's own; routes there are never reached.
pub const WELL_KNOWN: &str = "/.well-known/spin/";

/// What the host answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// 200, `OK`.
    Health,
    /// The app's name, version and digest, as JSON.
    Info,
    /// 404.
    Other,
}

/// What the host answers itself at this path, if it does.
#[must_use]
pub fn reserved(path: &str) -> Option<Reserved> {
    path.strip_prefix(WELL_KNOWN).map(|rest| match rest {
        "health" => Reserved::Health,
        "info" => Reserved::Info,
        _ => Reserved::Other,
    })
}

/// The routes of an app.
#[derive(Debug)]
pub struct Routes<T> {
    router: Router<Route<T>>,
    listed: Vec<Listed>,
}

/// A route and what takes its requests.
#[derive(Clone, Debug)]
struct Route<T> {
    raw: String,
    full: String,
    target: T,
}

/// A route for a list of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The path, without what stands for the rest.
    pub path: String,
    /// Whether everything below it is taken too.
    pub wildcard: bool,
}

/// Two triggers with one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The route.
    pub route: String,
    /// The position of the trigger that is never used.
    pub replaced: usize,
    /// The position of the trigger that is used instead.
    pub effective: usize,
}

/// A request's path, matched.
#[derive(Debug)]
pub struct Match<'a, T> {
    /// What takes the request.
    pub target: &'a T,
    /// The route as the manifest writes it.
    pub raw_route: &'a str,
    /// The same, beginning with a slash and without one at the end.
    pub route: &'a str,
    /// What the named segments are.
    pub named: BTreeMap<String, String>,
    /// What the rest is: empty, or from a slash on.
    pub rest: String,
}

impl<T> Match<'_, T> {
    /// The route as the manifest writes it, without what stands for the rest.
    #[must_use]
    pub fn raw_prefix(&self) -> &str {
        self.raw_route
            .strip_suffix("/...")
            .unwrap_or(self.raw_route)
    }

    /// The route without what stands for the rest.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.route.strip_suffix("/...").unwrap_or(self.route)
    }
}

impl<T> Routes<T> {
    /// Takes the patterns in the manifest's order; private ones are left out by the caller.
    ///
    /// # Errors
    ///
    /// A pattern is none.
    pub fn new<'a>(
        patterns: impl IntoIterator<Item = (&'a str, T)>,
    ) -> Result<(Self, Vec<Duplicate>), String> {
        let mut kept: Vec<(usize, Route<T>)> = Vec::new();
        let mut duplicates = Vec::new();
        for (position, (raw, target)) in patterns.into_iter().enumerate() {
            let route = Route {
                raw: raw.to_owned(),
                full: full(raw),
                target,
            };
            match kept.iter_mut().find(|(_, other)| other.raw == raw) {
                Some(other) => {
                    duplicates.push(Duplicate {
                        route: raw.to_owned(),
                        replaced: other.0,
                        effective: position,
                    });
                    *other = (position, route);
                }
                None => kept.push((position, route)),
            }
        }
        let mut router = Router::new();
        let mut listed = Vec::new();
        for (_, route) in kept {
            let (spec, as_listed) = parse(&route.full)
                .map_err(|error| format!("error parsing route {:?}: {error}", route.raw))?;
            listed.push(as_listed);
            router
                .add(spec, route)
                .unwrap_or_else(|never: std::convert::Infallible| match never {});
        }
        Ok((Self { router, listed }, duplicates))
    }

    /// The trigger that takes requests of this path.
    #[must_use]
    pub fn find<'a>(&'a self, path: &str) -> Option<Match<'a, T>> {
        let found = self.router.best_match(path)?;
        let route = found.handler();
        let captures = found.captures();
        // The router leaves out a slash at the end, which Spin's guests see.
        let rest = captures.wildcard().map_or_else(String::new, |rest| {
            match (rest.is_empty(), path.ends_with('/')) {
                (true, false) => String::new(),
                (true, true) => "/".to_owned(),
                (false, false) => format!("/{rest}"),
                (false, true) => format!("/{}/", rest.trim_end_matches('/')),
            }
        });
        Some(Match {
            target: &route.target,
            raw_route: &route.raw,
            route: &route.full,
            named: captures
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            rest,
        })
    }

    /// The routes, in the manifest's order.
    #[must_use]
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }
}

/// Says what is wrong with a pattern.
///
/// # Errors
///
/// It is none: `*` not at its end, or a `:` without a name.
pub fn check(pattern: &str) -> Result<(), String> {
    parse(&full(pattern)).map(drop)
}

/// Whether nobody ever reaches this route, since the host answers there.
#[must_use]
pub fn is_reserved(pattern: &str) -> bool {
    full(pattern).starts_with(WELL_KNOWN)
}

fn full(raw: &str) -> String {
    let absolute = if raw.starts_with('/') {
        raw.to_owned()
    } else {
        format!("/{raw}")
    };
    match absolute.strip_suffix('/') {
        Some(shorter) => shorter.to_owned(),
        None => absolute,
    }
}

fn parse(full: &str) -> Result<(RouteSpec, Listed), String> {
    let prefix = full
        .strip_suffix("/...")
        .or_else(|| full.strip_suffix("/*"));
    let spec = match prefix {
        Some(prefix) => format!("{prefix}/*"),
        None => full.to_owned(),
    };
    let path = prefix.unwrap_or(full);
    Ok((
        RouteSpec::try_from(spec.as_str())?,
        Listed {
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            wildcard: prefix.is_some(),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(patterns: &[&'static str]) -> Routes<&'static str> {
        Routes::new(patterns.iter().map(|&pattern| (pattern, pattern)))
            .unwrap()
            .0
    }

    #[test]
    fn the_longest_prefix_takes_the_request() {
        let all = &[
            "/",
            "/cart",
            "/cart/:id",
            "/cart/:id/...",
            "/v1/...",
            "/v1/models/...",
            "/old/*",
            "bare",
            "/slash/",
        ];
        for (path, expected) in [
            ("/", Some("/")),
            ("/cart", Some("/cart")),
            ("/cart/", Some("/cart")),
            ("/cart/7", Some("/cart/:id")),
            ("/cart/7/x", Some("/cart/:id/...")),
            ("/v1", Some("/v1/...")),
            ("/v1/", Some("/v1/...")),
            ("/v1/x", Some("/v1/...")),
            ("/v1/models", Some("/v1/models/...")),
            ("/v1/models/m:predict", Some("/v1/models/...")),
            ("/v1/models/m/versions/1:predict", Some("/v1/models/...")),
            ("/old/a/b", Some("/old/*")),
            ("/bare", Some("bare")),
            ("/slash", Some("/slash/")),
            ("/cartridge", None),
            ("/v10", None),
            ("/bare/x", None),
        ] {
            let found = routes(all).find(path).map(|found| *found.target);
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn the_rest_and_the_names_are_as_guests_of_spin_see_them() {
        for (pattern, path, rest) in [
            ("/...", "/1/2/3", "/1/2/3"),
            ("/...", "/", "/"),
            ("/1/...", "/1/2/3", "/2/3"),
            ("/test/...", "/test", ""),
            ("/test/...", "/test/", "/"),
            ("/test/...", "/test/hello", "/hello"),
            ("/test/...", "/test/hello/", "/hello/"),
            ("/v1/models/...", "/v1/models/m:predict", "/m:predict"),
            ("/exact", "/exact", ""),
        ] {
            let routes = routes(&[pattern]);
            let found = routes.find(path).unwrap();
            assert_eq!(found.rest, rest, "{pattern} and {path}");
            assert_eq!(found.raw_route, pattern);
        }
        let routes = routes(&["/a/:two/..."]);
        let found = routes.find("/a/b/c").unwrap();
        assert_eq!(found.named["two"], "b");
        assert_eq!(
            (found.rest.as_str(), found.prefix(), found.raw_prefix()),
            ("/c", "/a/:two", "/a/:two")
        );
    }

    #[test]
    fn of_equal_routes_the_last_one_wins() {
        let (routes, duplicates) =
            Routes::new([("/", 0), ("/foo", 1), ("/foo", 2), ("/...", 3), ("/...", 4)]).unwrap();
        assert_eq!(*routes.find("/foo").unwrap().target, 2);
        assert_eq!(*routes.find("/else").unwrap().target, 4);
        let told: Vec<_> = duplicates
            .iter()
            .map(|found| (found.route.as_str(), found.replaced, found.effective))
            .collect();
        assert_eq!(told, [("/foo", 1, 2), ("/...", 3, 4)]);
    }

    #[test]
    fn routes_are_listed_in_their_order() {
        let listed: Vec<_> = routes(&["/...", "/a/b", "/c/..."])
            .listed()
            .iter()
            .map(|route| (route.path.clone(), route.wildcard))
            .collect();
        let expected = [("/", true), ("/a/b", false), ("/c", true)];
        assert_eq!(listed, expected.map(|(path, wild)| (path.to_owned(), wild)));
    }

    #[test]
    fn the_hosts_own_paths_are_reserved() {
        for (path, expected) in [
            ("/.well-known/spin/health", Some(Reserved::Health)),
            ("/.well-known/spin/info", Some(Reserved::Info)),
            ("/.well-known/spin/x/y", Some(Reserved::Other)),
            ("/.well-known/spin", None),
            ("/.well-known/spindle/health", None),
        ] {
            assert_eq!(reserved(path), expected, "{path}");
        }
        assert!(is_reserved("/.well-known/spin/..."));
        assert!(!is_reserved("/.well-known/spin"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["/a/*name", "/a/:/b"] {
            assert!(check(pattern).is_err(), "{pattern}");
        }
        for pattern in ["", "/", "/a/:b/...", "*"] {
            assert_eq!(check(pattern), Ok(()), "{pattern}");
        }
    }
}
