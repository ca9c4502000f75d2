//! `tensorgate component test`: recorded requests against the component and a model.
//!
//! Everything is as it will be: the gateway, the processor in its sandbox, TensorFlow, all in a
//! server that is started for this on loopback.

mod compare;
mod record;
mod server;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value as Json;

use crate::files;

use super::super::flag::{Flag, Value};
use super::super::http::{self, Answer, Question, plain};
use super::super::print;
use super::project::Project;
use super::told::{self, Failed, Given};
use record::Record;
use server::Server;
use stage::Stage;

pub(super) use server::COMMAND;

/// How long one answer may take. The server's own limit is shorter.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest answer that is expected.
const MAX_ANSWER_MIB: u64 = 16;

#[derive(Debug, Default)]
struct Options {
    model_dir: Option<PathBuf>,
    model: Option<String>,
    only: Option<String>,
    bless: bool,
    help: bool,
}

pub(super) const MODEL_DIR: &str = "The model that it stands before: a version directory, or a base path for the highest version; \
     test.model of processor.toml otherwise.";

const FLAGS: &[Flag<Options>] = &[
    Flag {
        name: "model_dir",
        default: "",
        value: Value::Text(|o, v| o.model_dir = Some(v.into()).filter(|_| !v.is_empty())),
        acts: true,
        help: MODEL_DIR,
    },
    Flag {
        name: "model",
        default: "",
        value: Value::Text(|o, v| o.model = Some(v.to_owned()).filter(|name| !name.is_empty())),
        acts: true,
        help: "What the model is called; the name of the directory above the version otherwise.",
    },
    Flag {
        name: "only",
        default: "",
        value: Value::Text(|o, v| o.only = Some(v.to_owned()).filter(|name| !name.is_empty())),
        acts: true,
        help: "The name of one recorded request; all of them otherwise.",
    },
    Flag {
        name: "bless",
        default: "false",
        value: Value::Bool(|o, v| o.bless = v),
        acts: true,
        help: "Writes what came as the answers that are expected.",
    },
    told::help(|options, help| options.help = help),
];

/// Tests one project.
pub(super) fn run(args: &[String]) -> ExitCode {
    let given = Given {
        flags: FLAGS,
        usage: "tensorgate component test [DIRECTORY] [--model_dir=DIRECTORY] [--bless] \
                [-- FLAGS OF tensorgate serve]",
        about: "Sends the project's recorded requests to its component before a model, and \
                compares the answers with those that are expected.",
    };
    let (args, flags) = match args.iter().position(|arg| arg == "--") {
        Some(end) => (&args[..end], &args[end + 1..]),
        None => (args, &[][..]),
    };
    let wants_help = |options: &Options| options.help;
    told::run(&given, args, wants_help, |options, rest| {
        let project = Project::open(&told::directory(&given, rest)?)?;
        test(&project, options, flags)
    })
}

fn test(project: &Project, options: &Options, flags: &[String]) -> Result<(), Failed> {
    let component = project.component();
    if !component.is_file() {
        return Err(format!(
            "{} is not there: `tensorgate component build` makes it",
            Project::shown(&component)
        )
        .into());
    }
    let model = options.model_dir.clone().or_else(|| project.model());
    let model = model.ok_or_else(|| {
        Failed::Misused(
            "which model? expected --model_dir=DIRECTORY, or test.model in processor.toml"
                .to_owned(),
        )
    })?;
    let mut records = Record::all(&project.requests())?;
    if let Some(only) = &options.only {
        records.retain(|record| record.name == *only);
        if records.is_empty() {
            return Err(format!("no recorded request is called {only}").into());
        }
    }
    let stage = Stage::set(project, &model, options.model.as_deref())?;
    let mut all = stage.flags();
    all.extend(flags.iter().cloned());
    let server = Server::start(&all).map_err(|why| {
        // By the name that its developer knows.
        let staged = stage.processor.display().to_string();
        why.replace(&staged, &Project::shown(&component))
    })?;
    let mut failed = 0;
    for record in &records {
        let verdict = ask(&server, &stage.model, record, options.bless);
        if !verdict.problems.is_empty() {
            failed += 1;
        }
        print(&plain(&report(&record.name, &verdict, &server)));
    }
    print(&format!(
        "{} passed, {failed} failed\n",
        records.len() - failed
    ));
    if failed > 0 {
        return Err(Failed::Said);
    }
    Ok(())
}

