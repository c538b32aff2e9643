//! Every kind of monitor, from the API through a real agent and back: what was
//! asked for is probed, judged, and shown with the facts of its kind.

use anyhow::{Context, Result, ensure};
use hyperverge_e2e::{Bed, Setup};
use serde_json::{Value, json};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

const REGION: &str = "eu-west";
const WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_probed_judged_and_shown() -> Result<()> {
    let bed = Bed::raise(Setup { regions: vec![REGION], ..Setup::default() }).await?;
    bed.make_channels().await?;
    let (greeting, name_server) = (greeting()?, name_server()?);

    let http = json!({ "assert": ["response.status == 200 && response.version == \"1.1\""] });
    let http = bed.make_monitor("page", "1s", http).await?;
    let tcp = json!({
        "kind": "tcp", "target": greeting.to_string(), "tcp": { "steps": [{ "expect": "hello" }] },
    });
    let tcp = bed.make_monitor("greeting", "1s", tcp).await?;
    let dns = json!({
        "kind": "dns", "target": "service.example",
        "dns": { "record": "A", "server": name_server.to_string() },
        "expect": { "answers": ["192.0.2.7"] },
    });
    let dns = bed.make_monitor("zone", "1s", dns).await?;
    for monitor in [&http, &tcp, &dns] {
        bed.until_up(monitor, 1, WITHIN).await?;
    }
    let details = shown(&bed, &http).await?;
    ensure!(details["http"]["version"] == "1.1", "{details}");
    let details = shown(&bed, &dns).await?;
    ensure!(details["dns"]["answers"] == json!(["192.0.2.7"]), "{details}");

    // Nobody speaks TLS there, and no agent may call that anything but down.
    let tls = json!({ "kind": "tls", "target": greeting.to_string() });
    let tls = bed.make_monitor("certificate", "1s", tls).await?;
    let seen = bed.until_regions(&tls, "it is down", WITHIN, |seen| seen.verdict == "down").await?;
    ensure!(seen.items[0].reason.as_deref() == Some("tls_handshake"), "{seen:?}");
    bed.finish().await
}

/// The newest check's facts, as the API shows them.
async fn shown(bed: &Bed, monitor: &str) -> Result<Value> {
    let path = format!("monitors/{monitor}/regions");
    let answer: Value = bed.client.get(&path).await?;
    let details = answer.pointer("/items/0/details").context("no details")?;
    Ok(details.clone())
}

/// Greets whoever connects, until the process ends.
fn greeting() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            // Who leaves at once is not greeted.
            drop(stream.write_all(b"hello, who is there?\r\n"));
        }
    });
    Ok(address)
}

/// Answers every question with one address, until the process ends: the question
/// as it came (RFC 1035, section 4), marked as an answer, and one A record of it.
fn name_server() -> Result<SocketAddr> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?;
    std::thread::spawn(move || {
        let mut query = [0; 1232];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            let Some(answer) = answered(&query[..length]) else { continue };
            drop(socket.send_to(&answer, from));
        }
    });
    Ok(address)
}

fn answered(query: &[u8]) -> Option<Vec<u8>> {
    const HEAD: usize = 12;
    let name_length = query.get(HEAD..)?.iter().position(|byte| *byte == 0)? + 1;
    let question = query.get(HEAD..HEAD + name_length + 4)?;
    let mut answer = query.get(..2)?.to_vec();
    // Answer with authority, recursion as asked; one question, one answer.
    answer.extend([0x84 | (query[2] & 1), 0, 0, 1, 0, 1, 0, 0, 0, 0]);
    answer.extend(question);
    // The name by a pointer to the question; type A, class IN, 300 s, four bytes.
    answer.extend([0xc0, HEAD as u8, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 7]);
    Some(answer)
}
