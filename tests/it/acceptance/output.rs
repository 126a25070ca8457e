//! `output` of `talosoci_image`: a file that is part of the resource, under the real CLI.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use talosoci::disk_image::Digest;
use talosoci::sim::{Event, Fault};

use super::stage::{Said, Stage};

/// A stage with nothing but the image.
async fn stage() -> Option<Stage> {
    let stage = Stage::new("v1.12.2").await?;
    let main = stage.read("main.tf");
    let (image, _) = main.split_once("# Steps 2 to 8.").expect("the demo's image comes before its node");
    stage.write("main.tf", image);
    output(&stage, "out/oracle.raw.xz", "raw.xz");
    Some(stage)
}

/// Asks for a file.
fn output(stage: &Stage, path: &str, format: &str) {
    let block = format!("  output = {{\n    path   = {path:?}\n    format = {format:?}\n  }}\n}}\n");
    stage.write("main.tf", &(without_output(stage) + &block));
}

fn no_output(stage: &Stage) {
    stage.write("main.tf", &(without_output(stage) + "}\n"));
}

/// All of the configuration but the end of its last block.
fn without_output(stage: &Stage) -> String {
    let text = stage.read("main.tf");
    let text = text.split("  output = {").next().expect("something before");
    text.trim_end().trim_end_matches('}').trim_end().to_owned() + "\n"
}

