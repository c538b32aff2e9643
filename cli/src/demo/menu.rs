//! The demo at a terminal: one key and Enter throws the switch.

use super::scene::Scene;
use super::screen::{ask, heading, say};
use super::stage::REGIONS;
use super::target::Switch;
use anyhow::Result;
use tokio::sync::mpsc;

/// Lines typed ahead.
const TYPED_AHEAD: usize = 16;

/// Does what is typed until `q` or the end of input.
pub(super) async fn play(scene: &Scene) -> Result<()> {
    heading("Your turn");
    say("Break the target and watch the console, or `s` here. A region that is down alone makes a");
    say("quiet incident and pages nobody; when most regions are down, it pages.");
    let mut typed = typed_lines();
    loop {
        say("");
        say(&format!(
            "  1 break it for {}   2 break it for all   3 repair   s status   q quit",
            REGIONS[0]
        ));
        ask("> ");
        let Some(line) = typed.recv().await else { return Ok(()) };
        match line.trim() {
            "1" => throw(scene, Switch::BrokenFor(REGIONS[0].to_owned())),
            "2" => throw(scene, Switch::BrokenForAll),
            "3" => throw(scene, Switch::Good),
            "q" => return Ok(()),
            "" | "s" => {
                if let Err(error) = scene.show().await {
                    say(&format!("   {error}"));
                }
            }
            other => say(&format!("   `{other}` is not on the menu")),
        }
    }
}

fn throw(scene: &Scene, position: Switch) {
    say(&format!("   the target is {position}"));
    scene.target.set(position);
}

/// Lines from the terminal. Read on a thread of their own, which, unlike the
/// runtime's, may be left behind in the middle of a read when the program ends.
fn typed_lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(TYPED_AHEAD);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
