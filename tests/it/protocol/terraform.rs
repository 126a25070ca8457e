//! The demo provider under Terraform (or OpenTofu) itself; without either these tests only say that they are skipped.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::host::{PATIENCE, demo_binary};

/// A directory with a configuration and its state.
struct Workspace {
    dir: TempDir,
    cli: &'static str,
}

impl Workspace {
    /// `None` when neither command is installed.
    fn new(configuration: &str) -> Option<Self> {
        let installed = |cli: &&str| Command::new(cli).arg("version").output().is_ok();
        let Some(cli) = ["terraform", "tofu"].into_iter().find(installed) else {
            eprintln!("skipped: neither terraform nor tofu is installed");
            return None;
        };
        let workspace = Self { dir: tempfile::tempdir().unwrap(), cli };
        fs::create_dir(workspace.path("things")).unwrap();
        let override_dir = workspace.path("plugin");
        fs::create_dir(&override_dir).unwrap();
        demo_binary(&override_dir);
        let rc = format!(
            "provider_installation {{\n  dev_overrides {{ \"test/demo\" = {override_dir:?} }}\n  direct {{}}\n}}\n"
        );
        fs::write(workspace.path("cli.tfrc"), rc).unwrap();
        workspace.configure(configuration);
        Some(workspace)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn configure(&self, configuration: &str) {
        let things = self.path("things");
        let head = format!(
            "terraform {{\n  required_providers {{\n    demo = {{ source = \"test/demo\" }}\n  }}\n}}\n\
             provider \"demo\" {{ dir = {things:?} }}\n"
        );
        fs::write(self.path("main.tf"), head + configuration).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.cli);
        command.args(arguments).current_dir(self.dir.path());
        command.env("TF_CLI_CONFIG_FILE", self.path("cli.tfrc")).env("TF_IN_AUTOMATION", "1");
        command.env("CHECKPOINT_DISABLE", "1").env_remove("TF_LOG").stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed; what it printed.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let told = told(&output);
        assert!(output.status.success(), "{arguments:?}:\n{told}");
        told
    }

    fn apply(&self) -> String {
        self.ok(&["apply", "-auto-approve", "-no-color"])
    }

    /// Runs a command that must fail; what it printed, on one line.
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{}", told(&output));
        let told = told(&output).replace(['│', '╷', '╵'], " ");
        told.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The actions that a plan holds, and what is planned, by resource.
    fn plan(&self) -> Vec<(String, Json)> {
        self.ok(&["plan", "-out=plan", "-no-color"]);
        let plan: Json = serde_json::from_slice(&self.run(&["show", "-json", "plan"]).stdout).unwrap();
        let changes = plan["resource_changes"].as_array().cloned().unwrap_or_default();
        changes.iter().map(|change| (change["change"]["actions"].to_string(), change["change"].clone())).collect()
    }

    fn is_settled(&self) -> bool {
        self.run(&["plan", "-detailed-exitcode", "-no-color"]).status.code() == Some(0)
    }

    /// The attributes of the resource in the state.
    fn state(&self) -> Json {
        let state: Json = serde_json::from_slice(&self.run(&["show", "-json"]).stdout).unwrap();
        let resources = state["values"]["root_module"]["resources"].as_array().unwrap();
        resources.iter().find(|resource| resource["mode"] == "managed").unwrap()["values"].clone()
    }

