//! The table of JSON cases through the whole server: component, host and TensorFlow, with a model
//! made of the table's signatures.

use tensorgate_tests::models::path;
use tensorgate_tests::server::Server;

#[path = "../conformance/table.rs"]
mod table;

#[test]
fn every_case_of_the_table_is_answered() {
    let server = Server::with_model("conformance", &path("conformance"), &[]);
    let cases = table::cases();
    assert!(cases.len() > 80, "the table was not read");
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let path = format!("/v1/models/conformance:{}", case.api);
            let answer = server.post(&path, &case.body);
            case.check(answer.status, &answer.body).err()
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
