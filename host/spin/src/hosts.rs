//! Which hosts a component may call: `allowed_outbound_hosts`, as Spin decides it.
//!
//! An entry is `scheme://host[:port]`. Each part may be `*`; a host may be `*.domain`, a network
//! (`10.0.0.0/8`), `self` (the app's own routes) or `<component>.spin.internal`; a port may be a
//! range without its end (`8000..8010`). Templates are resolved before entries get here.

use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;

use crate::template::Template;

/// What stands after the name of a component that is called by another one.
pub const INTERNAL: &str = ".spin.internal";

const FORM: &str = "hosts must be in the form <scheme>://<host>[:<port>], with '*' wildcards \
                    allowed for each";

/// The hosts that a component may call; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// Any when there is none.
    scheme: Option<String>,
    host: Host,
    port: Port,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Any,
    /// `.example.com`.
    Below(String),
    Own,
    Named(String),
    Network(IpNet),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Port {
    Any,
    One(u16),
    Range(Range<u16>),
}

impl AllowedHosts {
    /// Reads entries whose templates are resolved.
    ///
    /// # Errors
    ///
    /// One is no entry.
    pub fn parse<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> Result<Self, String> {
        entries
            .into_iter()
            .map(|entry| Entry::parse(entry.as_ref()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a URL of these parts may be called; the scheme's port when none is named.
    #[must_use]
    pub fn allows(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        self.0.iter().any(|entry| entry.allows(scheme, host, port))
    }

    /// Whether the app's own routes may be called.
    #[must_use]
    pub fn allows_own(&self, scheme: &str) -> bool {
        self.0
            .iter()
            .any(|entry| entry.allows_scheme(scheme) && matches!(entry.host, Host::Any | Host::Own))
    }
}

/// The component that a host stands for, where it is `<component>.spin.internal`.
#[must_use]
pub fn internal_component(host: &str) -> Option<&str> {
    host.strip_suffix(INTERNAL)
        .filter(|name| !name.is_empty() && !name.contains('.'))
}

/// Says what is wrong with an entry; one with templates is checked when they are resolved.
///
/// # Errors
///
/// It is no entry, or a template of it is none.
pub fn check(entry: &str) -> Result<(), String> {
    if entry == "insecure:allow-all" {
        return Err(
            "'insecure:allow-all' is not allowed - use '*://*:*' instead if you really want to \
             allow all outbound traffic"
                .to_owned(),
        );
    }
    if Template::parse(entry)?.is_literal() {
        Entry::parse(entry).map(drop)
    } else {
        Ok(())
    }
}

/// Whether an entry is for calls from component to component.
#[must_use]
pub fn is_internal(entry: &str) -> bool {
    match Entry::parse(entry).map(|entry| entry.host) {
        Ok(Host::Named(name)) => name.ends_with(INTERNAL),
        Ok(Host::Below(suffix)) => suffix == INTERNAL,
        _ => false,
    }
}

/// What the deprecated `allowed_http_hosts` say, as `allowed_outbound_hosts` says it.
///
/// # Errors
///
/// One of them is no host.
pub fn from_http_hosts<S: AsRef<str>>(hosts: &[S]) -> Result<Vec<String>, String> {
    if hosts
        .iter()
        .any(|host| host.as_ref() == "insecure:allow-all")
    {
        return Ok(vec!["http://*:*".to_owned(), "https://*:*".to_owned()]);
    }
    let mut entries = Vec::new();
    for host in hosts {
        let host = host.as_ref();
        let wrong = || format!("{host:?} isn't a valid host or host:port string");
        let (schemes, rest): (&[&str], &str) = match host.split_once("://") {
            Some(("http", rest)) => (&["http"], rest),
            Some(("https", rest)) => (&["https"], rest),
            Some(_) => return Err(wrong()),
            None => (&["http", "https"], host),
        };
        let rest = rest.trim_end_matches('/');
        if rest.is_empty() || rest.contains('/') || rest.contains(char::is_whitespace) {
            return Err(wrong());
        }
        for scheme in schemes {
            let entry = format!("{scheme}://{rest}");
            Entry::parse(&entry).map_err(|_| wrong())?;
            entries.push(entry);
        }
    }
    Ok(entries)
}

impl Entry {
    fn parse(entry: &str) -> Result<Self, String> {
        let entry = entry.trim();
        let Some((scheme, rest)) = entry.split_once("://") else {
            return Err(match entry {
                "*" | ":" | "" | "?" => format!(
                    "{entry:?} is not an allowed outbound host format: {FORM}; '*://*:*' allows \
                     all outbound networking"
                ),
                _ => format!(
                    "{entry:?} does not contain a scheme (e.g., 'http://' or '*://'): {FORM}"
                ),
            });
        };
        let (host, rest) = rest.rsplit_once(':').unwrap_or((rest, ""));
        let port = match rest.split_once('/') {
            Some((_, path)) if !path.is_empty() => {
                return Err(format!(
                    "{entry:?} has a path but is not allowed to: {FORM}"
                ));
            }
            Some((port, _)) => port,
            None => rest,
        };
        let in_entry = |reason: String| format!("{entry:?}: {reason}");
        Ok(Self {
            scheme: parse_scheme(scheme).map_err(in_entry)?,
            host: Host::parse(host).map_err(in_entry)?,
            port: Port::parse(port, scheme).map_err(in_entry)?,
        })
    }

    fn allows_scheme(&self, scheme: &str) -> bool {
        self.scheme
            .as_ref()
            .is_none_or(|allowed| allowed.eq_ignore_ascii_case(scheme))
    }

    fn allows(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        self.allows_scheme(scheme) && self.host.allows(host) && self.port.allows(port, scheme)
    }
}

fn parse_scheme(scheme: &str) -> Result<Option<String>, String> {
    if scheme == "*" {
        return Ok(None);
    }
    if scheme.starts_with('{') {
        return Err("scheme lists are not yet supported".to_owned());
    }
    if scheme.is_empty() || scheme.chars().any(|letter| !letter.is_alphabetic()) {
        return Err(format!(
            "scheme {scheme:?} contains non alphabetic character"
        ));
    }
    Ok(Some(scheme.to_ascii_lowercase()))
}

impl Host {
    fn parse(host: &str) -> Result<Self, String> {
        let host = host.trim();
        match host {
            "*" => return Ok(Self::Any),
            "self" | "self.alt" => return Ok(Self::Own),
            "" => return Err("there is no host".to_owned()),
            _ => {}
        }
        if host.starts_with('{') {
            return Err("host lists are not yet supported".to_owned());
        }
        if let Ok(network) = host.parse::<IpNet>() {
            return Ok(Self::Network(network.trunc()));
        }
        if host.split('/').nth(1).is_some_and(|path| !path.is_empty()) {
            return Err("hosts must not contain paths".to_owned());
        }
        if let Some(domain) = host.strip_prefix("*.") {
            if domain.contains('*') {
                return Err(format!(
                    "invalid allowed host {host}: wildcards are allowed only as prefixes"
                ));
            }
            return Ok(Self::Below(format!(".{}", domain.to_ascii_lowercase())));
        }
        if host.contains('*') {
            return Err(format!(
                "invalid allowed host {host}: wildcards are allowed only as subdomains"
            ));
        }
        Ok(Self::Named(host.trim_end_matches('/').to_ascii_lowercase()))
    }

    fn allows(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Own => false,
            Self::Named(name) => name.eq_ignore_ascii_case(host),
            Self::Below(suffix) => host.to_ascii_lowercase().ends_with(suffix),
            Self::Network(network) => host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .parse::<IpAddr>()
                .is_ok_and(|address| network.contains(&address)),
        }
    }
}

impl Port {
    fn parse(port: &str, scheme: &str) -> Result<Self, String> {
        if port.is_empty() {
            return well_known_port(scheme).map(Self::One).ok_or_else(|| {
                format!(
                    "no port was provided and the scheme {scheme:?} does not have a known \
                     default port number"
                )
            });
        }
        if port == "*" {
            return Ok(Self::Any);
        }
        if port.starts_with('{') {
            return Err("port lists are not yet supported".to_owned());
        }
        if let Some((start, end)) = port.split_once("..") {
            let number = |text: &str| {
                text.parse::<u16>()
                    .map_err(|_| format!("port range {port:?} contains non-number"))
            };
            return Ok(Self::Range(number(start)?..number(end)?));
        }
        port.parse()
            .map(Self::One)
            .map_err(|_| format!("port {port:?} is not a number"))
    }

    fn allows(&self, port: Option<u16>, scheme: &str) -> bool {
        let port = port.or_else(|| well_known_port(scheme));
        match self {
            Self::Any => true,
            Self::One(allowed) => port == Some(*allowed),
            Self::Range(allowed) => port.is_some_and(|port| allowed.contains(&port)),
        }
    }
}

fn well_known_port(scheme: &str) -> Option<u16> {
    Some(match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        "mqtt" => 1883,
        "mysql" => 3306,
        "postgres" => 5432,
        "redis" => 6379,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry, what is asked for, and whether it may be had.
    type Case = (&'static str, &'static str, &'static str, Option<u16>, bool);

    const CASES: &[Case] = &[
        ("http://example.com", "http", "example.com", None, true),
        ("http://example.com", "http", "example.com", Some(80), true),
        (
            "http://example.com",
            "http",
            "example.com",
            Some(8080),
            false,
        ),
        ("http://example.com", "https", "example.com", None, false),
        ("http://example.com/", "http", "example.com", None, true),
        ("http://Example.com", "http", "example.COM", None, true),
        (
            "http://127.0.0.1:8501",
            "http",
            "127.0.0.1",
            Some(8501),
            true,
        ),
        (
            "http://127.0.0.1:8501",
            "http",
            "localhost",
            Some(8501),
            false,
        ),
        ("*://localhost:*", "redis", "localhost", Some(1), true),
        ("*://*:*", "http", "anything", None, true),
        ("https://*", "https", "anything", None, true),
        ("https://*", "https", "anything", Some(444), false),
        (
            "http://*.example.com",
            "http",
            "a.b.example.com",
            None,
            true,
        ),
        ("http://*.example.com", "http", "example.com", None, false),
        ("http://*.example.com", "http", "myexample.com", None, false),
        ("http://h:8000..8010", "http", "h", Some(8000), true),
        ("http://h:8000..8010", "http", "h", Some(8010), false),
        (
            "*://127.0.0.1/24:63551",
            "tcp",
            "127.0.0.9",
            Some(63551),
            true,
        ),
        (
            "*://127.0.0.1/24:63551",
            "tcp",
            "127.0.1.9",
            Some(63551),
            false,
        ),
        (
            "*://127.0.0.1/24:63551",
            "tcp",
            "localhost",
            Some(63551),
            false,
        ),
        ("http://10.0.0.0/8", "http", "10.2.3.4", None, true),
        ("*://ff00::/8:80", "http", "[ff02::1]", None, true),
        ("http://[::1]:8001", "http", "[::1]", Some(8001), true),
        ("http://self", "http", "self", None, false),
        (
            "http://a.spin.internal",
            "http",
            "a.spin.internal",
            None,
            true,
        ),
        (
            "http://*.spin.internal",
            "http",
            "b.spin.internal",
            None,
            true,
        ),
        ("redis://h", "redis", "h", None, true),
        ("http://h:*", "http", "h", Some(9), true),
    ];

    #[test]
    fn entries_allow_what_spin_allows() {
        for (entry, scheme, host, port, allowed) in CASES {
            let hosts = AllowedHosts::parse([*entry]).unwrap();
            assert_eq!(
                hosts.allows(scheme, host, *port),
                *allowed,
                "{entry}: {scheme}://{host}:{port:?}"
            );
        }
        assert!(!AllowedHosts::default().allows("http", "localhost", None));
    }

    #[test]
    fn own_routes_are_allowed_by_self_and_by_any_host() {
        for (entry, scheme, allowed) in [
            ("http://self", "http", true),
            ("http://self", "https", false),
            ("http://self.alt", "http", true),
            ("*://*:*", "http", true),
            ("http://localhost", "http", false),
        ] {
            let hosts = AllowedHosts::parse([entry]).unwrap();
            assert_eq!(hosts.allows_own(scheme), allowed, "{entry}");
        }
    }

    #[test]
    fn what_is_no_entry_is_refused_with_the_rule() {
        for (entry, fault) in [
            ("example.com", "does not contain a scheme"),
            ("localhost:3001", "does not contain a scheme"),
            ("*", "is not an allowed outbound host format"),
            ("", "is not an allowed outbound host format"),
            ("insecure:allow-all", "use '*://*:*' instead"),
            ("http://h:80/a", "has a path but is not allowed to"),
            ("http://h/a", "hosts must not contain paths"),
            ("http://a.*.com", "only as subdomains"),
            ("http://*.*.com", "only as prefixes"),
            ("gopher://h", "does not have a known default port number"),
            (
                "*://127.0.0.0/24",
                "does not have a known default port number",
            ),
            ("http://h:http", "is not a number"),
            ("http://h:1..x", "contains non-number"),
            ("h2c://h", "non alphabetic"),
            ("http://{a,b}", "host lists are not yet supported"),
            ("http://:80", "there is no host"),
            ("http://{{ host", "unmatched"),
        ] {
            let reason = check(entry).unwrap_err();
            assert!(reason.contains(fault), "{entry}: {reason}");
        }
        assert_eq!(check("{{ tensorgate_url }}"), Ok(()));
    }

    #[test]
    fn components_of_the_app_are_known_by_their_hosts() {
        assert_eq!(internal_component("edge.spin.internal"), Some("edge"));
        assert_eq!(internal_component("a.b.spin.internal"), None);
        assert_eq!(internal_component("spin.internal"), None);
        assert!(is_internal("http://edge.spin.internal"));
        assert!(is_internal("http://*.spin.internal"));
        assert!(!is_internal("http://edge.example.com"));
    }
}
