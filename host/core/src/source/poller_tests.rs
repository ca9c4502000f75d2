//! What is wished for from poll to poll, over made-up listings and fingerprints.

use super::*;
use crate::source::ServableVersionPolicy;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;
const INTERVAL: Duration = Duration::from_secs(1);

fn poller(version_policy: ServableVersionPolicy) -> Poller {
    let servable = MonitoredServable {
        name: "m".to_owned(),
        base_path: "/models/m".into(),
        version_policy,
    };
    Poller::new(servable, INTERVAL)
}

fn latest() -> Poller {
    poller(ServableVersionPolicy::default())
}

/// A directory that was written to this moment and looks like `digest`.
fn fresh(digest: u64) -> Fingerprint {
    Fingerprint {
        digest,
        newest: NOW,
        is_empty: false,
    }
}

/// A directory that nobody has written to for an hour.
fn old() -> Fingerprint {
    Fingerprint {
        newest: NOW - Duration::from_secs(3600),
        ..fresh(1)
    }
}

fn missing() -> io::Result<Vec<String>> {
    Err(io::Error::new(io::ErrorKind::NotFound, "no such directory"))
}

fn names(children: &[&str]) -> io::Result<Vec<String>> {
    Ok(children.iter().map(|&child| child.to_owned()).collect())
}

/// One poll in which every directory looks like `print`; the wish in short.
fn poll(
    poller: &mut Poller,
    children: io::Result<Vec<String>>,
    print: &Fingerprint,
) -> Option<String> {
    poll_each(poller, children, |_| Ok(print.clone()))
}

fn poll_each(
    poller: &mut Poller,
    children: io::Result<Vec<String>>,
    print: impl FnMut(&Path) -> io::Result<Fingerprint>,
) -> Option<String> {
    Some(match poller.decide(children, NOW, print)? {
        Wish::Versions(list) => {
            assert_eq!(list.name, "m");
            let versions: Vec<String> = list
                .versions
                .iter()
                .map(|aspired| format!("{}={}", aspired.version, aspired.path.display()))
                .collect();
            versions.join(" ")
        }
        Wish::Unreadable(name) => format!("cannot read {name}"),
    })
}

