//! What the figures of a run say, as sentences: shares of the limit, ratios between servers.
//!
//! Invariant: a sentence compares cases of one run only, and is left out where one of them is
//! missing.

use std::collections::BTreeSet;

use crate::results::{Case, Run};

/// At which number of clients configurations are compared.
const MANY: usize = 64;
/// Rows per request that are looked at.
const ROWS: [usize; 2] = [16, 1];
const OVERS: [&str; 2] = ["gRPC", "REST"];

/// Which part of a CPU others may use beside a case that is compared.
const QUIET: f64 = 0.05;

/// Whether the machine was quiet: of any benchmark.
pub(crate) fn of_quiet(run: &Run) -> Option<String> {
    let is_loud = |case: &&Case| {
        case.others_cpu_s
            .is_some_and(|others| others > case.seconds * QUIET)
    };
    let loud = run.cases.iter().filter(is_loud).count();
    (loud > 0).then(|| {
        format!(
            "{loud} of {} cases ran while others used more than {:.0}% of a CPU: their figures are \
             not to be compared",
            run.cases.len(),
            QUIET * 100.0
        )
    })
}

/// Of `cargo xtask bench batching`.
pub(crate) fn of_batching(run: &Run) -> Vec<String> {
    let mut found = Vec::new();
    for over in OVERS {
        found.extend(ROWS.iter().filter_map(|rows| ceiling(run, over, *rows)));
    }
    for subject in subjects(run, "cnn") {
        for over in OVERS {
            for rows in ROWS {
                found.extend(share_of_limit(run, &subject, over, rows));
                found.extend(against_unbatched(run, &subject, over, rows));
                found.extend(tail_at_half(run, &subject, over, rows));
            }
        }
    }
    found.extend(run.counted.iter().filter_map(moved));
    found
}

/// What a request has copied, and allocated.
fn moved(case: &Case) -> Option<String> {
    let copied = case.copied_bytes.as_ref()?;
    let short = |name: &str| {
        let name = name.trim_start_matches("tensorgate_");
        name.replace("_copied_bytes_total", "").replace("{}", "")
    };
    let parts = copied.iter().filter(|(_, bytes)| **bytes >= 0.5);
    let parts: Vec<String> = parts
        .map(|(name, bytes)| format!("{} {bytes:.0}", short(name)))
        .collect();
    Some(format!(
        "{}, {}, {}, {} rows a request: {:.0} bytes copied ({}), {:.0} bytes allocated",
        case.workload,
        case.subject,
        case.over,
        case.rows,
        copied.values().sum::<f64>(),
        parts.join(", "),
        case.allocated_bytes?,
    ))
}

/// Of `cargo xtask bench peers`: the best of ours against each of the others.
pub(crate) fn of_peers(run: &Run, peers: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for workload in ["cnn", "half_plus_two"] {
        let best = |is_wanted: &dyn Fn(&Case) -> bool| {
            run.closed(workload)
                .filter(|case| is_wanted(case))
                .max_by(|one, other| one.requests_per_s.total_cmp(&other.requests_per_s))
                .cloned()
        };
        for over in ["REST", "gRPC"] {
            let is_ours = |case: &Case| {
                case.over == over && case.rows == 1 && !peers.contains(&case.subject.as_str())
            };
            let Some(ours) = best(&is_ours) else {
                continue;
            };
            for peer in peers {
                let Some(theirs) = best(&|case| case.subject == *peer) else {
                    continue;
                };
                found.push(format!(
                    "{workload}: {} over {over}, {:.0} requests/s at {} clients, is {:.1} times \
                     {peer} ({:.0} at {} clients over REST)",
                    ours.subject,
                    ours.requests_per_s,
                    ours.clients,
                    ours.requests_per_s / theirs.requests_per_s,
                    theirs.requests_per_s,
                    theirs.clients,
                ));
            }
        }
    }
    found
}

/// In the order of their names.
pub(crate) fn subjects(run: &Run, workload: &str) -> BTreeSet<String> {
    run.closed(workload)
        .map(|case| case.subject.clone())
        .collect()
}

/// The case of a closed loop whose rows took the least CPU time; with few clients the server
/// waits most of the time, and waking up is what is measured.
fn thriftiest<'a>(
    run: &'a Run,
    workload: &'a str,
    subject: &str,
    over: &str,
    rows: usize,
) -> Option<&'a Case> {
    run.closed(workload)
        .filter(|case| case.subject == subject && case.over == over && case.rows == rows)
        .filter(|case| case.rows_per_server_cpu_s.is_some())
        .max_by(|one, other| {
            let figure = |case: &Case| case.rows_per_server_cpu_s.unwrap_or_default();
            figure(one).total_cmp(&figure(other))
        })
}

/// What a batcher that costs nothing would come to: each row takes what it takes in the fastest
/// bare batch, and what its part of a request takes that computes nothing.
fn ceiling(run: &Run, over: &str, rows: usize) -> Option<String> {
    let echo = thriftiest(run, "echo", "unbatched", over, rows)?.rows_per_server_cpu_s?;
    let limit = run.limit("cnn")?.fastest.rows_per_cpu_s;
    let both = 1.0 / (1.0 / echo + 1.0 / limit);
    Some(format!(
        "ceiling, {over}, {rows} rows a request: the echo takes {echo:.0} rows per server CPU s; \
         with the network at its fastest bare batch ({limit:.0}) on top, {both:.0}, {:.0}% of it",
        both / limit * 100.0
    ))
}