fn bytes(stage: &Stage, path: &str) -> Vec<u8> {
    fs::read(stage.folder.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn exists(stage: &Stage, path: &str) -> bool {
    stage.folder.path().join(path).exists()
}

/// What the Factory's disk would hold.
fn raw(xz: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    liblzma::read::XzDecoder::new(xz).read_to_end(&mut raw).expect("an xz file");
    raw
}

fn unpacked(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let entries = tar.entries().expect("a tar file").map(|entry| {
        let mut entry = entry.expect("an entry");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("its content");
        (entry.path().expect("its name").display().to_string(), content)
    });
    entries.collect()
}

fn state(stage: &Stage) -> serde_json::Value {
    let state: serde_json::Value = serde_json::from_str(&stage.read("terraform.tfstate")).expect("a state");
    state["resources"][0]["instances"][0]["attributes"]["output"].clone()
}

async fn applied(stage: &Stage) -> Said {
    let said = stage.apply().await.ok();
    stage.plan().await.ok().says("No changes.");
    said
}

/// How often the image itself was downloaded.
fn downloads(stage: &Stage) -> usize {
    stage.count(|event| matches!(event, Event::Factory { request, .. } if request.starts_with("GET /image/")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_lives_with_its_resource() {
    let Some(stage) = stage().await else { return };
    applied(&stage).await;
    let (xz, known) = (bytes(&stage, "out/oracle.raw.xz"), state(&stage));
    assert_eq!(known["sha256"], Digest::of(&xz).to_string());
    assert_eq!(known["size"], xz.len());
    let expected = raw(&xz);

    // Gone: written again, from the cache.
    fs::remove_file(stage.folder.path().join("out/oracle.raw.xz")).unwrap();
    let said = stage.plan().await.says("0 to add, 1 to change, 0 to destroy");
    assert_eq!(said.code, Some(2), "{}", said.text);
    applied(&stage).await;
    assert!(bytes(&stage, "out/oracle.raw.xz") == xz);

    // Changed: written again as well.
    stage.write("out/oracle.raw.xz", "something else");
    let said = stage.plan().await.says("0 to add, 1 to change, 0 to destroy");
    assert_eq!(said.code, Some(2), "{}", said.text);
    applied(&stage).await;
    assert!(bytes(&stage, "out/oracle.raw.xz") == xz);

    // Another format at another place: in place, and the old file goes.
    output(&stage, "oracle.oci", "oci");
    let said = stage.plan().await.says("0 to add, 1 to change, 0 to destroy");
    assert_eq!(said.code, Some(2), "{}", said.text);
    applied(&stage).await;
    assert!(!exists(&stage, "out/oracle.raw.xz"));
    let archive = bytes(&stage, "oracle.oci");
    assert_eq!(state(&stage)["sha256"], Digest::of(&archive).to_string());
    let files = unpacked(&archive);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["image_metadata.json", "oracle-arm64.qcow2"]);
    let metadata: serde_json::Value = serde_json::from_slice(&files["image_metadata.json"]).unwrap();
    assert_eq!(metadata["externalLaunchOptions"]["firmware"], "UEFI_64");
    assert_eq!(metadata["operatingSystemVersion"], "1.12.2");
    holds(&files["oracle-arm64.qcow2"], &expected);

    // The same archive anew has the same bytes.
    fs::remove_file(stage.folder.path().join("oracle.oci")).unwrap();
    applied(&stage).await;
    assert!(bytes(&stage, "oracle.oci") == archive);

    // All of this came from one download.
    assert_eq!(downloads(&stage), 1, "{}", stage.journal());

    // With the resource the file goes, and nothing is left beside it.
    stage.run(&["destroy", "-auto-approve", "-no-color"]).await.ok();
    assert!(!exists(&stage, "oracle.oci"));
    assert_eq!(fs::read_dir(stage.folder.path().join("out")).unwrap().count(), 0);
}

/// Compares a qcow2 file with the raw disk, by the tool that everybody uses.
fn holds(qcow2: &[u8], raw: &[u8]) {
    if Command::new("qemu-img").arg("--version").output().is_err() {
        eprintln!("skipped: no qemu-img (apt-get install qemu-utils)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (disk, expected) = (folder.path().join("disk.qcow2"), folder.path().join("disk.raw"));
    fs::write(&disk, qcow2).unwrap();
    fs::write(&expected, raw).unwrap();
    let run = |arguments: &[&str], files: &[&Path]| {
        let output = Command::new("qemu-img").args(arguments).args(files).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(run(&["check", "-f", "qcow2"], &[&disk]).contains("No errors were found on the image."));
    run(&["compare", "-f", "qcow2", "-F", "raw"], &[&disk, &expected]);
    let converted = folder.path().join("converted.raw");
    run(&["convert", "-f", "qcow2", "-O", "raw"], &[&disk, &converted]);
    assert!(fs::read(&converted).unwrap() == raw);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_put_there_is_left_alone() {
    let Some(stage) = stage().await else { return };
    applied(&stage).await;
    // Changed behind our back, and then no longer wanted.
    stage.write("out/oracle.raw.xz", "precious");
    no_output(&stage);
    applied(&stage).await;
    assert_eq!(stage.read("out/oracle.raw.xz"), "precious");
    // A refresh that was left out: the digest is compared in the last moment.
    output(&stage, "second.raw.xz", "raw.xz");
    applied(&stage).await;
    stage.write("second.raw.xz", "precious too");
    let destroy = ["destroy", "-auto-approve", "-no-color", "-refresh=false"];
    stage.run(&destroy).await.ok().says("Output Left Behind");
    assert_eq!(stage.read("second.raw.xz"), "precious too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_written_says_why_and_leaves_nothing() {
    let Some(stage) = stage().await else { return };
    fs::create_dir(stage.folder.path().join("taken")).unwrap();
    output(&stage, "taken", "raw.xz");
    stage.apply().await.failed().says("Output Not Written").says("taken is there, and no file");
    assert!(!stage.read("terraform.tfstate").contains("talosoci_image"));
    // An image that never comes whole is no file either.
    output(&stage, "out/oracle.raw.xz", "raw.xz");
    fs::remove_dir_all(stage.folder.path().join("cache")).unwrap();
    stage.world.fault(None, Fault::FactoryHtml, talosoci::sim::ALWAYS);
    stage.apply().await.failed();
    assert!(!exists(&stage, "out/oracle.raw.xz"));
    stage.world.clear_faults();
    applied(&stage).await;
    assert!(exists(&stage, "out/oracle.raw.xz"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_for_oracle_needs_an_oracle_image() {
    let Some(stage) = stage().await else { return };
    output(&stage, "metal.oci", "oci");
    stage.replace("main.tf", "  talos_version =", "  platform      = \"metal\"\n  talos_version =");
    stage.plan().await.failed().says("output.format").says("leave platform at \"oracle\"");
    output(&stage, "metal.oci", "vmdk");
    stage.plan().await.failed().says("\"raw.xz\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_one_download_and_one_decode() {
    let Some(stage) = stage().await else { return };
    // A second configuration, the same cache, at the same time.
    let other = stage.folder.path().join("other");
    fs::create_dir(&other).unwrap();
    let main = stage.read("main.tf").replace("${path.module}/simulator/", "${path.module}/../simulator/");
    fs::write(other.join("main.tf"), main).unwrap();
    let mut second = stage.command(&["apply", "-auto-approve", "-no-color"]);
    second.current_dir(&other);
    let (log, second_log) = (stage.folder.path().join("first.log"), stage.folder.path().join("second.log"));
    second.env("TF_LOG", "INFO").env("TF_LOG_PATH", &second_log);
    let mut first = stage.command(&["apply", "-auto-approve", "-no-color"]);
    first.env("TF_LOG", "INFO").env("TF_LOG_PATH", &log);
    let (first, second) = tokio::join!(first.output(), second.output());
    for output in [first.unwrap(), second.unwrap()] {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(downloads(&stage), 1, "{}", stage.journal());
    let told = stage.read("first.log") + &stage.read("second.log");
    assert_eq!(told.matches("disk image decoded and prepared").count(), 1, "{told}");
    assert!(fs::read(other.join("out/oracle.raw.xz")).unwrap() == bytes(&stage, "out/oracle.raw.xz"));
}
