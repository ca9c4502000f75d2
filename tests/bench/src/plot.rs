//! Plots as SVG: lines over a logarithmic axis, and bars with a line that they are held against.
//!
//! Invariant: a plot needs nothing but itself: no script, no font, no file beside it.

use std::fmt::Write as _;

/// Colours that can be told apart also by who does not see all of them (Okabe and Ito).
const COLOURS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999",
];

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 46.0;

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// Rising in the first.
    pub(crate) points: Vec<(f64, f64)>,
}

/// How the vertical axis goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From zero.
    Linear,
    /// By powers of ten.
    Logarithmic,
}

/// A value that others are held against.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    pub(crate) name: String,
    pub(crate) value: f64,
}

/// Lines over numbers that double; empty where there is no point.
pub(crate) fn lines(
    title: &str,
    [x_label, y_label]: [&str; 2],
    scale: Scale,
    series: &[Series],
    mark: Option<&Mark>,
) -> String {
    let points = || series.iter().flat_map(|series| &series.points);
    let usable = |value: f64| value.is_finite() && (value > 0.0 || scale == Scale::Linear);
    let values = points()
        .map(|point| point.1)
        .chain(mark.map(|mark| mark.value));
    let (low, high) = bounds(values.filter(|value| usable(*value)));
    let (first, last) = bounds(points().map(|point| point.0).filter(|x| *x > 0.0));
    if points().next().is_none() || !high.is_finite() {
        return String::new();
    }
    let ticks = match scale {
        Scale::Linear => linear_ticks(high),
        Scale::Logarithmic => decades(low, high),
    };
    let (bottom, top) = (ticks[0], ticks[ticks.len() - 1]);
    let y = |value: f64| {
        let share = match scale {
            Scale::Linear => (value - bottom) / (top - bottom),
            Scale::Logarithmic => (value / bottom).ln() / (top / bottom).ln(),
        };
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    };
    let doublings = (last / first).log2().max(1.0);
    let x = |value: f64| LEFT + (value / first).log2() / doublings * (WIDTH - LEFT - RIGHT);

    let mut svg = open(title, y_label);
    for tick in &ticks {
        grid_line(&mut svg, y(*tick), *tick);
    }
    let mut shown: Vec<f64> = points().map(|point| point.0).collect();
    shown.sort_by(f64::total_cmp);
    shown.dedup();
    for value in shown {
        let _ = write!(
            svg,
            "<text x='{:.1}' y='{:.1}' text-anchor='middle'>{value}</text>",
            x(value),
            HEIGHT - BOTTOM + 16.0
        );
    }
    let _ = write!(
        svg,
        "<text x='{:.1}' y='{:.1}' text-anchor='middle'>{}</text>",
        f64::midpoint(LEFT, WIDTH - RIGHT),
        HEIGHT - 8.0,
        escape(x_label)
    );
    for (index, series) in series.iter().enumerate() {
        let points = series.points.iter().filter(|point| usable(point.1));
        let path = points.map(|point| (x(point.0), y(point.1))).collect();
        draw(&mut svg, index, &series.name, path);
    }
    if let Some(mark) = mark {
        let at = y(mark.value);
        let _ = write!(
            svg,
            "<line x1='{LEFT}' x2='{:.1}' y1='{at:.1}' y2='{at:.1}' stroke='#444' \
             stroke-dasharray='6 4'/><text x='{:.1}' y='{:.1}' fill='#444'>{}</text>",
            WIDTH - RIGHT,
            LEFT + 4.0,
            at - 4.0,
            escape(&mark.name)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Lying bars, each with its value, and lines for what they are held against.
pub(crate) fn bars(title: &str, unit: &str, bars: &[(String, f64)], marks: &[Mark]) -> String {
    const BAR: f64 = 18.0;
    const NAMES: f64 = 250.0;
    let values = bars.iter().map(|bar| bar.1);
    let (_, high) = bounds(values.chain(marks.iter().map(|mark| mark.value)));
    if bars.is_empty() || !(high.is_finite() && high > 0.0) {
        return String::new();
    }
    let room = WIDTH - NAMES - 70.0;
    let height = TOP + bars.len() as f64 * (BAR + 6.0) + 16.0 * marks.len() as f64 + 12.0;
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' \
         role='img'><title>{0}</title><text x='10' y='18' class='title'>{0} ({1})</text>",
        escape(title),
        escape(unit)
    );
    for (index, (name, value)) in bars.iter().enumerate() {
        let top = TOP + index as f64 * (BAR + 6.0);
        let width = value / high * room;
        let _ = write!(
            svg,
            "<text x='{:.1}' y='{:.1}' text-anchor='end'>{}</text><rect x='{NAMES}' y='{top:.1}' \
             width='{width:.1}' height='{BAR}' fill='{}'/><text x='{:.1}' y='{:.1}'>{}</text>",
            NAMES - 6.0,
            top + 13.0,
            escape(name),
            COLOURS[0],
            NAMES + width + 4.0,
            top + 13.0,
            short(*value)
        );
    }
    let below = TOP + bars.len() as f64 * (BAR + 6.0);
    for (index, mark) in marks.iter().enumerate() {
        let at = NAMES + mark.value / high * room;
        let text = below + 12.0 + 16.0 * index as f64;
        let _ = write!(
            svg,
            "<line x1='{at:.1}' x2='{at:.1}' y1='{:.1}' y2='{text:.1}' stroke='{colour}' \
             stroke-dasharray='6 4'/><text x='{:.1}' y='{text:.1}' text-anchor='end' \
             fill='{colour}'>{} {}</text>",
            TOP - 6.0,
            at - 4.0,
            escape(&mark.name),
            short(mark.value),
            colour = COLOURS[1],
        );
    }
    svg.push_str("</svg>");
    svg
}

fn open(title: &str, y_label: &str) -> String {
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' \
         role='img'><title>{0}</title><text x='10' y='18' class='title'>{0} ({1})</text>",
        escape(title),
        escape(y_label)
    )
}

fn grid_line(svg: &mut String, at: f64, value: f64) {
    let _ = write!(
        svg,
        "<line x1='{LEFT}' x2='{:.1}' y1='{at:.1}' y2='{at:.1}' stroke='#ddd'/>\
         <text x='{:.1}' y='{:.1}' text-anchor='end'>{}</text>",
        WIDTH - RIGHT,
        LEFT - 6.0,
        at + 4.0,
        short(value)
    );
}

/// A line with its points and its name.
fn draw(svg: &mut String, index: usize, name: &str, path: Vec<(f64, f64)>) {
    let colour = COLOURS[index % COLOURS.len()];
    let mut corners = String::new();
    for (x, y) in path {
        let _ = write!(corners, "{x:.1},{y:.1} ");
        let _ = write!(
            svg,
            "<circle cx='{x:.1}' cy='{y:.1}' r='3' fill='{colour}'/>"
        );
    }
    let _ = write!(
        svg,
        "<polyline fill='none' stroke='{colour}' stroke-width='2' points='{}'/>",
        corners.trim_end()
    );
    legend(svg, index, colour, name);
}

fn legend(svg: &mut String, index: usize, colour: &str, name: &str) {
    let top = TOP + 18.0 * index as f64;
    let left = WIDTH - RIGHT + 12.0;
    let _ = write!(
        svg,
        "<rect x='{left}' y='{top:.1}' width='12' height='12' fill='{colour}'/>\
         <text x='{:.1}' y='{:.1}'>{}</text>",
        left + 18.0,
        top + 10.0,
        escape(name)
    );
}

/// The least and the greatest.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

/// From zero to at least `high` in four to ten steps of 1, 2 or 5 times a power of ten.
fn linear_ticks(high: f64) -> Vec<f64> {
    let high = if high > 0.0 { high } else { 1.0 };
    let power = 10f64.powf(high.log10().floor());
    let step = [0.1, 0.2, 0.5, 1.0]
        .map(|part| part * power)
        .into_iter()
        .find(|step| high / step <= 8.0)
        .unwrap_or(2.0 * power);
    let steps = (high / step).ceil().max(1.0);
    let mut ticks = vec![0.0];
    while (ticks.len() as f64) <= steps {
        ticks.push(ticks.len() as f64 * step);
    }
    ticks
}

/// Powers of ten that enclose both.
fn decades(low: f64, high: f64) -> Vec<f64> {
    let first = low.log10().floor();
    let last = high.log10().ceil().max(first + 1.0);
    let mut ticks = vec![10f64.powf(first)];
    while first + (ticks.len() as f64) <= last {
        ticks.push(10f64.powf(first + ticks.len() as f64));
    }
    ticks
}

/// With three digits, and k for thousands.
pub(crate) fn short(value: f64) -> String {
    match value {
        _ if value >= 99_950.0 => format!("{:.0}k", value / 1e3),
        _ if value >= 9_995.0 => format!("{:.1}k", value / 1e3),
        _ if value >= 100.0 || value == 0.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ if value >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Text for HTML and SVG.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\'', "&#39;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose_the_values() {
        assert_eq!(linear_ticks(23_400.0).last(), Some(&25_000.0));
        assert_eq!(linear_ticks(1.0).last(), Some(&1.0));
        assert_eq!(
            linear_ticks(0.0),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(decades(0.3, 40.0), [0.1, 1.0, 10.0, 100.0]);
        assert_eq!(decades(1.0, 1.0), [1.0, 10.0]);
    }

    #[test]
    fn numbers_are_short() {
        let shown = [
            0.0, 0.1234, 3.456, 42.0, 512.0, 9_999.0, 24_310.0, 240_000.0,
        ]
        .map(short);
        let wanted = [
            "0", "0.123", "3.46", "42.0", "512", "10.0k", "24.3k", "240k",
        ];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn a_line_has_a_mark_for_every_point() {
        let series = Series {
            name: "a <b>".to_owned(),
            points: vec![(1.0, 10.0), (64.0, 30.0), (256.0, 20.0)],
        };
        let mark = Mark {
            name: "limit".to_owned(),
            value: 40.0,
        };
        let labels = ["clients", "rows/s"];
        let svg = lines("t", labels, Scale::Linear, &[series], Some(&mark));
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("a &lt;b&gt;") && svg.contains("limit"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn one_point_is_no_division_by_zero() {
        let series = Series {
            name: "a".to_owned(),
            points: vec![(64.0, 5.0)],
        };
        let svg = lines("t", ["x", "y"], Scale::Logarithmic, &[series], None);
        assert!(svg.contains("<circle") && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn nothing_makes_no_plot() {
        assert_eq!(lines("t", ["x", "y"], Scale::Linear, &[], None), "");
        assert_eq!(bars("t", "u", &[], &[]), "");
    }
}