/// What is to be said of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    problems: Vec<String>,
    /// Whether the server or the component failed, and so the log says why.
    is_logged: bool,
    /// The file with the answer that is expected from now on.
    blessed: Option<PathBuf>,
}

impl Verdict {
    fn problem(problem: String) -> Self {
        Self {
            problems: vec![problem],
            ..Self::default()
        }
    }
}

fn report(name: &str, verdict: &Verdict, server: &Server) -> String {
    let must = !verdict.problems.is_empty() && verdict.is_logged;
    let said = server.said(must);
    if verdict.problems.is_empty() {
        let blessed = verdict.blessed.as_deref().map(Project::shown);
        let blessed = blessed.map_or_else(String::new, |file| format!(", {file} is written"));
        return format!("{name}: ok{blessed}\n");
    }
    let mut text = format!("{name}: FAILED\n");
    for problem in &verdict.problems {
        text.push_str(&format!("  {problem}\n"));
    }
    if !said.is_empty() {
        text.push_str("  meanwhile, in the server's log:\n");
    }
    for line in said {
        text.push_str(&format!("    {line}\n"));
    }
    text
}

fn ask(server: &Server, model: &str, record: &Record, bless: bool) -> Verdict {
    let question = Question {
        method: "POST",
        path: &record.path(model),
        token: None,
        headers: &record.headers,
        body: &record.body,
        patience: PATIENCE,
    };
    match http::fetch(&server.authority(), question) {
        Ok(answer) => judge(record, &answer, bless),
        Err(error) => Verdict::problem(format!("no answer: {error}")),
    }
}

/// Holds an answer against what is expected.
fn judge(record: &Record, answer: &Answer, bless: bool) -> Verdict {
    let text = String::from_utf8_lossy(&answer.body);
    if answer.status != record.status {
        // Any other difference comes of this one.
        let message = message(&answer.body).unwrap_or_else(|| text.into_owned());
        let (expected, got) = (record.status, answer.status);
        return Verdict {
            problems: vec![format!(
                "status: expected {expected}, got {got}: {}",
                compare::shortened(&message)
            )],
            is_logged: got >= 500,
            blessed: None,
        };
    }
    let mut verdict = Verdict::default();
    if let Some(words) = &record.contains {
        let message = message(&answer.body);
        let is_there = text.contains(words) || message.is_some_and(|said| said.contains(words));
        if !is_there {
            verdict.problems.push(format!(
                "answer: expected {words:?} in it, got {}",
                compare::shortened(&text)
            ));
        }
    }
    let Some(file) = &record.answer else {
        return verdict;
    };
    let problems = differences(record, file, &answer.body);
    if problems.is_empty() {
        return verdict;
    }
    if !bless {
        verdict.problems.extend(problems);
        return verdict;
    }
    match fs::write(file, to_keep(file, &answer.body)) {
        Ok(()) => verdict.blessed = Some(file.clone()),
        Err(error) => {
            let shown = Project::shown(file);
            verdict
                .problems
                .push(format!("cannot write {shown}: {error}"));
        }
    }
    verdict
}

/// The message of an answer that is TensorFlow Serving's envelope of an error.
fn message(body: &[u8]) -> Option<String> {
    let body: Json = serde_json::from_slice(body).ok()?;
    Some(body.get("error")?.as_str()?.to_owned())
}

fn is_json(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "json")
}

