//! One prepared image for many disks, and what becomes of a flash when it is not sound.

use futures_util::future::join_all;

use super::*;
use crate::cache::Store;

#[tokio::test(flavor = "multi_thread")]
async fn a_flash_knows_from_the_start_how_much_it_writes() {
    let Some(bench) = Bench::new(Shell::Dash, &[]).await else { return };
    let raw = image::raw(20);
    let xz = image::xz(&raw);
    let prepared = Store::with(xz.clone()).await.prepare().await.unwrap();
    let totals = Mutex::new(Vec::new());
    let tell = |progress: Progress| {
        if progress.phase == Phase::Write && progress.done > 0 {
            totals.lock().unwrap().push(progress.total);
        }
    };
    let flashed = bench.flash_with(&prepared, &FlashOptions::default(), &tell).await.unwrap();
    assert_eq!(flashed.compressed_sha256, Digest::of(&xz));
    assert!(bench.disk(0, RAW_SIZE) == raw);
    // Nothing is estimated: the map says it all.
    let extents = prepared.image().extents.iter();
    let beyond_head: u64 = extents.filter(|extent| extent.offset >= MIB as u64).map(|extent| extent.len).sum();
    assert_eq!(flashed.written_bytes, beyond_head + MIB as u64);
    assert!(totals.lock().unwrap().iter().all(|total| *total == Some(beyond_head)), "{totals:?}");
    // The next run finds everything there.
    let flashed = bench.flash(&prepared).await.unwrap();
    assert_eq!((flashed.written_bytes, flashed.zeroed_bytes), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_flash_that_fails_leaves_the_others_alone() {
    let raw = image::raw(22);
    let prepared = Store::with(image::xz(&raw)).await.prepare().await.unwrap();
    let mut benches = Vec::new();
    for _ in 0..4 {
        let Some(bench) = Bench::new(Shell::Dash, &image::garbage(DISK_SIZE)).await else { return };
        benches.push(bench);
    }
    let results = join_all(benches.iter().enumerate().map(|(number, bench)| {
        let prepared = &prepared;
        async move {
            let kill = |progress: Progress| {
                if number == 1 && progress.phase == Phase::Write && progress.done > 0 {
                    bench.sshd.kill();
                }
            };
            let options = FlashOptions { patience: Duration::ZERO, ..FlashOptions::default() };
            bench.flash_with(prepared, &options, &kill).await
        }
    }))
    .await;
    for (number, (bench, result)) in benches.iter().zip(results).enumerate() {
        match result {
            Err(error) if number == 1 => bench.assert_unbootable(&error),
            result => {
                result.unwrap_or_else(|error| panic!("{number}: {error:?}"));
                assert!(bench.disk(0, META.end) == raw[..META.end], "{number}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_image_that_is_damaged_meanwhile_never_boots() {
    let Some(bench) = Bench::new(Shell::Dash, &image::garbage(DISK_SIZE)).await else { return };
    let store = Store::with(image::xz(&image::raw(23))).await;
    let prepared = store.prepare().await.unwrap();
    let mut bytes = std::fs::read(prepared.path()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(prepared.path(), bytes).unwrap();
    let error = bench.flash(&prepared).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::Image(error) if error.to_string().contains(".prepared")), "{error:?}");
    bench.assert_unbootable(&error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_image_without_a_sound_backup_table_is_refused_before_the_disk_is_touched() {
    let old = image::garbage(DISK_SIZE);
    let Some(bench) = Bench::new(Shell::Dash, &old).await else { return };
    let mut raw = image::raw(25);
    raw[RAW_SIZE - 512] ^= 1;
    let prepared = Store::with(image::xz(&raw)).await.prepare().await.unwrap();
    let error = bench.flash(&prepared).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Partitions(_)) && !error.disk_touched, "{error:?}");
    assert!(bench.disk(0, DISK_SIZE) == old);
}
