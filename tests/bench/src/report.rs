//! The page that a person reads: findings, plots, and every figure.
//!
//! Invariant: the page is one file and loads nothing.

use std::fmt::Write as _;

use crate::findings::subjects;
use crate::plot::{Mark, Scale, Series, bars, escape, lines};
use crate::results::{Case, Run};

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;max-width:1340px;margin:2em auto;padding:0 1em;color:#222}\
svg{margin:.5em 1em .5em 0;background:#fff}svg text{font:12px system-ui,sans-serif}\
svg text.title{font-weight:600;font-size:14px}table{border-collapse:collapse;font-size:13px}\
td,th{border:1px solid #ccc;padding:2px 8px;text-align:right}\
td:nth-child(-n+3),th:nth-child(-n+3){text-align:left}pre{background:#f4f4f4;padding:.5em}";

const READING: &str = "\
Clients and server share the CPUs of one machine, so raw rates contain the work of the clients; \
rows per server CPU second do not: they are what the server computed, divided by the CPU time of \
all its processes. With one client, times contain how long this machine takes to wake a thread \
on another CPU, and vary with where the kernel puts threads. Latencies of an open loop count from \
when a request was due. The column on others says how much of a CPU something else on the machine \
used meanwhile, the kernel's own work among it: above a few percent, do not compare.";

/// How much higher than everything else a limit may be to be drawn. Where a model computes next to
/// nothing its limit is thousands of times higher, and nothing else could be seen.
const FAR: f64 = 10.0;

/// The page.
pub(crate) fn page(run: &Run) -> String {
    let mut page = format!(
        "<!doctype html><html lang='en'><meta charset='utf-8'>\
         <title>Tensorgate: {kind}</title><style>{STYLE}</style><h1>Tensorgate: {kind}</h1>\
         <p>{cpus} CPUs ({cpu}), Linux {kernel}, load average {load} before the run; {seconds} s \
         for each case; started at {started} (seconds since 1970).</p><p>{READING}</p>",
        kind = escape(&run.kind),
        cpus = run.machine.cpus,
        cpu = escape(&run.machine.cpu),
        kernel = escape(&run.machine.kernel),
        load = escape(&run.machine.load_average),
        seconds = run.seconds,
        started = run.started,
    );
    list(&mut page, "Findings", &run.findings);
    list(&mut page, "Notes", &run.notes);
    configurations(&mut page, run);
    for (workload, over, rows) in groups(run) {
        plots(&mut page, run, &workload, &over, rows);
    }
    cost_bars(&mut page, run);
    batches(&mut page, run);
    limits(&mut page, run);
    cases(&mut page, run);
    page.push_str("</html>\n");
    page
}

fn list(page: &mut String, title: &str, sentences: &[String]) {
    if sentences.is_empty() {
        return;
    }
    let _ = write!(page, "<h2>{title}</h2><ul>");
    for sentence in sentences {
        let _ = write!(page, "<li>{}</li>", escape(sentence));
    }
    page.push_str("</ul>");
}

fn configurations(page: &mut String, run: &Run) {
    if run.configurations.is_empty() {
        return;
    }
    page.push_str("<h2>Configurations</h2><pre>");
    for (name, flags) in &run.configurations {
        let _ = writeln!(page, "{}: {}", escape(name), escape(&flags.join(" ")));
    }
    page.push_str("</pre>");
}

/// What belongs into one plot, in the order of the run.
fn groups(run: &Run) -> Vec<(String, String, usize)> {
    let mut groups = Vec::new();
    for case in &run.cases {
        let group = (case.workload.clone(), case.over.clone(), case.rows);
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

fn plots(page: &mut String, run: &Run, workload: &str, over: &str, rows: usize) {
    let series = |figure: fn(&Case) -> f64| -> Vec<Series> {
        let of = |subject: &String| Series {
            name: subject.clone(),
            points: run
                .closed(workload)
                .filter(|case| case.subject == *subject && case.over == over && case.rows == rows)
                .map(|case| (case.clients as f64, figure(case)))
                .collect(),
        };
        subjects(run, workload)
            .iter()
            .map(of)
            .filter(|series| !series.points.is_empty())
            .collect()
    };
    let rates = series(|case| case.rows_per_s);
    // With one number of clients there is no line: the bars and the table have it.
    if rates.iter().all(|series| series.points.len() < 2) {
        return;
    }
    let highest = rates
        .iter()
        .flat_map(|series| &series.points)
        .fold(0.0, |highest: f64, point| highest.max(point.1));
    let limit = run.limit(workload).map(|limit| Mark {
        name: format!("bare session, batch {}", limit.fastest.batch),
        value: limit.fastest.rows_per_s,
    });
    let limit = limit.filter(|limit| limit.value <= highest * FAR);
    let tails = series(|case| case.p99_ms);
    let plural = if rows == 1 { "row" } else { "rows" };
    let _ = write!(
        page,
        "<h2>{}, {over}, {rows} {plural} a request</h2>{}{}",
        escape(workload),
        lines(
            "Throughput",
            ["clients", "rows/s"],
            Scale::Linear,
            &rates,
            limit.as_ref()
        ),
        lines(
            "99th percentile",
            ["clients", "ms"],
            Scale::Logarithmic,
            &tails,
            None
        ),
    );
}

/// Of every server its thriftiest case, by workload.
fn cost_bars(page: &mut String, run: &Run) {
    let mut workloads: Vec<&str> = Vec::new();
    for case in &run.cases {
        if !workloads.contains(&case.workload.as_str()) {
            workloads.push(&case.workload);
        }
    }
    for workload in workloads {
        let mut shown: Vec<(String, f64)> = Vec::new();
        for case in run.closed(workload) {
            let Some(value) = case.rows_per_server_cpu_s else {
                continue;
            };
            let name = format!("{}, {}, {} a request", case.subject, case.over, case.rows);
            match shown.iter_mut().find(|bar| bar.0 == name) {
                Some(bar) => bar.1 = bar.1.max(value),
                None => shown.push((name, value)),
            }
        }
        let highest = shown
            .iter()
            .fold(0.0, |highest: f64, bar| highest.max(bar.1));
        let limit = run.limit(workload).map(|limit| Mark {
            name: "bare session".to_owned(),
            value: limit.fastest.rows_per_cpu_s,
        });
        let limit = limit.filter(|limit| limit.value <= highest * FAR);
        let marks: Vec<Mark> = limit.into_iter().collect();
        let plot = bars(
            "Rows per server CPU second",
            "best of all numbers of clients",
            &shown,
            &marks,
        );
        let _ = write!(page, "<h2>{}: cost</h2>{plot}", escape(workload));
    }
}

fn batches(page: &mut String, run: &Run) {
    if run.batches.is_empty() {
        return;
    }
    page.push_str("<h2>Batches that models of other servers saw</h2><pre>");
    for (server, sizes) in &run.batches {
        let shown: Vec<String> = sizes
            .iter()
            .map(|(size, times)| format!("{size}: {times}"))
            .collect();
        let _ = writeln!(page, "{}: {}", escape(server), shown.join(", "));
    }
    page.push_str("</pre>");
}

fn limits(page: &mut String, run: &Run) {
    for limit in &run.limits {
        let _ = write!(
            page,
            "<h2>{}: bare session</h2><table><tr><th>batch<th>threads<th>kernel threads\
             <th>rows/s<th>rows per CPU s<th>run ms</tr>",
            escape(&limit.workload)
        );
        for point in &limit.points {
            let _ = write!(
                page,
                "<tr><td>{}<td>{}<td>{}<td>{:.0}<td>{:.0}<td>{:.3}</tr>",
                point.batch,
                point.threads,
                match point.kernel_threads {
                    0 => "default".to_owned(),
                    some => some.to_string(),
                },
                point.rows_per_s,
                point.rows_per_cpu_s,
                point.run_ms
            );
        }
        page.push_str("</table>");
    }
}

fn cases(page: &mut String, run: &Run) {
    page.push_str(
        "<h2>Every case</h2><table><tr><th>server<th>model<th>over<th>rows<th>clients<th>due/s\
         <th>requests/s<th>rows/s<th>p50 ms<th>p90 ms<th>p99 ms<th>max ms<th>server CPU s\
         <th>client CPU s<th>rows per server CPU s<th>others<th>failed<th>bytes copied a request\
         </tr>",
    );
    for case in &run.cases {
        let number = |value: Option<f64>| value.map_or_else(String::new, |v| format!("{v:.0}"));
        let failed: Vec<String> = case
            .failed
            .iter()
            .map(|(status, count)| format!("{status}: {count}"))
            .collect();
        let copied = case
            .copied_bytes
            .as_ref()
            .map(|copied| copied.values().sum::<f64>());
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{:.0}<td>{:.0}<td>{:.3}<td>{:.3}\
             <td>{:.3}<td>{:.3}<td>{:.2}<td>{:.2}<td>{}<td>{}<td>{}<td>{}</tr>",
            escape(&case.subject),
            escape(&case.workload),
            escape(&case.over),
            case.rows,
            case.clients,
            number(case.offered_per_s),
            case.requests_per_s,
            case.rows_per_s,
            case.p50_ms,
            case.p90_ms,
            case.p99_ms,
            case.max_ms,
            case.server_cpu_s,
            case.client_cpu_s,
            number(case.rows_per_server_cpu_s),
            case.others(),
            escape(&failed.join(", ")),
            number(copied),
        );
    }
    page.push_str("</table>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{Limit, Point};
    use crate::results::tests::{case, label};

    fn run() -> Run {
        let mut run = Run::new("batching", 2.0);
        for (clients, count) in [(1, 100), (64, 1000)] {
            run.cases.push(case(&label("ours & co", clients), count, 5));
        }
        run.limits.push(Limit::new(
            "cnn",
            vec![Point {
                batch: 32,
                threads: 1,
                kernel_threads: 0,
                rows_per_s: 24_000.0,
                rows_per_cpu_s: 40_000.0,
                run_ms: 2.0,
            }],
        ));
        run
    }

    #[test]
    fn a_page_has_two_plots_for_a_group_and_bars_for_a_model() {
        let page = page(&run());
        assert_eq!(page.matches("<svg").count(), 3);
        assert!(page.contains("bare session, batch 32"));
        assert!(page.contains("ours &amp; co") && !page.contains("ours & co"));
    }

    #[test]
    fn a_page_loads_nothing() {
        let page = page(&run()).replace("http://www.w3.org/2000/svg", "");
        for word in ["http", "<script", "<link", "src="] {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn a_limit_that_is_far_above_is_not_drawn() {
        let mut run = run();
        run.limits[0].fastest.rows_per_s = 1e9;
        run.limits[0].fastest.rows_per_cpu_s = 1e9;
        assert!(!page(&run).contains("bare session</text>"));
        assert!(!page(&run).contains("bare session, batch 32"));
    }

    #[test]
    fn one_number_of_clients_makes_no_line() {
        let mut run = run();
        run.cases.truncate(1);
        assert_eq!(page(&run).matches("<svg").count(), 1);
    }
}
