//! A flash that dies before, within and right after every single write, looked at byte by byte.

use std::path::Path;
use std::time::Duration;

use talosoci::client::rescue::flash::FlashOptions;
use talosoci::disk_image::ZeroMode;

use super::image::{self, EFI, META, MIB, RAW_SIZE};
use super::sshd::Shell;
use super::{Bench, DISK_SIZE, source};

#[tokio::test(flavor = "multi_thread")]
async fn a_flash_that_dies_within_any_write_leaves_nothing_half_and_can_be_mended() {
    die_everywhere(ZeroMode::Partitions, "within", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flash_that_dies_within_any_write_of_a_whole_disk_leaves_nothing_half() {
    die_everywhere(ZeroMode::All, "within", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flash_that_dies_between_any_two_writes_leaves_nothing_half() {
    die_everywhere(ZeroMode::Partitions, "after", false).await;
}

/// Lets a flash die at its first write, then another at its second, and so on until one comes through.
async fn die_everywhere(zero: ZeroMode, moment: &str, mend: bool) {
    let (old, new) = (image::garbage(DISK_SIZE), image::raw(20));
    let image = source(&image::xz(&new)).await;
    let options = FlashOptions { zero, patience: Duration::ZERO, ..FlashOptions::default() };
    for fatal in 1.. {
        let Some(bench) = Bench::new(Shell::Dash, &old).await else { return };
        let died = bench.sshd.path("died");
        bench.sshd.shim("dd", &deadly(&bench.disk, &died, fatal, moment));
        let result = bench.flash_with(&image, &options, &|_| ()).await;
        if !died.exists() {
            result.unwrap();
            // Both ends of the disk, several runs of data, zeros, and the head.
            assert!(fatal > 10, "only {fatal} writes were seen");
            return;
        }
        let case = format!("{zero:?}, {moment} write {fatal}: {:?}", result.unwrap_err());
        judge(&bench, &old, &new, &case);
        if mend {
            bench.sshd.shim("dd", "#!/bin/sh\nexec /bin/dd \"$@\"\n");
            bench.flash_with(&image, &options, &|_| ()).await.unwrap();
            assert!(bench.disk(0, META.end) == new[..META.end], "{case}");
            assert_backup(&bench, &new, &case);
        }
    }
}

/// What firmware and Talos would find.
fn judge(bench: &Bench, old: &[u8], new: &[u8], case: &str) {
    let head = bench.disk(0, MIB);
    let end = bench.disk(DISK_SIZE - MIB, MIB);
    let table = 34 * 512;
    if head == new[..MIB] || head[..table] == new[..table] {
        // It boots the new image: then all of it is there.
        assert!(bench.disk(MIB, META.end - MIB) == new[MIB..META.end], "{case}");
        assert_backup(bench, new, case);
    } else if head.iter().all(|byte| *byte == 0) {
        // No table, and no old backup of it at the end, once anything between them was written.
        let untouched = bench.disk(MIB, DISK_SIZE - 2 * MIB) == old[MIB..DISK_SIZE - MIB];
        assert!(untouched || end.iter().all(|byte| *byte == 0), "{case}");
    } else {
        // The old head, or what is left of it: nothing else was touched but the ends.
        assert!(bench.disk(MIB, EFI.len()) == old[MIB..MIB + EFI.len()], "{case}");
    }
}

fn assert_backup(bench: &Bench, new: &[u8], case: &str) {
    let backup = RAW_SIZE - 33 * 512;
    assert!(bench.disk(backup, 33 * 512) == new[backup..], "{case}");
}

/// A `dd` that kills everything that serves the flash within or right after the write with the given number.
fn deadly(disk: &Path, died: &Path, fatal: u32, moment: &str) -> String {
    format!(
        r#"#!/bin/sh
disk={disk} died={died} count={died}.count
input= bs=512 seek=0 blocks=0 writes=
for word; do
    case $word in
    of="$disk") writes=yes ;;
    if=*) input=$word ;;
    bs=*) bs=${{word#bs=}} ;;
    seek=*) seek=${{word#seek=}} ;;
    count=*) blocks=${{word#count=}} ;;
    esac
done
[ -n "$writes" ] && [ "$blocks" != 0 ] || exec /bin/dd "$@"
number=$(($(cat "$count" 2>/dev/null || echo 0) + 1))
echo $number >"$count"
[ $number = {fatal} ] || exec /bin/dd "$@"
case {moment} in
within)
    half=$((bs * blocks / 1024))
    /bin/dd $input of="$disk" bs=512 seek=$((bs * seek / 512)) count=$half iflag=fullblock conv=notrunc 2>/dev/null
    ;;
after) /bin/dd "$@" ;;
esac
: >"$died"
kill -s KILL 0
"#,
        disk = disk.display(),
        died = died.display(),
    )
}
