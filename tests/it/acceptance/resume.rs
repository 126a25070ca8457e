//! A create that fails or is killed stores nothing; the next one looks at the machine and goes on.

use std::time::Duration;

use talosoci::sim::{Event, Fault};
use tonic::Code;

use super::stage::{ROAD, Stage};

fn refuse(method: &str) -> Fault {
    Fault::RefuseCall { method: method.into(), code: Code::Internal, message: "injected".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_failed_is_finished_by_the_next() {
    let cases = [
        ("Flash", Fault::DiskFull { at: 1 << 20 }),
        ("Configure", refuse("MachineService/ApplyConfiguration")),
        ("Bootstrap", refuse("MachineService/Bootstrap")),
        ("Upgrade", refuse("MachineService/Upgrade")),
        ("Join", refuse("MachineService/Reset")),
    ];
    for (phase, fault) in cases {
        let Some(stage) = Stage::new("v1.12.2").await else { return };
        stage.world.fault(None, fault, talosoci::sim::ALWAYS);
        let said = stage.apply().await.failed();
        let said = said.says(&format!("Failed in Phase {phase}")).says("apply again");
        assert!(
            !stage.read("terraform.tfstate").contains("talosoci_node"),
            "{phase}: something was stored: {}",
            said.text
        );
        stage.world.clear_faults();
        let said = stage.apply().await;
        assert_eq!(said.code, Some(0), "{phase}: {}\n{}", said.text, stage.journal());
        assert_eq!(stage.count(|event| matches!(event, Event::Joined)), 1, "{phase}: {}", stage.journal());
        let flashes = stage.count(|event| matches!(event, Event::Boot(talosoci::sim::BootVerdict::Flashed { .. })));
        assert_eq!(flashes, 1, "{phase}: the disk was flashed again: {}", stage.journal());
        stage.plan().await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_in_the_middle_of_a_flash_is_made_again() {
    let Some(stage) = Stage::new("v1.12.2").await else { return };
    stage.world.fault(None, Fault::SshKilled { after: 2 << 20 }, 2);
    let said = stage.apply().await;
    assert_eq!(said.code, Some(0), "{}\n{}", said.text, stage.journal());
    let breaks = stage.count(|event| matches!(event, Event::Fault(_)));
    assert_eq!(breaks, 2, "the connection did not break: {}", stage.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_lost_is_not_a_failure() {
    for method in ["ApplyConfiguration", "Bootstrap", "Upgrade", "Reset"] {
        let Some(stage) = Stage::new("v1.12.2").await else { return };
        stage.world.fault(None, Fault::DropReply { method: format!("MachineService/{method}") }, 1);
        let said = stage.apply().await;
        assert_eq!(said.code, Some(0), "{method}: {}\n{}", said.text, stage.journal());
        assert_eq!(stage.milestones(), ROAD, "{method}: {}", stage.journal());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_that_a_reboot_lost_is_called_again() {
    let Some(stage) = Stage::new("v1.12.2").await else { return };
    stage.world.fault(None, Fault::LoseBootstrap, 1);
    let said = stage.apply().await;
    assert_eq!(said.code, Some(0), "{}\n{}", said.text, stage.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_is_finished_by_the_next() {
    type At = fn(&Event) -> bool;
    let cases: [(&str, At); 5] = [
        ("flash", |event| matches!(event, Event::DiskWrite { .. })),
        ("boot", |event| matches!(event, Event::Boot(_))),
        ("configure", |event| matches!(event, Event::ConfigApplied { .. })),
        ("upgrade", |event| matches!(event, Event::Upgraded { .. })),
        ("join", |event| matches!(event, Event::Joined)),
    ];
    for (phase, at) in cases {
        let Some(stage) = Stage::new("v1.12.2").await else { return };
        let mut child = stage
            .command(&["apply", "-auto-approve", "-no-color"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the CLI can be started");
        let seen = stage.world.journal_book().wait_for(Duration::from_secs(120), |entry| at(&entry.event)).await;
        assert!(seen.is_some(), "{phase} was not reached: {}", stage.journal());
        child.kill().await.expect("our own child can be killed");
        // A killed CLI leaves its lock behind; the provider sees that its host is gone and ends by itself.
        let said = stage.run(&["apply", "-auto-approve", "-no-color", "-lock=false"]).await;
        assert_eq!(said.code, Some(0), "{phase}: {}\n{}", said.text, stage.journal());
        stage.run(&["plan", "-no-color", "-detailed-exitcode", "-lock=false"]).await.ok();
    }
}
