//! The rescue host: a shell that takes real scripts, a disk that behaves like one, and a firmware that looks closely.

use std::os::unix::fs::FileExt;

use base64::{Engine, engine::general_purpose::STANDARD};
use talosoci::sim::{
    BootVerdict, DiskContent, Entry, Event, Fault, NodeOptions, RescueOptions, RescueRoot, SimNode, SshKeys, World,
};

use super::{
    configs::TAILSCALE,
    road::{story, wait, world},
    shell::Shell,
    talos::DEADLINE,
};

async fn host(world: &World, rescue: RescueOptions) -> (SimNode, Shell) {
    named_host(world, "cloudbox2", rescue).await
}

async fn named_host(world: &World, name: &str, rescue: RescueOptions) -> (SimNode, Shell) {
    let options = NodeOptions { rescue, name: name.to_owned(), ..NodeOptions::default() };
    let node = world.add_node(options).await.expect("a node");
    let listening = async {
        loop {
            if let Some(shell) = Shell::log_in(world, &node, "root").await {
                return shell;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let shell = tokio::time::timeout(DEADLINE, listening).await.expect("a login");
    (node, shell)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_see_a_block_device_with_its_facts_in_sysfs() {
    let world = world().await;
    let (_node, shell) = host(&world, RescueOptions::default()).await;
    let script = r#"
        d=/dev/sda
        [ -b "$d" ] && echo block
        [ -b /etc/os-release ] || echo "a file is none"
        name=${d#/dev/}
        cat /sys/class/block/"$name"/size /sys/block/sda/queue/logical_block_size /sys/class/block/sda/ro
        readlink -f /dev/oracleoci/oraclevda
        blockdev --getsize64 /dev/sda
        ls /sys/class/block/sda/holders | wc -l
        . /etc/os-release && echo "$ID"
        uname -m; id -u
        grep -c ' / ' /proc/mounts
        echo "$d" | sed 's|/dev/||'
    "#;
    let output = shell.run(script).await;
    let expected = "block\na file is none\n98566144\n512\n0\n/dev/sda\n50465865728\n0\nubuntu\naarch64\n0\n1\nsda\n";
    assert_eq!((output.status, output.stdout.as_str()), (Some(0), expected), "{}", output.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_root_disk_shows_in_mounts_holders_and_swaps() {
    let world = world().await;
    let rescue = RescueOptions {
        root: RescueRoot::Disk("sda".to_owned()),
        holders: vec!["dm-0".to_owned()],
        swaps: vec!["/dev/sda2".to_owned()],
        read_only: true,
        ..RescueOptions::default()
    };
    let (_node, shell) = host(&world, rescue).await;
    let output = shell
        .run(
            "sed -n 's# / .*##p' /proc/mounts; ls /sys/class/block/sda/holders; sed 1d /proc/swaps | cut -d' ' -f1; \
              blockdev --rereadpt /dev/sda 2>&1; dd if=/dev/zero of=/dev/sda count=1 2>&1",
        )
        .await;
    let expected = "/dev/sda1\ndm-0\n/dev/sda2\nblockdev: ioctl error on BLKRRPART: Device or resource busy\n\
                    dd: failed to open '/dev/sda': Read-only file system\n";
    assert_eq!((output.status, output.stdout.as_str()), (Some(1), expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_right_key_and_name_log_in_and_only_root_writes() {
    let world = world().await;
    let (node, _root) = host(&world, RescueOptions { sudo: false, ..RescueOptions::default() }).await;
    assert!(Shell::log_in(&world, &node, "nobody").await.is_none());
    assert!(Shell::log_in_with(&node, "root", SshKeys::generate().private().clone()).await.is_none());
    let ubuntu = Shell::log_in(&world, &node, "ubuntu").await.expect("a login");
    let output = ubuntu.run("id -u; sudo -n true; dd if=/dev/zero of=/dev/sda count=1").await;
    assert_eq!(output.stdout, "1000\n");
    let refused = "sudo: a password is required\ndd: failed to open '/dev/sda': Permission denied\n";
    assert_eq!(
        (output.status, output.stderr.replace(": Permission denied: Permission denied", ": Permission denied")),
        (Some(1), refused.to_owned())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metadata_service_answers_as_in_the_cloud() {
    let world = world().await;
    let (node, shell) = host(&world, RescueOptions::default()).await;
    let ask = "curl -s -o /dev/null -w '%{http_code}\\n' -H 'Authorization: Bearer Oracle'";
    let base = "http://169.254.169.254/opc/v2/instance";
    let output = shell
        .run(&format!("{ask} {base}/metadata/user_data; curl -s -o /dev/null -w '%{{http_code}}\\n' {base}/"))
        .await;
    assert_eq!(output.stdout, "404\n403\n");
    node.set_user_data(Some(STANDARD.encode("#cloud-config\n")));
    let output =
        shell.run(&format!("curl -s -H 'Authorization: Bearer Oracle' {base}/metadata/user_data | base64 -d")).await;
    assert_eq!(output.stdout, "#cloud-config\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_neither_grows_nor_shrinks_and_faults_strike_it() {
    let world = world().await;
    let disk_bytes = 8 << 20;
    let (node, shell) =
        host(&world, RescueOptions { disk_bytes, content: DiskContent::Blank, ..RescueOptions::default() }).await;
    let output = shell.run("dd if=/dev/zero of=/dev/sda bs=1M count=9 2>&1 | head -1; wc -c </dev/sda").await;
    assert_eq!(output.stdout, "dd: error writing '/dev/sda': No space left on device\n8388608\n", "{}", output.stderr);
    world.fault(None, Fault::DiskFull { at: 1 << 20 }, 1);
    let output = shell.run("dd if=/dev/zero of=/dev/sda bs=1M seek=1 count=1").await;
    assert!(output.stderr.contains("No space left on device"), "{output:?}");
    let (node2, shell) = host(&world, RescueOptions { disk_bytes, ..RescueOptions::default() }).await;
    world.fault(None, Fault::FlippedByte { at: 4096 }, 1);
    shell.run("dd if=/dev/zero of=/dev/sda bs=1M count=1").await;
    let mut byte = [0];
    std::fs::File::open(node2.disk()).and_then(|disk| disk.read_exact_at(&mut byte, 4096)).expect("read");
    assert_eq!(byte, [0xa5]);
    drop(node);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_session_leaves_half_an_image_that_does_not_boot() {
    let world = world().await;
    let id = world.register_schematic(TAILSCALE).expect("a schematic");
    let (node, shell) = host(&world, RescueOptions::default()).await;
    world.fault(None, Fault::SshKilled { after: 100_000 }, 1);
    let output = shell.run_with("dd of=/dev/sda bs=4096", &vec![7; 300_000]).await;
    assert_eq!(output.status, None, "nobody said how it ended");
    let shell = Shell::log_in(&world, &node, "root").await.expect("sshd is back");
    let url = format!("{}/image/{id}/v1.12.2/oracle-arm64.raw.xz", world.factory_url());
    shell.run(&format!("curl -sf {url} | xzcat | head -c 20000000 | dd of=/dev/sda bs=1M iflag=fullblock")).await;
    shell.run("reboot").await;
    let verdict = wait(&world, |entry| matches!(entry.event, Event::Boot(_))).await;
    let Event::Boot(BootVerdict::NoBootableDevice { reason }) = verdict.event else { panic!("{}", story(&world)) };
    assert!(reason.starts_with("the disk differs from the image at byte"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zeros_that_were_not_written_show_on_a_disk_that_had_another_life() {
    let world = world().await;
    let id = world.register_schematic(TAILSCALE).expect("a schematic");
    let url = format!("{}/image/{id}/v1.12.2/oracle-arm64.raw.xz", world.factory_url());
    for (content, boots) in [(DiskContent::Blank, true), (DiskContent::OldSystem, false)] {
        let name = format!("{content:?}").to_lowercase();
        let (_node, shell) = named_host(&world, &name, RescueOptions { content, ..RescueOptions::default() }).await;
        shell.run(&format!("curl -sf {url} | xzcat | dd of=/dev/sda bs=64K iflag=fullblock conv=sparse; reboot")).await;
        let own = |entry: &Entry| entry.node.as_ref() == Some(&name) && matches!(entry.event, Event::Boot(_));
        let Event::Boot(verdict) = wait(&world, own).await.event else { unreachable!("asked for a boot") };
        assert_eq!(matches!(verdict, BootVerdict::Flashed { .. }), boots, "{}", story(&world));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_reboot_reboots_unless_a_fault_forbids_it() {
    for way in ["reboot -f", "systemctl reboot", "shutdown -r now", "echo b > /proc/sysrq-trigger", "/sbin/reboot"] {
        let world = world().await;
        world.fault(None, Fault::RebootIgnored, 1);
        let (_node, shell) = host(&world, RescueOptions::default()).await;
        assert_eq!(shell.run(way).await.status, Some(0), "{way} was ignored");
        shell.run(way).await;
        wait(&world, |entry| matches!(&entry.event, Event::Reboot { cause } if cause == "rescue shell")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_sshd_leads_into_the_same_sandbox() {
    let world = world().await;
    let rescue = RescueOptions { real_sshd: true, ..RescueOptions::default() };
    let node = world.add_node(NodeOptions { rescue, ..NodeOptions::default() }).await.expect("a node");
    let listening = async {
        loop {
            if let Some(shell) = Shell::log_in(&world, &node, node.ssh_user()).await {
                return shell;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let shell = tokio::time::timeout(DEADLINE, listening).await.expect("a login");
    let script = "[ -b /dev/sda ] && readlink -f /dev/oracleoci/oraclevda; sudo dd of=/dev/sda bs=64K count=2 \
                  iflag=fullblock 2>/dev/null; exit 3";
    let output = shell.run_with(script, &vec![9; 131_072]).await;
    assert_eq!((output.status, output.stdout.as_str()), (Some(3), "/dev/sda\n"), "{}", output.stderr);
    let mut end = [0; 2];
    std::fs::File::open(node.disk()).and_then(|disk| disk.read_exact_at(&mut end, 131_070)).expect("read");
    assert_eq!(end, [9, 9]);
    let _ = shell.run("sudo reboot").await;
    wait(&world, |entry| matches!(&entry.event, Event::Reboot { cause } if cause == "rescue shell")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_that_are_missing_are_not_found() {
    let world = world().await;
    let missing_tools = vec!["curl".to_owned(), "blockdev".to_owned()];
    let (_node, shell) = host(&world, RescueOptions { missing_tools, ..RescueOptions::default() }).await;
    let output =
        shell.run("PATH=$PATH:/usr/sbin:/sbin; command -v curl blockdev; command -v dd >/dev/null && echo dd").await;
    assert_eq!(output.stdout, "dd\n");
}
