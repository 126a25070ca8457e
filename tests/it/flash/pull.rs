//! The rescue host downloads the image by itself, from a server on loopback.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar};
use std::time::{Duration, Instant};

use talosoci::client::rescue::flash::{Cause, FlashError, FlashOptions, Flashed, Phase, Progress, Pull, flash};
use talosoci::client::rescue::probe::{Requirements, probe, refuse};
use talosoci::disk_image::{Digest, Format};
use talosoci::talos::image::Architecture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::image::{self, META, MIB};
use super::sshd::{Shell, Sshd, skip};
use super::{Bench, DISK_SIZE, source};

/// What a POSIX rescue system has, and no more.
const COREUTILS: &[&str] = &[
    "cat",
    "cut",
    "dd",
    "env",
    "grep",
    "head",
    "id",
    "ls",
    "mkdir",
    "mkfifo",
    "od",
    "printf",
    "readlink",
    "rm",
    "sed",
    "sha256sum",
    "sleep",
    "sort",
    "sync",
    "tail",
    "tee",
    "tr",
    "uname",
    "wc",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_pulled_image_is_on_the_disk_byte_for_byte() {
    if !has_tools() {
        return;
    }
    let raw = image::raw(31);
    let (xz, zst) = (image::xz(&raw), zst(&raw));
    for shell in [Shell::Dash, Shell::Bash, Shell::Busybox] {
        for (format, bytes) in [(Format::Xz, &xz), (Format::Zstd, &zst), (Format::Raw, &raw)] {
            let Some(bench) = Bench::new(shell, &image::garbage(DISK_SIZE)).await else { continue };
            let server = Server::start(bytes, Reply::All);
            let acknowledged = Mutex::new(0);
            let seen = |at: Progress| {
                if at.phase == Phase::Write {
                    *acknowledged.lock().unwrap() = at.done;
                }
            };
            let flashed = bench.pull(bytes, &server, format, &seen).await.unwrap();
            assert_eq!(flashed.compressed_sha256, Digest::of(bytes));
            assert_eq!(*acknowledged.lock().unwrap(), flashed.written_bytes - MIB as u64, "{shell:?} {format:?}");
            assert!(bench.disk(0, META.end) == raw[..META.end], "{shell:?} {format:?}");
            assert_eq!(server.requests(), 1);
            // A disk that holds it already is only read.
            let again = bench.pull(bytes, &server, format, &|_| ()).await.unwrap();
            assert_eq!((again.written_bytes, server.requests()), (0, 1));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flashed_disk_with_a_flaw_is_not_wiped_for_a_download_that_cannot_work() {
    if !has_tools() {
        return;
    }
    let xz = image::xz(&image::raw(41));
    let Some(bench) = Bench::new(Shell::Dash, &image::garbage(DISK_SIZE)).await else { return };
    bench.pull(&xz, &Server::start(&xz, Reply::All), Format::Xz, &|_| ()).await.unwrap();
    bench.flip(12 * MIB + 5);
    let before = bench.disk(0, DISK_SIZE);
    let error = bench.pull(&xz, &Server::start(&xz, Reply::Missing), Format::Xz, &|_| ()).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Pull(_)) && !error.disk_touched, "{error:?}");
    assert!(bench.disk(0, DISK_SIZE) == before);
    bench.pull(&xz, &Server::start(&xz, Reply::All), Format::Xz, &|_| ()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn busybox_alone_is_enough_to_pull() {
    let raw = image::raw(32);
    let xz = image::xz(&raw);
    let Some(bench) = Bench::behind(Sshd::start_with_only(Shell::Busybox, &[]), &[]) else { return };
    let server = Server::start(&xz, Reply::All);
    bench.pull(&xz, &server, Format::Xz, &|_| ()).await.unwrap();
    assert!(bench.disk(0, image::RAW_SIZE) == raw);
}

#[tokio::test(flavor = "multi_thread")]
async fn wget_will_do_where_there_is_no_curl() {
    let raw = image::raw(33);
    let xz = image::xz(&raw);
    let tools = [COREUTILS, &["wget", "xz"]].concat();
    let Some(bench) = Bench::behind(Sshd::start_with_only(Shell::Dash, &tools), &[]) else { return };
    bench.pull(&xz, &Server::start(&xz, Reply::All), Format::Xz, &|_| ()).await.unwrap();
    assert!(bench.disk(0, image::RAW_SIZE) == raw);
    let error = bench.pull(&image::xz(&image::raw(1)), &Server::start(&xz, Reply::Missing), Format::Xz, &|_| ()).await;
    assert!(
        matches!(&error, Err(FlashError { cause: Cause::Pull(said), .. }) if said.contains("wget ended") && said.contains("404")),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_goes_wrong_is_told_in_its_own_words() {
    if !has_tools() {
        return;
    }
    let raw = image::raw(34);
    let xz = image::xz(&raw);
    let mut flipped = xz.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let page = b"<!DOCTYPE html>\n<title>Sign in to the wifi</title>";
    for shell in [Shell::Dash, Shell::Bash, Shell::Busybox] {
        let page_shown = "the server sent no .xz file, but: <!DOCTYPE html> <title>Sign in to the wifi</title>";
        let table: [(&[u8], Reply, &str, bool); 6] = [
            (&xz, Reply::Missing, "404", false),
            (page, Reply::All, page_shown, false),
            (b"", Reply::All, "the server sent no .xz file", false),
            (&xz, Reply::Half, "ended with status", true),
            (&xz[..xz.len() / 2], Reply::All, "unpacking .xz ended with status", true),
            (&flipped, Reply::All, "unpacking .xz ended with status", true),
        ];
        for (served, reply, words, begun) in table {
            let Some(bench) = Bench::new(shell, &image::garbage(DISK_SIZE)).await else { continue };
            let server = Server::start(served, reply);
            let error = bench.pull(&xz, &server, Format::Xz, &|_| ()).await.unwrap_err();
            assert!(matches!(&error.cause, Cause::Pull(said) if said.contains(words)), "{shell:?} {words}: {error:?}");
            assert!(error.hints().iter().any(|hint| hint.contains("flash.source = \"push\"")), "{:?}", error.hints());
            if begun {
                bench.assert_unbootable(&error);
            } else {
                assert!(!error.disk_touched && bench.disk(0, DISK_SIZE) == image::garbage(DISK_SIZE), "{error:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_image_than_ours_never_boots() {
    if !has_tools() {
        return;
    }
    let xz = image::xz(&image::raw(35));
    for shell in [Shell::Dash, Shell::Busybox] {
        let Some(bench) = Bench::new(shell, &[]).await else { continue };
        let server = Server::start(&image::xz(&image::raw(36)), Reply::All);
        let error = bench.pull(&xz, &server, Format::Xz, &|_| ()).await.unwrap_err();
        assert!(matches!(error.cause, Cause::OtherImage { offset, .. } if offset == MIB as u64), "{error:?}");
        assert!(error.cause.to_string().contains("was served another image"), "{error:?}");
        bench.assert_unbootable(&error);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_given_up() {
    if !has_tools() {
        return;
    }
    let xz = image::xz(&image::raw(37));
    let Some(bench) = Bench::new(Shell::Dash, &[]).await else { return };
    let server = Server::start(&xz, Reply::Stall);
    let pull = Pull { idle: Duration::from_secs(1), ..server.pull(Format::Xz) };
    let error = bench.pull_with(&xz, pull, Duration::ZERO, &|_| (), &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::Pull(said) if said.contains("curl ended with status 28")), "{error:?}");
    bench.assert_unbootable(&error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_pull_ends_at_once_and_takes_its_download_along() {
    if !has_tools() {
        return;
    }
    let xz = image::xz(&image::raw(38));
    for shell in [Shell::Dash, Shell::Bash, Shell::Busybox] {
        let Some(bench) = Bench::new(shell, &image::garbage(DISK_SIZE)).await else { continue };
        let server = Server::start(&xz, Reply::Stall);
        let cancel = CancellationToken::new();
        let asked = Mutex::new(None);
        let on_first_write = |at: Progress| {
            if at.phase == Phase::Write && at.done > 0 {
                asked.lock().unwrap().get_or_insert_with(Instant::now);
                cancel.cancel();
            }
        };
        let pull = server.pull(Format::Xz);
        let error = bench.pull_with(&xz, pull, Duration::ZERO, &on_first_write, &cancel).await.unwrap_err();
        assert!(matches!(error.cause, Cause::Cancelled), "{error:?}");
        assert!(asked.lock().unwrap().unwrap().elapsed() < Duration::from_secs(1));
        bench.assert_unbootable(&error);
        // It would wait for a minute otherwise.
        server.wait_for_hang_up(Duration::from_secs(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_goes_on_after_a_broken_connection() {
    if !has_tools() {
        return;
    }
    let raw = image::raw(39);
    let xz = image::xz(&raw);
    for shell in [Shell::Dash, Shell::Busybox] {
        let Some(bench) = Bench::new(shell, &image::garbage(DISK_SIZE)).await else { continue };
        let server = Server::start(&xz, Reply::StallOnce);
        let killed = Mutex::new(false);
        let kill = |at: Progress| {
            let now = at.phase == Phase::Write && at.done > 0;
            if now && !std::mem::replace(&mut *killed.lock().unwrap(), true) {
                bench.sshd.kill();
            }
        };
        let patience = Duration::from_secs(60);
        let pull = server.pull(Format::Xz);
        let flashed = bench.pull_with(&xz, pull, patience, &kill, &CancellationToken::new()).await.unwrap();
        assert_eq!((flashed.compressed_sha256, server.requests()), (Digest::of(&xz), 2), "{shell:?}");
        assert!(bench.disk(0, META.end) == raw[..META.end], "{shell:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_factory_may_not_lead_to_a_plain_one() {
    // No certificate is at hand here; that the rule reaches the tools is seen from what they are told.
    let xz = image::xz(&image::raw(40));
    let told = "#!/bin/sh\necho \"$0 $* proxy=$http_proxy\" >&2\nexit 6\n";
    for (tool, rule) in [("curl", "--proto =https --proto-redir =https"), ("wget", "proxy=http://127.0.0.1:1")] {
        let tools = [COREUTILS, &["xz"]].concat();
        let Some(bench) = Bench::behind(Sshd::start_with_only(Shell::Dash, &tools), &[]) else { return };
        bench.sshd.shim(tool, told);
        let pull = Pull::new("https://factory.invalid/a.raw.xz".parse().unwrap(), Format::Xz);
        let error = bench.pull_with(&xz, pull, Duration::ZERO, &|_| (), &CancellationToken::new()).await.unwrap_err();
        assert!(matches!(&error.cause, Cause::Pull(said) if said.contains(rule)), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_server_that_leads_to_a_plain_one_is_not_followed() {
    if !has_tools() {
        return;
    }
    let xz = image::xz(&image::raw(42));
    for (tool, trust) in [("curl", "--cacert"), ("wget", "--ca-certificate")] {
        let tools = [COREUTILS, &["xz"]].concat();
        let Some(bench) = Bench::behind(Sshd::start_with_only(Shell::Dash, &tools), &[]) else { return };
        let plain = Server::start(&xz, Reply::All);
        let target = format!("http://127.0.0.1:{}/a.raw.xz", plain.port);
        let (port, certificate) = encrypted_redirection(target).await;
        let pull = || Pull::new(format!("https://localhost:{port}/a.raw.xz").parse().unwrap(), Format::Xz);
        let never = CancellationToken::new();
        let ask = || bench.pull_with(&xz, pull(), Duration::ZERO, &|_| (), &never);
        // Nobody vouches for the certificate.
        let real = format!("exec /usr/bin/{tool}");
        bench.sshd.shim(tool, &format!("#!/bin/sh\n{real} \"$@\"\n"));
        let error = ask().await.unwrap_err();
        assert!(error.hints()[0].contains("ca-certificates"), "{error:?}");
        // It is trusted, and leads astray.
        let file = bench.sshd.path("ca.pem");
        std::fs::write(&file, certificate).unwrap();
        bench.sshd.shim(tool, &format!("#!/bin/sh\n{real} {trust} {} \"$@\"\n", file.display()));
        let error = ask().await.unwrap_err();
        assert!(matches!(error.cause, Cause::Pull(_)) && plain.requests() == 0, "{tool}: {error:?}");
        assert!(!error.disk_touched, "{error:?}");
    }
}

/// A server that nobody knows, and that sends everybody elsewhere; its port and certificate.
async fn encrypted_redirection(target: String) -> (u16, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            // Who does not trust it hangs up.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let answer =
                format!("HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, made.cert.pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_tools_are_refused_before_anything_is_written() {
    let Some(bench) = Bench::behind(Sshd::start_with_only(Shell::Dash, COREUTILS), &[]) else { return };
    let session = bench.sshd.session().await;
    let facts = probe(&session, bench.disk.to_str().unwrap()).await.unwrap();
    let mut requirements = Requirements::new(Architecture::Arm64).on_a_file();
    refuse(&facts, &requirements).unwrap();
    requirements.pull = Some(Format::Xz);
    let refusal = refuse(&facts, &requirements).unwrap_err();
    assert!(refusal.to_string().contains("no curl and no wget"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rescue_host_without_dns_says_so() {
    if !has_tools() {
        return;
    }
    let xz = image::xz(&image::raw(41));
    let Some(bench) = Bench::new(Shell::Dash, &[]).await else { return };
    let pull = Pull::new("http://factory.invalid/a.raw.xz".parse().unwrap(), Format::Xz);
    let error = bench.pull_with(&xz, pull, Duration::ZERO, &|_| (), &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::Pull(said) if said.contains("curl ended with status 6")), "{error:?}");
    assert!(error.hints()[0].contains("DNS"), "{:?}", error.hints());
}

/// Where the rescue host has all tools of this machine, these must be among them.
fn has_tools() -> bool {
    for tool in ["curl", "xz", "zstd"] {
        if !["/usr/bin", "/bin"].iter().any(|folder| std::path::Path::new(folder).join(tool).exists()) {
            skip(&format!("no {tool}"));
            return false;
        }
    }
    true
}

impl Bench {
    fn behind(sshd: Option<Sshd>, content: &[u8]) -> Option<Self> {
        let sshd = sshd?;
        let disk = sshd.path("disk.img");
        match content {
            [] => File::create(&disk).unwrap().set_len(DISK_SIZE as u64).unwrap(),
            content => std::fs::write(&disk, content).unwrap(),
        }
        Some(Self { sshd, disk })
    }

    async fn pull(
        &self,
        ours: &[u8],
        server: &Server,
        format: Format,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Flashed, FlashError> {
        self.pull_with(ours, server.pull(format), Duration::ZERO, progress, &CancellationToken::new()).await
    }

    async fn pull_with(
        &self,
        ours: &[u8],
        pull: Pull,
        patience: Duration,
        progress: &(dyn Fn(Progress) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<Flashed, FlashError> {
        let session = self.sshd.session().await;
        let facts = probe(&session, self.disk.to_str().unwrap()).await.unwrap();
        let options = FlashOptions { patience, pull: Some(pull), ..FlashOptions::default() };
        flash(&session, &facts, &source(ours).await, &options, progress, cancel).await
    }
}

/// How a server answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reply {
    All,
    /// 404.
    Missing,
    /// A half of what was announced.
    Half,
    /// Three quarters, and then nothing for as long as somebody listens.
    Stall,
    /// The same to the first who asks, all to others.
    StallOnce,
}

/// A web server with one file.
struct Server {
    port: u16,
    requests: Arc<AtomicUsize>,
    /// Connections that stalled, and whose client went away.
    hung_up: Arc<(Mutex<usize>, Condvar)>,
}

impl Server {
    fn start(file: &[u8], reply: Reply) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, hung_up) = (Arc::new(AtomicUsize::new(0)), Arc::new((Mutex::new(0), Condvar::new())));
        let server = Self { port, requests: Arc::clone(&requests), hung_up: Arc::clone(&hung_up) };
        let file: Arc<[u8]> = file.into();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let number = requests.fetch_add(1, Ordering::SeqCst);
                let reply = match reply {
                    Reply::StallOnce if number > 0 => Reply::All,
                    reply => reply,
                };
                let (file, hung_up) = (Arc::clone(&file), Arc::clone(&hung_up));
                std::thread::spawn(move || serve(stream, &file, reply, &hung_up));
            }
        });
        server
    }

    fn pull(&self, format: Format) -> Pull {
        Pull::new(format!("http://127.0.0.1:{}/image/oracle-arm64.raw", self.port).parse().unwrap(), format)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn wait_for_hang_up(&self, limit: Duration) {
        let (count, changed) = &*self.hung_up;
        let waited = changed.wait_timeout_while(count.lock().unwrap(), limit, |count| *count == 0).unwrap();
        assert!(!waited.1.timed_out(), "the download goes on");
    }
}

/// The client may go away at any time.
fn serve(mut stream: TcpStream, file: &[u8], reply: Reply, hung_up: &(Mutex<usize>, Condvar)) {
    let mut request = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while request.read_line(&mut line).is_ok_and(|read| read > 2) {
        line.clear();
    }
    let status = if reply == Reply::Missing { "404 Not Found" } else { "200 OK" };
    let part = match reply {
        Reply::All => file.len(),
        Reply::Missing => 0,
        Reply::Half => file.len() / 2,
        Reply::Stall | Reply::StallOnce => file.len() * 3 / 4,
    };
    let length = if reply == Reply::Missing { 0 } else { file.len() };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&file[..part]));
    if sent.is_ok() && matches!(reply, Reply::Stall | Reply::StallOnce) {
        // Ends when the client does.
        let _ = request.read_line(&mut line);
        *hung_up.0.lock().unwrap() += 1;
        hung_up.1.notify_all();
    }
}

fn zst(raw: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(raw, 1).unwrap()
}
