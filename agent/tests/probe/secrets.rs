//! Servers that say everything back: no secret of a monitor may be in a result.

use crate::serving::{Server, answer, check, failed};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use hyperverge_protocol::outcome::{Observation, Reason};
use serde_json::{Value, json};

const SECRETS: [&str; 8] = [
    "query-s3cret/1",
    "header-s3cret+2",
    "cookie-s3cret-3",
    "bearer-s3cret-4",
    "body-s3cret\"5",
    "T00000000/B00000000/path-s3cret-6000000",
    "basic-s3cret-7",
    "cHJvYmU6YmFzaWMtczNjcmV0LTc",
];

fn monitor(auth: Value, more: Value) -> (String, Value) {
    let path = "/services/T00000000xxxxxxxx/path-s3cret-6000000?q=query-s3cret%2F1&v=1".to_owned();
    let mut spec = json!({
        "http": {
            "method": "POST",
            "headers": { "X-Key": "header-s3cret+2", "Cookie": "sid=cookie-s3cret-3; a=b" },
            "body": json!({ "password": "body-s3cret\"5" }).to_string(),
            "auth": auth,
        },
    });
    for (key, value) in more.as_object().expect("an object") {
        spec[key] = value.clone();
    }
    (path, spec)
}

fn tells_nothing(seen: &Observation) {
    let texts = [seen.message.clone(), String::from_utf8_lossy(&seen.sample).into_owned()];
    for text in texts {
        for secret in SECRETS {
            for form in [
                secret.to_owned(),
                STANDARD.encode(secret),
                URL_SAFE.encode(secret),
                secret.replace('/', "%2F").replace('+', "%2B").replace('"', "%22"),
                json!(secret).to_string().trim_matches('"').to_owned(),
            ] {
                assert!(!text.contains(form.trim_end_matches('=')), "{secret} is in {text}");
            }
        }
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[tokio::test]
async fn what_a_server_says_back_is_blotted_out() {
    let bearer = json!({ "bearer": "bearer-s3cret-4" });
    let basic = json!({ "basic": { "username": "probe", "password": "basic-s3cret-7" } });
    let ways: [fn(&str) -> Vec<u8>; 4] = [
        |request| answer("500 Oh no", "", request),
        |request| answer("200 OK", "", &request.replace("\r\n", "\n")),
        |request| answer("200 OK", "", &format!("{}{request}", ".".repeat(700))),
        |request| answer("200 OK", "", &json!({ "you said": request.lines().last() }).to_string()),
    ];
    for way in ways {
        let server = Server::answering(way).await;
        for auth in [&bearer, &basic] {
            for rule in
                [json!({ "expect": { "body": "all is well" } }), json!({ "assert": ["false"] })]
            {
                let (path, spec) = monitor(auth.clone(), rule);
                let seen = check(&server.url(&path), spec).await;
                assert!(seen.reason.is_some() && !seen.sample.is_empty(), "{seen:?}");
                tells_nothing(&seen);
            }
        }
    }
}

#[tokio::test]
async fn what_an_assertion_shows_is_blotted_out_even_where_it_is_cut() {
    let server = Server::answering(|request| {
        let key = crate::serving::header(request, "x-key").unwrap_or_default();
        let padded = format!("{}{key}", ".".repeat(50));
        answer(
            "200 OK",
            "X-Echo: header-s3cret+2\r\n",
            &json!({ "a": key, "b": padded }).to_string(),
        )
    })
    .await;
    let assert = r#"response.headers["x-echo"] + response.json().a + response.json().b == "b""#;
    let (path, spec) =
        monitor(json!({ "bearer": "bearer-s3cret-4" }), json!({ "assert": [assert] }));
    let seen = check(&server.url(&path), spec).await;
    failed(&seen, Reason::Assertion);
    assert!(seen.message.contains(r#"response.json().a is "***""#), "{}", seen.message);
    assert!(seen.message.contains("..***\u{2026}\""), "{}", seen.message);
    tells_nothing(&seen);
}

#[tokio::test]
async fn a_body_of_any_language_is_blotted_out() {
    let server = Server::answering(|request| {
        // As a login that failed shows what it was given: by itself.
        let found = request.find("s3cret-pa55").map(|at| &request[at..at + 11]);
        answer("401 No", "", &format!("login failed for carol with {}", found.unwrap_or("nothing")))
    })
    .await;
    for body in [
        r#"{"query": "mutation { login(user: \"carol\", p: \"s3cret-pa55\") { id } }"}"#,
        "--b\r\nContent-Disposition: form-data; name=\"p\"\r\n\r\ns3cret-pa55\r\n--b--\r\n",
        "{\"user\": \"carol\"}\n{\"p\": \"s3cret-pa55\"}\n",
        "user: carol\np: s3cret-pa55\n",
        "LOGIN carol s3cret-pa55",
        r#"{"user": "carol", "pw": "s3cret-pa55"}"#,
        "user=carol&p=s3cret-pa55",
        "<login><user>carol</user><p>s3cret-pa55</p></login>",
    ] {
        let http = json!({ "method": "POST", "body": body });
        let seen = check(&server.url("/"), json!({ "http": http })).await;
        failed(&seen, Reason::Status);
        let sample = String::from_utf8_lossy(&seen.sample).into_owned();
        assert_eq!(sample, "login failed for carol with ***", "{body}");
    }
}

#[tokio::test]
async fn a_body_with_too_many_parts_to_search_for_leaves_nothing_to_read() {
    let server = Server::answering(|request| answer("401 No", "", request)).await;
    let parts: Vec<String> = (0..300).map(|n| format!("part-{n:03}")).collect();
    let http = json!({ "method": "POST", "body": parts.join(" ") });
    let seen = check(&server.url("/"), json!({ "http": http })).await;
    failed(&seen, Reason::Status);
    let sample = String::from_utf8_lossy(&seen.sample).into_owned();
    assert!(sample.starts_with("***") && !sample.contains("part-"), "{sample}");
}
