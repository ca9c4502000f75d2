//! The page for Prometheus, as the original prints it, and with help for what is ours.
//!
//! TensorFlow Serving's names have colons where the metric's name has slashes, and no help.
//! Braces are always there. Limits have six significant digits. One thing is better: a line feed
//! in a label is escaped, since it would end the line.

use std::fmt::{self, Write as _};

use super::cells::Distribution;
use super::registry::{Descriptor, Family, Kind, Registry, Value};

/// Everything, at this moment.
pub(crate) fn page(registry: &Registry) -> String {
    let mut page = String::new();
    for family in registry.families() {
        // A string takes everything.
        let _ = write_family(&mut page, family.as_ref());
    }
    if page.is_empty() {
        page.push('\n');
    }
    page
}

fn write_family(page: &mut String, family: &dyn Family) -> fmt::Result {
    let descriptor = family.descriptor();
    let name = metric_name(descriptor.name);
    if let Some(help) = descriptor.help {
        writeln!(page, "# HELP {name} {help}")?;
    }
    let kind = match descriptor.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    writeln!(page, "# TYPE {name} {kind}")?;
    for (values, value) in family.samples() {
        let labels = labels(descriptor, &values);
        match value {
            Value::Number(number) => writeln!(page, "{name}{{{labels}}} {number}")?,
            Value::Distribution(distribution) => {
                write_distribution(page, &name, &labels, &distribution)?;
            }
        }
    }
    Ok(())
}

fn write_distribution(
    page: &mut String,
    name: &str,
    labels: &str,
    distribution: &Distribution,
) -> fmt::Result {
    let comma = if labels.is_empty() { "" } else { "," };
    let limits = distribution
        .buckets
        .limits()
        .iter()
        .map(|limit| Some(*limit));
    let mut below = 0;
    for (count, limit) in distribution.counts.iter().zip(limits.chain([None])) {
        below += count;
        let limit = limit.map_or_else(|| "+Inf".to_owned(), six_digits);
        writeln!(
            page,
            "{name}_bucket{{{labels}{comma}le=\"{limit}\"}} {below}"
        )?;
    }
    writeln!(page, "{name}_sum{{{labels}}} {}", distribution.sum)?;
    writeln!(page, "{name}_count{{{labels}}} {below}")
}

/// A name that Prometheus takes: what it does not becomes a colon.
fn metric_name(name: &str) -> String {
    legal(name, |letter| letter == '_', ':')
}

fn label_name(name: &str) -> String {
    legal(name, |_| false, '_')
}

fn legal(name: &str, also: impl Fn(char) -> bool, instead: char) -> String {
    let begins_with_digit = name.starts_with(|letter: char| letter.is_ascii_digit());
    let letters = name.chars().map(|letter| {
        if letter.is_ascii_alphanumeric() || also(letter) {
            letter
        } else {
            instead
        }
    });
    begins_with_digit
        .then_some('_')
        .into_iter()
        .chain(letters)
        .collect()
}

fn labels(descriptor: &Descriptor, values: &[String]) -> String {
    let pairs: Vec<String> = descriptor
        .labels
        .iter()
        .zip(values)
        .map(|(name, value)| format!("{}=\"{}\"", label_name(name), escaped(value)))
        .collect();
    pairs.join(",")
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
    text
}

/// A positive number as C's `%g` prints it: six significant digits, without zeros at the end,
/// with an exponent where that is shorter.
fn six_digits(number: f64) -> String {
    let scientific = format!("{number:.5e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific; // infinite or no number
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let without_zeros = |text: &str| {
        let text = if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.')
        } else {
            text
        };
        text.to_owned()
    };
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or(0);
        without_zeros(&format!("{number:.decimals$}"))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", without_zeros(digits), exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::cells::Buckets;

    #[test]
    fn prints_as_the_original_does() {
        let registry = Registry::default();
        registry
            .counter("/test/path/total", &["name"])
            .cell(&["abc"])
            .add(2);
        registry.counter("/test/z", &[]).cell(&[]).add(7);
        registry.counter("/test/unused", &["name"]);
        let histogram = registry.histogram(
            "/test/histogram",
            &["status"],
            Buckets::exponential(1.0, 2.0, 3),
        );
        for value in [2, 20, 200] {
            histogram.cell(&["good"]).record(value);
        }
        assert_eq!(
            page(&registry),
            "# TYPE :test:histogram histogram\n\
             :test:histogram_bucket{status=\"good\",le=\"1\"} 0\n\
             :test:histogram_bucket{status=\"good\",le=\"2\"} 0\n\
             :test:histogram_bucket{status=\"good\",le=\"4\"} 1\n\
             :test:histogram_bucket{status=\"good\",le=\"+Inf\"} 3\n\
             :test:histogram_sum{status=\"good\"} 222\n\
             :test:histogram_count{status=\"good\"} 3\n\
             # TYPE :test:path:total counter\n\
             :test:path:total{name=\"abc\"} 2\n\
             # TYPE :test:unused counter\n\
             # TYPE :test:z counter\n\
             :test:z{} 7\n"
        );
    }

    #[test]
    fn ours_have_help() {
        let registry = Registry::default();
        registry.asked(Kind::Gauge, "tensorgate_things", "Things.", &[], || {
            vec![(vec![], 3)]
        });
        assert_eq!(
            page(&registry),
            "# HELP tensorgate_things Things.\n# TYPE tensorgate_things gauge\ntensorgate_things{} 3\n"
        );
    }

    #[test]
    fn names_and_labels_become_legal() {
        let registry = Registry::default();
        registry
            .counter("0/path-total_count", &["my-name+1"])
            .cell(&["\"a\\b\"\n"])
            .increment();
        assert_eq!(
            page(&registry),
            "# TYPE _0:path:total_count counter\n\
             _0:path:total_count{my_name_1=\"\\\"a\\\\b\\\"\\n\"} 1\n"
        );
    }

    #[test]
    fn limits_have_six_digits() {
        for (number, expected) in [
            (10.0, "10"),
            (32.4, "32.4"),
            (104.976, "104.976"),
            (188.9568, "188.957"),
            (1_101.996_057_6, "1102"),
            (121_439.531, "121440"),
            (999_999.6, "1e+06"),
            (1_274_823.7, "1.27482e+06"),
            (16_777_216.0, "1.67772e+07"),
            (0.000_05, "5e-05"),
            (0.5, "0.5"),
        ] {
            assert_eq!(six_digits(number), expected);
        }
    }
}
