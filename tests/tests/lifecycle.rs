//! Versions that come and go while requests are answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tensorgate_tests::models::{BasePath, path};
use tensorgate_tests::server::Server;

const PREDICT: &str = "/v1/models/m:predict";
const BODY: &str = r#"{"instances": [0.0]}"#;

fn answer_of(version: u8) -> String {
    format!("{{\n    \"predictions\": [{version}.0\n    ]\n}}")
}

#[test]
fn a_swap_under_load_loses_no_request() {
    let base = BasePath::with_half_plus_two("1");
    let server = Server::with_model("m", base.path(), &[]);
    let done = AtomicBool::new(false);
    let (old, new) = (answer_of(2), answer_of(3));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = server.connect();
                    let mut seen = [0_u32; 2];
                    while !done.load(Ordering::Relaxed) {
                        let answer = connection
                            .request("POST", PREDICT, &[], BODY.as_bytes())
                            .expect("every request is answered");
                        assert_eq!(answer.status, 200, "{}", answer.body);
                        let is_new = answer.body == new;
                        assert!(is_new || answer.body == old, "{}", answer.body);
                        assert!(
                            !is_new || seen[1] > 0 || seen[0] > 0,
                            "the old one was there first"
                        );
                        seen[usize::from(is_new)] += 1;
                    }
                    seen
                })
            })
            .collect();
        base.publish("2", 3);
        server.wait_for_state("m", "1", "END");
        // Every client must meet the new version: its connection outlives the swap.
        let answer = server.post(PREDICT, BODY);
        assert_eq!(answer.body, new);
        done.store(true, Ordering::Relaxed);
        for client in clients {
            let seen = client.join().expect("no client failed");
            assert!(seen[0] > 0, "the load began before the swap");
        }
    });
}

#[test]
fn taking_the_newest_version_away_rolls_back() {
    let base = BasePath::with_half_plus_two("1");
    base.publish("2", 3);
    let server = Server::with_model("m", base.path(), &[]);
    assert_eq!(server.post(PREDICT, BODY).body, answer_of(3));
    base.withdraw("2");
    server.wait_for_state("m", "2", "END");
    assert_eq!(server.post(PREDICT, BODY).body, answer_of(2));
    let status = server.get("/v1/models/m").body;
    assert!(
        status.contains("\"version\": \"1\",\n   \"state\": \"AVAILABLE\""),
        "{status}"
    );
}

#[test]
fn a_corrupt_new_version_leaves_the_old_one_in_place_and_says_why() {
    let base = BasePath::with_half_plus_two("1");
    let server = Server::with_model("m", base.path(), &["--max_num_load_retries=0"]);
    base.publish_corrupt("2");
    let status = server.wait_for_state("m", "2", "END").body;
    assert!(
        status.contains("\"version\": \"1\",\n   \"state\": \"AVAILABLE\""),
        "{status}"
    );
    let value: serde_json::Value = serde_json::from_str(&status).expect("it is JSON");
    let why = &value["model_version_status"][0]["status"];
    // The words are TensorFlow's.
    assert_ne!(why["error_code"], "OK", "{status}");
    assert_ne!(why["error_message"], "", "{status}");
    assert_eq!(server.post(PREDICT, BODY).body, answer_of(2));
    let answer = server.post("/v1/models/m/versions/2:predict", BODY);
    assert_eq!(answer.status, 404);
}

#[test]
fn a_base_path_that_vanishes_stops_neither_its_model_nor_another() {
    let (gone, other) = (
        BasePath::with_half_plus_two("1"),
        BasePath::with_half_plus_two("1"),
    );
    let server = Server::with_models(
        &[("gone", gone.path(), ""), ("other", other.path(), "")],
        &[],
    );
    let vanished = gone.vanish();
    server.wait_for_line("Could not find base path");
    // The other model is still looked after.
    other.publish("2", 3);
    server.wait_for_state("other", "2", "AVAILABLE");
    assert_eq!(
        server.post("/v1/models/other:predict", BODY).body,
        answer_of(3)
    );
    assert_eq!(
        server.post("/v1/models/gone:predict", BODY).body,
        answer_of(2)
    );
    drop(vanished);
    gone.publish("2", 3);
    server.wait_for_state("gone", "2", "AVAILABLE");
    assert_eq!(
        server.post("/v1/models/gone:predict", BODY).body,
        answer_of(3)
    );
}

#[test]
fn labels_and_policies_choose_versions() {
    let model = path("half_plus_version");
    let server = Server::with_models(
        &[(
            "m",
            &model,
            "model_version_policy { all {} }
             version_labels { key: 'stable' value: 2 }
             version_labels { key: 'canary' value: 3 }",
        )],
        &[],
    );
    // Ready is a model of which one version answers.
    server.wait_for_state("m", "2", "AVAILABLE");
    server.wait_for_state("m", "3", "AVAILABLE");
    for (choice, version) in [
        ("", 3),
        ("/versions/2", 2),
        ("/labels/stable", 2),
        ("/labels/canary", 3),
    ] {
        let answer = server.post(&format!("/v1/models/m{choice}:predict"), BODY);
        assert_eq!(answer.body, answer_of(version), "{choice}");
    }
}
