//! The image cache, against a server that gives one file: how often is it asked, and what survives damage.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::join_all;
use talosoci::client::cache::{CacheError, Fetching, ImageCache, PreparedImage, Wanted};
use talosoci::client::factory::{Factory, FactoryError};
use talosoci::disk_image::Digest;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use url::Url;

use crate::flash::image;
use crate::flash::sshd::{output, skip};

/// A cache directory, and a server that answers every request with the same bytes.
pub struct Store {
    pub folder: TempDir,
    base: Url,
    asked: Arc<AtomicUsize>,
}

impl Store {
    pub async fn with(content: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        tokio::spawn(serve(listener, content.into(), Arc::clone(&asked)));
        Self { folder: tempfile::tempdir().unwrap(), base, asked }
    }

    /// Another directory for the same server.
    pub fn in_folder(&self, folder: TempDir) -> Self {
        Self { folder, base: self.base.clone(), asked: Arc::clone(&self.asked) }
    }

    pub fn cache(&self) -> ImageCache {
        ImageCache::at(self.folder.path())
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    pub async fn prepare(&self) -> Result<PreparedImage, CacheError> {
        self.prepare_told(&|_| ()).await
    }

    async fn prepare_told(&self, tell: &(dyn Fn(Fetching) + Send + Sync)) -> Result<PreparedImage, CacheError> {
        self.prepare_in(&self.cache(), "oracle-arm64.raw.xz", None, tell).await
    }

    async fn prepare_in(
        &self,
        cache: &ImageCache,
        name: &str,
        pinned: Option<&str>,
        tell: &(dyn Fn(Fetching) + Send + Sync),
    ) -> Result<PreparedImage, CacheError> {
        let factory = Factory::new(&self.base).unwrap();
        let url = self.base.join(name).unwrap();
        cache.prepare(Wanted { factory: &factory, url: &url, pinned }, tell).await
    }

    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
    }

    fn only(&self, extension: &str) -> PathBuf {
        let files = self.files(extension);
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }
}

async fn serve(listener: TcpListener, content: Bytes, asked: Arc<AtomicUsize>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (content, asked) = (content.clone(), Arc::clone(&asked));
        tokio::spawn(async move {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            asked.fetch_add(1, Ordering::Relaxed);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            // Whoever goes away first does not want it.
            let _ = stream.write_all(&content).await;
        });
    }
}

