//! Commands that do one thing and end.

use crate::program::Place;

#[test]
fn check_config_names_place_key_and_rule_and_fails() {
    let place = Place::new();
    let good = place.run(&["check-config"], &[], "");
    assert_eq!(good.code, Some(0), "{good:?}");

    let file = place.path().join("cp.toml");
    std::fs::write(&file, "[server]\npublic_url = \"ftp://x\"\n[log]\nlevle = \"info\"\n").unwrap();
    let file = file.display().to_string();
    let bad = place.run(&["check-config", "--config", &file], &[], "");
    assert_eq!(bad.code, Some(1), "{bad:?}");
    assert!(bad.stderr.contains(&file), "{bad:?}");
    assert!(bad.stderr.contains("`log.levle`; did you mean `log.level`?"), "{bad:?}");

    std::fs::write(&file, "[server]\npublic_url = \"ftp://x\"\n").unwrap();
    let bad = place.run(&["check-config", "--config", &file], &[("PORT", "80")], "");
    assert!(bad.stderr.contains("server.public_url must be an http or https URL"), "{bad:?}");
    let bad = place.run(&["check-config"], &[("HYPERVERGE_LINK__LISTEN", "nowhere")], "");
    assert!(bad.stderr.contains("HYPERVERGE_LINK__LISTEN: link.listen must be"), "{bad:?}");
    assert!(!place.path().join("cp.db").exists(), "checking starts nothing");
}

#[test]
fn an_organisation_is_made_with_a_given_password_and_an_address_only_once() {
    let place = Place::new();
    let create = ["organisation", "create", "--name", "acme", "--owner-email", "Ada@Example.com"];
    let made = place.run(&create, &[], "a good long password\n");
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.stdout.starts_with("organisation "), "{made:?}");
    assert!(!made.stdout.contains("password"), "a password that was given is not shown: {made:?}");
    let again = place.run(&create, &[], "a good long password\n");
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("owner-email is taken"), "{again:?}");
    let create = ["organisation", "create", "--name", "x", "--owner-email", "b@example.com"];
    let short = place.run(&create, &[], "short\n");
    assert!(short.stderr.contains("password must be at least 8 characters"), "{short:?}");
}

#[test]
fn healthcheck_fails_where_nothing_listens() {
    let place = Place::new();
    let nobody = place.run(&["healthcheck", "--set", "server.listen=127.0.0.1:1"], &[], "");
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("127.0.0.1:1 does not accept connections"), "{nobody:?}");
}
