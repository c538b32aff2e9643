//! The rules of what an agent says about itself.

use hyperverge_protocol::limits::{CAPABILITIES, SHORT_TEXT_BYTES};
use hyperverge_protocol::problem::FieldProblem;
use hyperverge_protocol::token;
use hyperverge_protocol::wire::{EnrollRequest, Hello};

const ID_BYTES: usize = 16;

pub(super) fn check_enroll(request: &EnrollRequest) -> Result<(), FieldProblem> {
    if request.token_secret.len() != token::SECRET_BYTES {
        return problem("enroll.token_secret", "must be 32 bytes");
    }
    short_text("enroll.host_name", &request.host_name)?;
    short_text("enroll.version", &request.version)
}

pub(super) fn check_hello(hello: &Hello) -> Result<(), FieldProblem> {
    short_text("hello.version", &hello.version)?;
    short_text("hello.host_name", &hello.host_name)?;
    if hello.boot_id.len() != ID_BYTES {
        return problem("hello.boot_id", "must be 16 bytes");
    }
    if hello.process_id.len() != ID_BYTES {
        return problem("hello.process_id", "must be 16 bytes");
    }
    if i64::try_from(hello.set_version).is_err() {
        return problem("hello.set_version", "must be below 2^63");
    }
    if hello.capabilities.len() > CAPABILITIES {
        return problem("hello.capabilities", "must hold at most 64 entries");
    }
    for capability in &hello.capabilities {
        short_text("hello.capabilities", capability)?;
    }
    if !hello.capabilities.is_sorted_by(|a, b| a < b) {
        return problem("hello.capabilities", "must be sorted and without duplicates");
    }
    Ok(())
}

fn short_text(field: &'static str, text: &str) -> Result<(), FieldProblem> {
    if text.len() > SHORT_TEXT_BYTES {
        return problem(field, "must be at most 255 bytes");
    }
    if text.chars().any(char::is_control) {
        return problem(field, "must not contain control characters");
    }
    Ok(())
}

fn problem(field: &'static str, rule: &'static str) -> Result<(), FieldProblem> {
    Err(FieldProblem::new(field, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            version: "0.1.0".into(),
            host_name: "probe-1".into(),
            capabilities: vec!["probe:http".into(), "probe:tcp".into()],
            boot_id: vec![1; 16].into(),
            process_id: vec![2; 16].into(),
            ..Hello::default()
        }
    }

    #[test]
    fn each_rule_names_its_field() {
        assert_eq!(check_hello(&hello()), Ok(()));
        type Spoil = fn(&mut Hello);
        let broken: [(&str, Spoil); 6] = [
            ("hello.version", |h| h.version = "x".repeat(256)),
            ("hello.host_name", |h| h.host_name = "a\nb".into()),
            ("hello.boot_id", |h| h.boot_id = vec![1; 15].into()),
            ("hello.process_id", |h| h.process_id.clear()),
            ("hello.set_version", |h| h.set_version = u64::MAX),
            ("hello.capabilities", |h| h.capabilities.reverse()),
        ];
        for (field, spoil) in broken {
            let mut hello = hello();
            spoil(&mut hello);
            let problem = check_hello(&hello).expect_err(field);
            assert_eq!(problem.field, field);
        }
    }
}
