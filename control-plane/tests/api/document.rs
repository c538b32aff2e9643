//! The OpenAPI document.

use crate::app::App;
use hyperverge_control_plane::api;

/// `hyperverge-control-plane openapi > docs/openapi.json` makes it right again.
#[test]
fn the_committed_document_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap();
    let generated = api::openapi_text().unwrap();
    let differs = committed.lines().zip(generated.lines()).find(|(old, new)| old != new);
    assert!(
        committed == generated,
        "docs/openapi.json is not what the code says (first: {differs:?}); \
         make it anew: hyperverge-control-plane openapi > docs/openapi.json"
    );
}

#[tokio::test]
async fn the_document_is_served_and_says_3_1() {
    let app = App::new().await;
    let document = app.get("/api/v1/openapi.json", "").await.expect(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    let monitors = &document["paths"]["/api/v1/monitors"];
    assert!(monitors["post"]["requestBody"].is_object());
    let problem = "application/problem+json";
    assert!(monitors["get"]["responses"]["default"]["content"][problem].is_object());
}

/// Every `$ref` leads somewhere, and operation ids are one of a kind.
#[test]
fn the_document_holds_together() {
    let document: serde_json::Value = serde_json::from_str(&api::openapi_text().unwrap()).unwrap();
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
    let mut ids: Vec<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}