fn wish(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn takes_what_is_there_at_the_first_poll_without_looking_into_it() {
    let mut poller = latest();
    let wished = poll_each(&mut poller, names(&["1", "002", "x"]), |path| {
        panic!("looked into {}", path.display())
    });
    assert_eq!(wished, wish("2=/models/m/002"));
}

#[test]
fn says_nothing_while_nothing_changes() {
    let mut poller = latest();
    assert!(poll(&mut poller, names(&["1"]), &old()).is_some());
    assert_eq!(poll(&mut poller, names(&["1"]), &old()), None);
    assert_eq!(poll(&mut poller, names(&["1", "notes"]), &old()), None);
}

#[test]
fn waits_until_a_new_version_is_quiet() {
    let mut poller = latest();
    poll(&mut poller, names(&["1"]), &old());
    assert_eq!(poll(&mut poller, names(&["1", "2"]), &fresh(1)), None);
    assert_eq!(poll(&mut poller, names(&["1", "2"]), &fresh(2)), None);
    assert_eq!(
        poll(&mut poller, names(&["1", "2"]), &fresh(2)),
        wish("2=/models/m/2")
    );
}

#[test]
fn takes_a_finished_directory_that_was_moved_into_place_at_once() {
    let mut poller = latest();
    poll(&mut poller, names(&["1"]), &old());
    assert_eq!(
        poll(&mut poller, names(&["1", "2"]), &old()),
        wish("2=/models/m/2")
    );
}

#[test]
fn version_being_written_does_not_hide_a_finished_one() {
    let mut poller = latest();
    poll(&mut poller, names(&["1"]), &old());
    let wished = poll_each(&mut poller, names(&["1", "2", "3"]), |path| {
        Ok(if path.ends_with("3") { fresh(1) } else { old() })
    });
    assert_eq!(wished, wish("2=/models/m/2"));
}

#[test]
fn version_that_cannot_be_looked_into_waits() {
    let mut poller = latest();
    poll(&mut poller, names(&["1"]), &old());
    let wished = poll_each(&mut poller, names(&["1", "2"]), |_| {
        Err(io::Error::other("vanished"))
    });
    assert_eq!(wished, None);
    assert_eq!(
        poll(&mut poller, names(&["1", "2"]), &old()),
        wish("2=/models/m/2")
    );
}

#[test]
fn version_that_was_away_must_be_quiet_again() {
    let mut poller = latest();
    poll(&mut poller, names(&["1"]), &old());
    assert_eq!(poll(&mut poller, names(&[]), &old()), wish(""));
    assert_eq!(poll(&mut poller, names(&["1"]), &fresh(1)), None);
    assert_eq!(
        poll(&mut poller, names(&["1"]), &fresh(1)),
        wish("1=/models/m/1")
    );
}

#[test]
fn older_version_comes_back_when_the_newest_is_removed() {
    let mut poller = latest();
    poll(&mut poller, names(&["1", "2"]), &old());
    assert_eq!(
        poll(&mut poller, names(&["1"]), &old()),
        wish("1=/models/m/1")
    );
}

#[test]
fn empty_base_path_unloads_all_and_a_missing_one_nothing() {
    let mut poller = latest();
    assert_eq!(
        poll(&mut poller, names(&["1"]), &old()),
        wish("1=/models/m/1")
    );
    assert_eq!(poll(&mut poller, missing(), &old()), wish("cannot read m"));
    assert_eq!(poll(&mut poller, missing(), &old()), None, "said once");
    assert_eq!(
        poll(&mut poller, names(&["1"]), &old()),
        None,
        "still there"
    );
    assert_eq!(poll(&mut poller, names(&[]), &old()), wish(""));
}

#[test]
fn base_path_that_appears_later_is_watched_for_quiet() {
    let mut poller = latest();
    assert_eq!(poll(&mut poller, missing(), &old()), wish("cannot read m"));
    assert_eq!(poll(&mut poller, names(&["1"]), &fresh(1)), wish(""));
    assert_eq!(
        poll(&mut poller, names(&["1"]), &fresh(1)),
        wish("1=/models/m/1")
    );
}

#[test]
fn several_versions_become_quiet_one_by_one() {
    let mut poller = poller(ServableVersionPolicy::Latest(2));
    poll(&mut poller, names(&["1"]), &old());
    let wished = poll_each(&mut poller, names(&["1", "2", "3"]), |path| {
        Ok(if path.ends_with("2") { fresh(1) } else { old() })
    });
    assert_eq!(wished, wish("1=/models/m/1 3=/models/m/3"));
    assert_eq!(
        poll(&mut poller, names(&["1", "2", "3"]), &fresh(1)),
        wish("2=/models/m/2 3=/models/m/3")
    );
}

#[test]
fn complains_once_per_change() {
    let mut poller = poller(ServableVersionPolicy::Specific(vec![4]));
    let missing_version = "Version 4 of servable m, which was requested to be served as a \
                           'specific' version in the servable's version policy, was not found in \
                           the file system";
    let nothing = "No versions of servable m found under base path /models/m. Did you forget to \
                   name your leaf directory as a number (eg. '/1/')?";
    poll(&mut poller, names(&["1"]), &old());
    assert_eq!(poller.complaints, [missing_version]);
    poll(&mut poller, names(&[]), &old());
    assert_eq!(poller.complaints, [nothing, missing_version]);
    let same = poller.complaints.clone();
    assert_eq!(poller.news(same), Vec::<String>::new());
    poll(&mut poller, missing(), &old());
    assert_eq!(
        poller.complaints,
        [
            "FileSystemStoragePathSource encountered a filesystem access error: Could not find \
             base path /models/m for servable m with error no such directory"
        ]
    );
}