/// What would be on a disk.
fn rebuilt(prepared: &PreparedImage) -> Vec<u8> {
    let mut disk = vec![0; prepared.image().raw_size as usize];
    for slot in prepared.image().slots() {
        let bytes = prepared.read(slot).unwrap();
        disk[slot.extent.offset as usize..][..bytes.len()].copy_from_slice(&bytes);
    }
    disk
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_at_once_share_one_download_and_one_decode() {
    let raw = image::raw(1);
    let store = Store::with(image::xz(&raw)).await;
    let heard: Vec<Mutex<Vec<Fetching>>> = (0..16).map(|_| Mutex::default()).collect();
    let prepared =
        join_all(heard.iter().map(|heard| async {
            store.prepare_told(&|fetching| heard.lock().unwrap().push(fetching)).await.unwrap()
        }))
        .await;
    assert_eq!(store.asked(), 1);
    let count = |of: fn(&Fetching) -> bool| heard.iter().filter(|heard| heard.lock().unwrap().iter().any(of)).count();
    assert_eq!(count(|fetching| matches!(fetching, Fetching::Downloading { .. })), 1);
    assert_eq!(count(|fetching| matches!(fetching, Fetching::Preparing { done, total } if done == total)), 1);
    assert!(count(|fetching| *fetching == Fetching::Waiting) > 0);
    let path = store.only("prepared");
    assert!(prepared.iter().all(|prepared| prepared.path() == path));
    assert!(rebuilt(&prepared[0]) == raw && rebuilt(&prepared[15]) == raw);
    assert!(store.files("part").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_run_takes_what_is_there_without_the_compressed_image() {
    let store = Store::with(image::xz(&image::raw(2))).await;
    let first = store.prepare().await.unwrap();
    let before = inode(first.path());
    fs::remove_file(store.only("image")).unwrap();
    let second = store.prepare().await.unwrap();
    assert_eq!((store.asked(), inode(second.path())), (1, before));
    assert_eq!(second.image(), first.image());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_image_that_is_wrong_is_made_anew_without_a_download() {
    let raw = image::raw(3);
    let store = Store::with(image::xz(&raw)).await;
    let good = fs::read(store.prepare().await.unwrap().path()).unwrap();
    let path = store.only("prepared");
    let other = Store::with(image::xz(&image::raw(4))).await;
    let another = fs::read(other.prepare().await.unwrap().path()).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let cases = [
        ("cut off", good[..good.len() - 1000].to_vec()),
        ("empty", Vec::new()),
        ("with a flipped bit in its data", flipped(good.len() / 2)),
        ("with a flipped bit in its map", flipped(good.len() - 100)),
        ("of another version", flipped(good.len() - 12)),
        ("that of another image", another),
    ];
    for (what, bytes) in cases {
        fs::write(&path, bytes).unwrap();
        let prepared = store.prepare().await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert!(rebuilt(&prepared) == raw, "{what}");
        assert!(fs::read(&path).unwrap() == good, "{what}: another file than before");
    }
    assert_eq!(store.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_damaged_while_it_is_used_is_not_believed() {
    let store = Store::with(image::xz(&image::raw(5))).await;
    let prepared = store.prepare().await.unwrap();
    let mut bytes = fs::read(prepared.path()).unwrap();
    bytes[70_000] ^= 1;
    fs::write(prepared.path(), bytes).unwrap();
    let errors: Vec<_> = prepared.image().slots().filter_map(|slot| prepared.read(slot).err()).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].to_string().contains(".prepared"), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_compressed_image_is_downloaded_again() {
    let raw = image::raw(6);
    let xz = image::xz(&raw);
    let store = Store::with(xz.clone()).await;
    store.prepare().await.unwrap();
    let mut flipped = xz.clone();
    flipped[xz.len() / 2] ^= 1;
    for (times, bytes) in [(2, &flipped[..]), (3, &xz[..xz.len() / 2]), (4, b"")] {
        fs::remove_file(store.only("prepared")).unwrap();
        fs::write(store.only("image"), bytes).unwrap();
        assert!(rebuilt(&store.prepare().await.unwrap()) == raw);
        assert_eq!(store.asked(), times);
        assert!(fs::read(store.only("image")).unwrap() == xz);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_image_does_not_stay_in_the_cache() {
    let xz = image::xz(&image::raw(7));
    let store = Store::with(xz[..xz.len() - 100].to_vec()).await;
    for _ in 0..2 {
        let error = store.prepare().await.unwrap_err();
        assert!(matches!(error, CacheError::Decode { .. }), "{error:?}");
        assert!(error.hints().iter().any(|hint| hint.contains("removed from the cache")), "{:?}", error.hints());
        assert_eq!(
            [store.files("image"), store.files("prepared"), store.files("part")],
            [[], [], []] as [[PathBuf; 0]; 3]
        );
    }
    assert_eq!(store.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_pinned_content_is_prepared() {
    let xz = image::xz(&image::raw(8));
    let store = Store::with(xz.clone()).await;
    let right = Digest::of(&xz).to_string();
    let wrong = Digest::of(b"another").to_string();
    let prepare = |pin: String| {
        let store = &store;
        async move { store.prepare_in(&store.cache(), "oracle-arm64.raw.xz", Some(&pin), &|_| ()).await }
    };
    assert!(matches!(prepare(wrong.clone()).await, Err(CacheError::Digest { .. })));
    assert!(store.files("prepared").is_empty());
    assert!(prepare(right.to_uppercase()).await.is_ok());
    // Also when another content is there for the URL.
    assert!(matches!(prepare(wrong).await, Err(CacheError::Digest { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_killed_runs_left_is_swept_by_the_next() {
    let store = Store::with(image::xz(&image::raw(9))).await;
    // Learn the name that stands for the URL.
    store.prepare().await.unwrap();
    let key = store.only("lock").file_stem().unwrap().to_str().unwrap().to_owned();
    fs::remove_file(store.only("prepared")).unwrap();
    let left = store.folder.path().join(format!("{key}.99999.0.part"));
    let of_another = |digit: &str, kind: &str| store.folder.path().join(format!("{}{kind}", digit.repeat(64)));
    let (stale, held) = (of_another("0", ".99999.0.part"), of_another("1", ".99999.0.part"));
    let no_part = store.folder.path().join("notes.part");
    for path in [&left, &stale, &held, &no_part] {
        fs::write(path, "half").unwrap();
    }
    // Another run is at that image.
    let lock = File::create(of_another("1", ".lock")).unwrap();
    lock.lock().unwrap();
    store.prepare().await.unwrap();
    assert!(!left.exists() && !stale.exists());
    assert!(held.exists() && no_part.exists());
    // Also when there is nothing to be made.
    lock.unlock().unwrap();
    store.prepare().await.unwrap();
    assert!(!held.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_another_process_is_told_and_can_be_given_up() {
    let store = Store::with(image::xz(&image::raw(10))).await;
    store.prepare().await.unwrap();
    fs::remove_file(store.only("prepared")).unwrap();
    // A lock of its own is what another process has.
    let other = File::open(store.only("lock")).unwrap();
    other.lock().unwrap();
    let (waiting, mut seen) = watch::channel(false);
    let tell = |fetching| {
        assert_eq!(fetching, Fetching::Waiting);
        waiting.send_replace(true);
    };
    tokio::select! {
        made = store.prepare_told(&tell) => panic!("it did not wait: {made:?}"),
        waits = seen.wait_for(|waiting| *waiting) => assert!(*waits.unwrap()),
    }
    // The first has given up, and left nothing that would stop a second.
    let tell = |fetching| {
        if fetching == Fetching::Waiting {
            other.unlock().unwrap();
        }
    };
    store.prepare_told(&tell).await.unwrap();
    assert_eq!(store.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_given_up_while_it_decodes_leaves_nothing_half_done() {
    let raw = image::raw(11);
    let store = Store::with(image::xz(&raw)).await;
    let (preparing, mut seen) = watch::channel(false);
    let tell = |fetching| {
        if matches!(fetching, Fetching::Preparing { .. }) {
            preparing.send_replace(true);
        }
    };
    tokio::select! {
        biased;
        preparing = seen.wait_for(|preparing| *preparing) => assert!(*preparing.unwrap()),
        // So small an image may be done before anybody looks.
        made = store.prepare_told(&tell) => drop(made.unwrap()),
    }
    assert!(rebuilt(&store.prepare().await.unwrap()) == raw);
    assert_eq!(store.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_decoded_while_it_is_downloaded() {
    let raw = image::raw(26);
    let xz = Bytes::from(image::xz(&raw));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let store = Store { folder: tempfile::tempdir().unwrap(), base, asked: Arc::default() };
    // The rest does not come before some of the beginning is decoded.
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", xz.len());
        let (first, rest) = xz.split_at(xz.len() * 3 / 4);
        stream.write_all(&[head.as_bytes(), first].concat()).await.unwrap();
        let decoded =
            || store.files("part").iter().any(|path| fs::metadata(path).is_ok_and(|part| part.len() > 1 << 20));
        while !decoded() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        stream.write_all(rest).await.unwrap();
        std::future::pending::<()>().await;
    };
    let prepared = tokio::select! {
        made = tokio::time::timeout(std::time::Duration::from_secs(60), store.prepare()) => made,
        () = serve => unreachable!("it waits for ever"),
    };
    assert!(rebuilt(&prepared.expect("nothing was decoded before the end").unwrap()) == raw);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_forms_of_the_image_used_longest_ago_go_and_open_ones_stay_readable() {
    let raw = image::raw(12);
    let store = Store::with(image::xz(&raw)).await;
    let first = store.prepare().await.unwrap();
    let other = Store::with(image::xz(&image::raw(14))).await;
    // Room for a compressed image, but not for a prepared one beside it.
    let limit = fs::metadata(store.only("image")).unwrap().len() + 1;
    let cache = store.cache().with_limit(limit);
    other.prepare_in(&cache, "other", None, &|_| ()).await.unwrap();
    assert!(!first.path().exists());
    assert_eq!((store.files("image").len(), store.files("prepared").len()), (1, 1));
    assert!(rebuilt(&first) == raw, "a flash that is under way must go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_too_small_is_named_with_what_is_needed() {
    if output("id", &["-u"]) != "0" {
        return skip("mounting a small tmpfs needs root");
    }
    let store = Store::with(image::xz(&image::raw(15))).await;
    store.prepare().await.unwrap();
    let size = |extension| fs::metadata(store.only(extension)).unwrap().len();
    let (compressed, needed) = (size("image"), size("prepared"));
    let small = store.in_folder(tempfile::tempdir().unwrap());
    let room = format!("size={},mode=700", compressed + needed / 2);
    let folder = small.folder.path().to_str().unwrap();
    output("mount", &["-t", "tmpfs", "-o", &room, "tmpfs", folder]);
    let error = small.prepare().await.unwrap_err();
    let (images, parts) = (small.files("image").len(), small.files("part").len());
    output("umount", &["-l", folder]);
    let text = error.to_string();
    assert!(matches!(error, CacheError::NoRoom { needed: found, .. } if found == needed), "{error:?}");
    assert!(text.contains(folder) && text.contains(&needed.to_string()), "{text}");
    // The download need not be repeated.
    assert_eq!((images, parts), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_others_may_write_to_is_not_used() {
    let store = Store::with(image::xz(&image::raw(16))).await;
    fs::set_permissions(store.folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = store.prepare().await.unwrap_err();
    assert!(matches!(&error, CacheError::Untrusted { why, .. } if why.contains("777")), "{error:?}");
    let hints = error.hints().join("; ");
    assert!(hints.contains("cache_dir") && hints.contains("go-w"), "{hints}");
    assert_eq!(store.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_an_endless_image_nor_one_that_is_too_large_fills_the_disk() {
    if output("id", &["-u"]) != "0" {
        return skip("mounting a small tmpfs needs root");
    }
    for (head, known) in [("", false), ("Content-Length: 20000000\r\n", true)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut method = [0; 4];
                    stream.read_exact(&mut method).await.unwrap();
                    stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes()).await.unwrap();
                    while method == *b"GET " && stream.write_all(&[7; 10_000]).await.is_ok() {}
                });
            }
        });
        let store = Store { folder: tempfile::tempdir().unwrap(), base, asked: Arc::default() };
        let folder = store.folder.path().to_str().unwrap();
        output("mount", &["-t", "tmpfs", "-o", "size=4M,mode=700", "tmpfs", folder]);
        let error = store.prepare().await.unwrap_err();
        let parts = store.files("part").len();
        output("umount", &["-l", folder]);
        let expected = match &error {
            CacheError::NoRoom { needed, .. } => known && *needed == 20_000_000,
            CacheError::Download { source: FactoryError::TooLong { limit, .. }, .. } => !known && *limit < 4 << 20,
            _ => false,
        };
        assert!(expected, "{error:?}");
        assert_eq!(parts, 0);
    }
}