fn share_of_limit(run: &Run, subject: &str, over: &str, rows: usize) -> Option<String> {
    let case = thriftiest(run, "cnn", subject, over, rows)?;
    let limit = run.limit("cnn")?;
    let per_cpu = case.rows_per_server_cpu_s?;
    let share = |limit: f64| per_cpu / limit * 100.0;
    Some(format!(
        "cnn, {subject}, {over}, {rows} rows a request: {per_cpu:.0} rows per server CPU s at {} \
         clients, {:.0}% of the fastest bare batch ({:.0}% of the thriftiest)",
        case.clients,
        share(limit.fastest.rows_per_cpu_s),
        share(limit.thriftiest.rows_per_cpu_s),
    ))
}

fn against_unbatched(run: &Run, subject: &str, over: &str, rows: usize) -> Option<String> {
    if subject == "unbatched" {
        return None;
    }
    let at = |subject: &str| {
        run.closed("cnn").find(|case| {
            (case.subject == subject && case.over == over)
                && (case.rows == rows && case.clients == MANY)
        })
    };
    let (this, unbatched) = (at(subject)?, at("unbatched")?);
    Some(format!(
        "cnn, {subject}, {over}, {rows} rows a request, {MANY} clients: {:.2} times the rows/s \
         without batching",
        this.rows_per_s / unbatched.rows_per_s
    ))
}

fn tail_at_half(run: &Run, subject: &str, over: &str, rows: usize) -> Option<String> {
    let case = run.cases.iter().find(|case| {
        (case.workload == "cnn" && case.subject == subject && case.over == over)
            && (case.rows == rows && case.offered_per_s.is_some())
    })?;
    let run_ms = run.limit("cnn")?.best.run_ms;
    Some(format!(
        "cnn, {subject}, {over}, {rows} rows a request, half of the peak ({:.0} requests/s due): \
         p99 {:.2} ms, {:.1} best-batch runs of {run_ms:.2} ms (the clients sent {:.2} ms late at \
         p99)",
        case.offered_per_s?,
        case.p99_ms,
        case.p99_ms / run_ms,
        case.late_p99_ms.unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::limit::{Limit, Point};
    use crate::results::tests::{case, label};

    fn run() -> Run {
        let mut run = Run::new("batching", 2.0);
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
        run.cases.push(case(&label("unbatched", 64), 250, 5));
        run.cases.push(case(&label("batched", 64), 1000, 5));
        let mut half = label("batched", 128);
        half.offered = Some(250.0);
        run.cases.push(case(&half, 500, 6));
        run
    }

    #[test]
    fn compares_with_the_limit_and_with_no_batching() {
        let found = of_batching(&run()).join("\n");
        assert!(found.contains("80% of the fastest bare batch"), "{found}");
        assert!(found.contains("4.00 times the rows/s"), "{found}");
        assert!(found.contains("3.0 best-batch runs of 2.00 ms"), "{found}");
    }

    #[test]
    fn says_when_the_machine_was_not_quiet() {
        let mut run = run();
        // A tenth of a second in two is just quiet.
        assert_eq!(of_quiet(&run), None);
        run.cases[0].others_cpu_s = Some(0.2);
        assert!(of_quiet(&run).unwrap().starts_with("1 of 3 cases"));
    }

    #[test]
    fn the_ceiling_is_the_sum_of_what_both_take() {
        let mut run = run();
        let mut label = label("unbatched", 64);
        label.workload = "echo";
        run.cases.push(case(&label, 1250, 1));
        let found = of_batching(&run);
        // 40,000 rows per CPU s each: half of it together.
        assert!(found[0].contains("on top, 20000, 50% of it"), "{found:?}");
    }

    #[test]
    fn says_what_a_request_moves_where_that_was_counted() {
        let mut run = Run::new("batching", 2.0);
        let mut counted = case(&label("b32", 32), 10, 1);
        counted.copied_bytes = Some(BTreeMap::from([
            ("tensorgate_batch_copied_bytes_total".to_owned(), 50_176.0),
            ("tensorgate_message_copied_bytes_total".to_owned(), 0.0),
        ]));
        run.counted.push(counted.clone());
        assert_eq!(of_batching(&run), Vec::<String>::new());
        counted.allocated_bytes = Some(70_000.0);
        run.counted.push(counted);
        let expected = "cnn, b32, gRPC, 16 rows a request: 50176 bytes copied (batch 50176), \
                        70000 bytes allocated";
        assert_eq!(of_batching(&run), [expected]);
    }

    #[test]
    fn says_nothing_of_what_was_not_measured() {
        let mut run = run();
        run.limits.clear();
        run.cases.remove(0);
        assert_eq!(of_batching(&run), Vec::<String>::new());
    }

    #[test]
    fn a_peer_is_held_against_the_best_of_ours() {
        let mut run = Run::new("peers", 2.0);
        for (subject, clients, count) in [("ours", 8, 1000), ("ours", 64, 4000), ("mosec", 64, 500)]
        {
            let mut label = label(subject, clients);
            (label.over, label.rows) = ("REST", 1);
            run.cases.push(case(&label, count, 1));
        }
        let found = of_peers(&run, &["mosec", "bentoml"]);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("8.0 times mosec"), "{found:?}");
    }
}
