//! Other people's receivers, in Python.

use serde_json::{Value, json};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const SMTP_SERVER: &str = include_str!("smtp_server.py");
const VERIFY: &str = "
import json, sys
from standardwebhooks.webhooks import Webhook
asked = json.load(sys.stdin)
print(json.dumps(Webhook(asked['secret']).verify(asked['body'], asked['headers'])))
";

fn python(script: &str) -> Command {
    let python = std::env::var("HYPERVERGE_TEST_PYTHON").expect(
        "HYPERVERGE_TEST_PYTHON must name a Python with standardwebhooks and aiosmtpd: run the tests by `make test`",
    );
    let mut command = Command::new(python);
    command.args(["-c", script]).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Verifies a webhook with the published library; its body, or why not.
pub(crate) async fn verify(secret: &str, headers: &Value, body: &str) -> Result<Value, String> {
    let mut child = python(VERIFY).stderr(Stdio::piped()).spawn().unwrap();
    let asked = json!({ "secret": secret, "headers": headers, "body": body }).to_string();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(asked.as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// A running aiosmtpd. It refuses for good who is called `nobody`, and for now
/// who is called `later`; it hangs up after the data of `hangup`.
pub(crate) struct SmtpServer {
    pub(crate) port: u16,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

/// A mail as it arrived.
#[derive(Debug)]
pub(crate) struct Mail {
    pub(crate) to: String,
    /// Header names in lower case.
    pub(crate) headers: Value,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl SmtpServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With what the head of the script tells of.
    pub(crate) async fn start_with(environment: &[(&str, &str)]) -> Self {
        let mut command = python(SMTP_SERVER);
        let mut child = command.envs(environment.iter().copied()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next_line().await.unwrap().expect("the port").parse().unwrap();
        Self { port, lines, _child: child }
    }

    /// The next mail that it accepted.
    pub(crate) async fn next(&mut self) -> Mail {
        let line = self.lines.next_line().await.unwrap().expect("a mail");
        let mail: Value = serde_json::from_str(&line).unwrap();
        let text = |key: &str| mail[key].as_str().unwrap().to_owned();
        Mail {
            to: text("to"),
            headers: mail["headers"].clone(),
            text: text("text"),
            html: text("html"),
        }
    }
}

/// Reads what is left, to see that nothing more came.
pub(crate) async fn rest(mut server: SmtpServer) -> String {
    server._child.start_kill().unwrap();
    let mut left = String::new();
    server.lines.into_inner().read_to_string(&mut left).await.unwrap();
    left
}