    fn raw_state(&self) -> String {
        fs::read_to_string(self.path("terraform.tfstate")).unwrap_or_default()
    }
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const THING: &str = r#"
ephemeral "demo_token" "t" { length = 7 }

data "demo_thing" "d" {
  name = "nothing"
}

resource "demo_thing" "a" {
  name                = "a"
  exact               = 0.1
  secret              = "hush"
  password_wo         = ephemeral.demo_token.t.token
  password_wo_version = 1
  disk = {
    path   = provider::demo::shout("/dev/sda")
    key_wo = "abc"
  }
  nets   = [{ ip = "10.0.0.1" }, { ip = "::1" }]
  labels = { b = "2", a = "1" }
  tags   = ["y", "x", "y"]
  any    = { deep = [1, "two", null], exists = data.demo_thing.d.exists }
}
"#;

#[test]
fn an_object_lives_from_create_to_destroy() {
    let Some(workspace) = Workspace::new(THING) else {
        return;
    };
    let planned = workspace.plan();
    assert_eq!(planned[0].0, r#"["create"]"#);
    assert_eq!(planned[0].1["after"]["disk"]["mode"], "all");
    assert_eq!(planned[0].1["after_unknown"]["disk"]["serial"], true);

    let told = workspace.apply();
    assert!(told.contains("(sensitive value)") && !told.contains("hush"), "{told}");
    let expected = json!({
        "id": "id-a", "name": "a", "size": 10, "exact": 0.1, "secret": "hush",
        "password_wo": null, "password_wo_version": 1,
        "disk": {"path": "/DEV/SDA", "mode": "all", "serial": "S1", "key_wo": null},
        "nets": [{"ip": "10.0.0.1", "mac": "02:00:00:00:00:00"}, {"ip": "::1", "mac": "02:00:00:00:00:01"}],
        "labels": {"a": "1", "b": "2"}, "tags": ["x", "y"],
        "any": {"deep": [1, "two", null], "exists": false},
        "hook": {"on": false}, "secrets_length": 10, "on_create": null,
    });
    assert_eq!(workspace.state(), expected);
    assert!(!workspace.raw_state().contains("ttttttt"), "a write-only value is in the state");
    assert!(workspace.is_settled(), "{}", workspace.ok(&["plan", "-no-color"]));

    // A change in place keeps what is stable and asks anew for the rest; it also sees the new secret.
    workspace.configure(&THING.replace("\"abc\"", "\"abcd\"").replace("version = 1", "version = 2"));
    let planned = workspace.plan();
    assert_eq!(planned[0].0, r#"["update"]"#);
    assert_eq!(planned[0].1["after"]["id"], "id-a");
    assert_eq!(planned[0].1["after"]["disk"]["serial"], "S1");
    assert_eq!(planned[0].1["after_unknown"]["secrets_length"], true);
    workspace.apply();
    assert_eq!(workspace.state()["secrets_length"], 11);
    assert!(workspace.is_settled());

    // Another name is another object.
    workspace.configure(&THING.replace("\"a\"\n", "\"b\"\n"));
    assert_eq!(workspace.plan()[0].0, r#"["delete","create"]"#);
    workspace.apply();
    assert_eq!(workspace.state()["id"], "id-b");
    assert_eq!(fs::read_dir(workspace.path("things")).unwrap().count(), 1);

    // One that vanished is planned anew.
    fs::remove_file(workspace.path("things/b")).unwrap();
    assert_eq!(workspace.plan()[0].0, r#"["create"]"#);
    workspace.apply();
    workspace.ok(&["destroy", "-auto-approve", "-no-color"]);
    assert_eq!(fs::read_dir(workspace.path("things")).unwrap().count(), 0);
}

#[test]
fn an_object_is_imported() {
    let configuration = "resource \"demo_thing\" \"a\" {\n  name = \"a\"\n  nets = [{ ip = \"10.0.0.1\" }]\n}\n";
    let Some(workspace) = Workspace::new(configuration) else {
        return;
    };
    workspace.apply();
    let before = workspace.state();
    fs::remove_file(workspace.path("terraform.tfstate")).unwrap();
    let told = workspace.fails(&["import", "-no-color", "demo_thing.a", "id-b"]);
    assert!(told.contains("Nothing to import"), "{told}");
    workspace.ok(&["import", "-no-color", "demo_thing.a", "id-a"]);
    assert_eq!(workspace.state(), before);
    assert!(workspace.is_settled());
    // Private state came along: the update insists on it.
    workspace.configure(&configuration.replace("10.0.0.1", "10.0.0.2"));
    workspace.apply();
}

#[test]
fn an_object_is_moved_to_another_type() {
    let old = "resource \"demo_gadget\" \"a\" {\n  name = \"a\"\n}\n";
    let Some(workspace) = Workspace::new(old) else {
        return;
    };
    workspace.apply();
    let moved = "moved {\n  from = demo_gadget.a\n  to   = demo_thing.a\n}\n";
    workspace.configure(&(old.replace("demo_gadget", "demo_thing") + moved));
    let planned = workspace.plan();
    assert_eq!(planned[0].0, r#"["no-op"]"#);
    workspace.apply();
    assert!(workspace.raw_state().contains("demo_thing"));
    assert!(workspace.is_settled());
}

#[test]
fn numbers_are_exact() {
    for number in ["1e30", "18446744073709551616", "0.1", "1 / 3", "-9223372036854775809", "1.5"] {
        let configuration = format!("resource \"demo_thing\" \"a\" {{\n  name = \"a\"\n  exact = {number}\n}}\n");
        let Some(workspace) = Workspace::new(&configuration) else {
            return;
        };
        workspace.apply();
        assert!(workspace.is_settled(), "{number}");
    }
}

#[test]
fn faults_are_told_where_they_are() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    for (body, expected) in [
        ("name = \"a\"\n  size = 0", vec!["Number out of range", "line 9, in resource", "size = 0", "from 1 to 1000"]),
        ("name = \"a\"\n  id = \"x\"", vec!["Read-only attribute", "id is set by the provider"]),
        ("name = null", vec!["name", "required"]),
        ("name = \"a\"\n  nets = [{ ip = \"x\" }]", vec!["nets[0].ip: not an IP address", "line 9"]),
        ("name = provider::demo::shout(\"\")", vec!["there is nothing to shout", "line 8"]),
    ] {
        workspace.configure(&format!("resource \"demo_thing\" \"a\" {{\n  {body}\n}}\n"));
        let told = workspace.fails(&["plan", "-no-color"]);
        for part in expected {
            assert!(told.contains(part), "{body}: {part} in {told}");
        }
    }
}

#[test]
fn a_create_that_fails_or_crashes_stores_nothing_and_is_tried_again() {
    let thing = |how: &str| format!("resource \"demo_thing\" \"a\" {{\n  name = \"a\"\n  on_create = {how}\n}}\n");
    let Some(workspace) = Workspace::new(&thing("\"fail\"")) else {
        return;
    };
    let told = workspace.fails(&["apply", "-auto-approve", "-no-color"]);
    assert!(told.contains("Error: Cannot make it with demo_thing.a, on main.tf line 9"), "{told}");
    assert_eq!(workspace.plan()[0].0, r#"["create"]"#);

    workspace.configure(&thing("\"panic\""));
    let told = workspace.fails(&["apply", "-auto-approve", "-no-color"]);
    assert!(told.contains("Error: The provider crashed"), "{told}");
    assert!(told.contains("no such thing as a at tests/it/protocol/demo_provider.rs:"), "{told}");
    assert!(!told.contains("stack backtrace") && !told.contains("plugin crashed"), "{told}");
    assert_eq!(workspace.plan()[0].0, r#"["create"]"#);

    workspace.configure(&thing("null"));
    workspace.apply();
    assert!(workspace.is_settled());
}

/// Ctrl-C in a terminal: the signal goes to the host and to the provider.
#[test]
fn an_interrupted_create_is_told_to_stop_and_ends_cleanly() {
    let configuration = "resource \"demo_thing\" \"a\" {\n  name = \"a\"\n  on_create = \"wait\"\n}\n";
    let Some(workspace) = Workspace::new(configuration) else {
        return;
    };
    let mut command = workspace.command(&["apply", "-auto-approve", "-no-color"]);
    let run = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until(|| workspace.path("things/waiting").exists());
    let group = format!("-{}", run.id());
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
    let output = run.wait_with_output().unwrap();
    let told = told(&output);
    assert!(!output.status.success() && told.contains("Nothing was made."), "{told}");
    assert!(!told.contains("Plugin did not respond"), "{told}");
    assert!(workspace.path("things/stopped").exists());
    assert_eq!(workspace.plan()[0].0, r#"["create"]"#);
}

/// A plugin that runs already, as under a debugger; ended on drop.
struct Debugged(Child);

impl Drop for Debugged {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_plugin_that_runs_already_is_used_by_one_command_after_the_other() {
    let configuration = "resource \"demo_thing\" \"a\" {\n  name = \"a\"\n}\n";
    let Some(workspace) = Workspace::new(configuration) else {
        return;
    };
    let mut command = Command::new(workspace.path("plugin/terraform-provider-demo"));
    let mut plugin = Debugged(command.env("DEMO_DEBUG", "1").stdout(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(plugin.0.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    let line = lines.find(|line| line.contains("TF_REATTACH_PROVIDERS")).expect("how to reattach");
    let reattach = line.trim().trim_start_matches("TF_REATTACH_PROVIDERS='").trim_end_matches('\'');

    for arguments in [["apply", "-auto-approve"], ["plan", "-detailed-exitcode"], ["destroy", "-auto-approve"]] {
        let output = workspace.command(&arguments).env("TF_REATTACH_PROVIDERS", reattach).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
    }
    assert!(plugin.0.try_wait().unwrap().is_none(), "it should still run");
    let id = plugin.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert!(plugin.0.wait().unwrap().success());
    assert!(!socket(reattach).exists());
}

fn socket(reattach: &str) -> std::path::PathBuf {
    let reattach: Json = serde_json::from_str(reattach).unwrap();
    Path::new(reattach["test/demo"]["Addr"]["String"].as_str().unwrap()).to_owned()
}

/// Waits for another process to have done something that only shows in the file system.
fn until(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "not in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}
