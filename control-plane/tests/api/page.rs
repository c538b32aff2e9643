//! The page's files: served, typed, and free of what the policy forbids.

use crate::app::App;

#[tokio::test]
async fn the_page_and_all_it_names_are_served() {
    let app = App::new().await;
    let page = app.get("/", "").await.expect(200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(
        page.headers["content-security-policy"].to_str().unwrap().contains("script-src 'self'")
    );
    let mut files: Vec<String> = quoted_paths(&page.text, "/page/");
    assert!(files.len() >= 3, "{files:?}");
    let mut index = 0;
    while index < files.len() {
        let answer = app.get(&files[index], "").await.expect(200);
        for import in quoted_paths(&answer.text, "./") {
            let path = import.replace("./", "/page/");
            if !files.contains(&path) {
                files.push(path);
            }
        }
        index += 1;
    }
    assert!(files.len() >= 9, "{files:?}");
    app.get("/page/main.rs", "").await.expect(404);
    app.get("/page/..%2fmod.rs", "").await.expect(404);
}

#[tokio::test]
async fn nothing_is_inline() {
    let page = App::new().await.get("/", "").await.expect(200).text;
    for forbidden in
        ["<style", "style=", "javascript:", " onclick", " onload", "http://", "https://"]
    {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(
        page.matches("<script").count() == page.matches("<script type=\"module\" src=").count()
    );
}

/// What stands between double quotes and begins with `prefix`.
fn quoted_paths(text: &str, prefix: &str) -> Vec<String> {
    let mut found: Vec<String> = text
        .split('"')
        .filter(|part| part.starts_with(prefix) && !part.contains(char::is_whitespace))
        .map(str::to_owned)
        .collect();
    found.dedup();
    found
}
