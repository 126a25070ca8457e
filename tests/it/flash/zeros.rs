//! What becomes of the zeros of an image, on disks that held something else.

use talosoci::client::rescue::flash::{FlashOptions, flash};
use talosoci::client::rescue::probe::probe;
use talosoci::disk_image::ZeroMode;
use tokio_util::sync::CancellationToken;

use super::image::{self, EFI, META, MIB, RAW_SIZE};
use super::sshd::{Shell, skip};
use super::{Bench, DISK_SIZE, LoopDevice, source};

#[tokio::test(flavor = "multi_thread")]
async fn a_dirty_disk_ends_as_a_clean_one_where_it_matters() {
    let raw = image::raw(2);
    for zero in [ZeroMode::Partitions, ZeroMode::All] {
        let Some(bench) = Bench::new(Shell::Dash, &image::garbage(DISK_SIZE)).await else { return };
        let options = FlashOptions { zero, ..FlashOptions::default() };
        let flashed = bench.flash_with(&source(&image::xz(&raw)).await, &options, &|_| ()).await.unwrap();
        let backup = RAW_SIZE - 33 * 512..RAW_SIZE;
        for range in [0..EFI.start, EFI, META, backup] {
            assert!(bench.disk(range.start, range.len()) == raw[range.clone()], "{zero:?} {range:?}");
        }
        assert_eq!(bench.disk(0, RAW_SIZE) == raw, zero == ZeroMode::All);
        assert!(flashed.zeroed_bytes > 0);
        // An old backup table at the end of the disk must not come back to life.
        assert!(bench.disk(DISK_SIZE - MIB, MIB).iter().all(|byte| *byte == 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_forgets_is_only_read_where_nobody_reads_it_later() {
    let raw = image::raw(16);
    let xz = image::xz(&raw);
    // The last one says that it has forgotten, and returns what it held.
    let lies = "#!/bin/sh\ncase $1 in -z) exec /usr/sbin/blkdiscard \"$@\";; esac\n";
    let mut written = Vec::new();
    for shim in [None, Some("#!/bin/sh\nexit 1\n"), Some(lies)] {
        let Some(bench) = Bench::new(Shell::Dash, &image::garbage(DISK_SIZE / MIB * MIB)).await else { return };
        let Some(device) = LoopDevice::attach(&bench.disk) else { return };
        if !device.forgets() {
            return skip("this loop device does not discard");
        }
        if let Some(shim) = shim {
            bench.sshd.shim("blkdiscard", shim);
        }
        let session = bench.sshd.session().await;
        let facts = probe(&session, &device.0).await.unwrap();
        let options = FlashOptions { zero: ZeroMode::All, ..FlashOptions::default() };
        let cancel = CancellationToken::new();
        let flashed = flash(&session, &facts, &source(&xz).await, &options, &|_| (), &cancel).await.unwrap();
        assert!(bench.disk(0, RAW_SIZE) == raw, "{shim:?}");
        written.push(flashed.zeroed_bytes as usize);
    }
    let unread = RAW_SIZE - META.end - MIB;
    assert!(written[0] + unread <= written[1], "{written:?}");
    // What is read was written in any case: EFI has no file system here whose free clusters could be told.
    assert!(written[0] > 4 * MIB, "{written:?}");
    assert_eq!(written[1], written[2]);
}