/// How an answer differs from the one in `file`.
fn differences(record: &Record, file: &Path, got: &[u8]) -> Vec<String> {
    let shown = Project::shown(file);
    let kind = format!("an answer of {MAX_ANSWER_MIB} MiB at most");
    let expected = match files::read(file, &kind, MAX_ANSWER_MIB << 20) {
        Ok(expected) => expected,
        Err(error) => {
            return vec![format!("{shown}: {error}; --bless writes what came to it")];
        }
    };
    let values = |body: &[u8]| serde_json::from_slice::<Json>(body).ok();
    // What is no JSON (TensorFlow Serving writes NaN as such) is compared as text.
    let listed = match (is_json(file), values(&expected), values(got)) {
        (true, Some(expected), Some(got)) => compare::json(&expected, &got, record.tolerance),
        _ => compare::bytes(&expected, got).into_iter().collect(),
    };
    let listed = listed.into_iter();
    listed
        .map(|problem| format!("{shown}: {problem}"))
        .collect()
}

/// An answer as it is kept: JSON with a line for each value, so that changes are seen.
fn to_keep(file: &Path, body: &[u8]) -> Vec<u8> {
    let value = is_json(file).then(|| serde_json::from_slice::<Json>(body).ok());
    let pretty = value
        .flatten()
        .and_then(|value| serde_json::to_string_pretty(&value).ok());
    pretty.map_or_else(|| body.to_vec(), |pretty| (pretty + "\n").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of an answer, with a recorded request that says this.
    fn judged(place: &Path, record: &str, status: u16, body: &[u8], bless: bool) -> Verdict {
        fs::write(place.join("r.toml"), format!("text = ''\n{record}")).unwrap();
        let records = Record::all(place).unwrap();
        let body = body.to_vec();
        judge(&records[0], &Answer { status, body }, bless)
    }

    #[test]
    fn an_answer_is_held_against_status_words_and_file() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        fs::write(place.join("a.json"), "[1, 2.0]").unwrap();
        fs::write(place.join("a.txt"), "one\ntwo").unwrap();
        for (record, status, body, expected) in [
            ("answer = 'a.json'", 200, &b"[1.0,2.00000001]"[..], None),
            (
                "answer = 'a.json'",
                200,
                b"[1,3]",
                Some("$[1]: expected 2.0, got 3"),
            ),
            (
                "answer = 'a.json'",
                400,
                br#"{"error": "not so"}"#,
                Some("status: expected 200, got 400: not so"),
            ),
            ("answer = 'a.json'", 200, b"[NaN]", Some("line 1: expected")),
            ("answer = 'a.txt'", 200, b"one\ntwo", None),
            (
                "answer = 'a.txt'",
                200,
                b"one\nto",
                Some("line 2: expected \"two\", got \"to\""),
            ),
            ("answer = 'b.txt'", 200, b"", Some("--bless writes")),
            (
                "status = 400\ncontains = 'a \"b\"'",
                400,
                br#"{"error": "found a \"b\""}"#,
                None,
            ),
            (
                "contains = 'a'",
                200,
                b"b",
                Some("expected \"a\" in it, got b"),
            ),
        ] {
            let verdict = judged(place, record, status, body, false);
            match expected {
                None => assert_eq!(verdict, Verdict::default(), "{record}"),
                Some(words) => {
                    let [problem] = verdict.problems.as_slice() else {
                        panic!("{verdict:?}");
                    };
                    assert!(problem.contains(words), "{problem}");
                }
            }
        }
    }

    #[test]
    fn what_came_is_what_is_expected_from_now_on() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        for (record, body) in [
            ("answer = 'a.json'", &b"{\"b\":[1.5],\"a\":2}"[..]),
            ("answer = 'a.bin'", b"\xff\x00"),
        ] {
            let blessed = judged(place, record, 200, body, true);
            assert_eq!(blessed.problems, [""; 0]);
            assert!(blessed.blessed.is_some());
            let again = judged(place, record, 200, body, true);
            assert_eq!(again, Verdict::default(), "it is written once");
        }
        let kept = fs::read_to_string(place.join("a.json")).unwrap();
        assert_eq!(kept, "{\n  \"a\": 2,\n  \"b\": [\n    1.5\n  ]\n}\n");
        // A status is what somebody has written, and stays.
        let verdict = judged(place, "answer = 'a.json'", 500, b"[]", true);
        assert_eq!((verdict.problems.len(), verdict.blessed), (1, None));
    }
}
