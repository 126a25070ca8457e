//! Against a server that answers with prepared bytes, one prepared answer for each connection.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const ID: &str = "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b";

#[tokio::test]
async fn a_schematic_is_registered_under_the_id_we_know() {
    let server = Server::start([json_answer(201, &format!(r#"{{"id":"{ID}"}}"#))]).await;
    assert_eq!(server.factory().register(&tailscale()).await.unwrap().as_str(), ID);
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST /schematics HTTP/1.1"), "{request}");
    assert!(request.ends_with("- siderolabs/tailscale\n"), "{request}");
}

#[tokio::test]
async fn another_id_is_an_error_unless_the_factory_added_an_owner() {
    let other = "b".repeat(64);
    let owned = r#"{"id":"ID","schematic":"owner: someone\ncustomization: {}\n"}"#.replace("ID", &other);
    let plain = r#"{"id":"ID","schematic":"customization: {}\n"}"#.replace("ID", &other);
    let server = Server::start([json_answer(201, &owned), json_answer(201, &plain)]).await;
    assert_eq!(server.factory().register(&tailscale()).await.unwrap().as_str(), other);
    let error = server.factory().register(&tailscale()).await.unwrap_err();
    assert!(matches!(&error, FactoryError::OtherId { theirs, .. } if *theirs == other), "{error}");
}

#[tokio::test]
async fn an_older_factory_is_asked_for_the_schematic() {
    let other = "b".repeat(64);
    let answers =
        [json_answer(201, &format!(r#"{{"id":"{other}"}}"#)), json_answer(200, "owner: someone\ncustomization: {}\n")];
    let server = Server::start(answers).await;
    assert_eq!(server.factory().register(&tailscale()).await.unwrap().as_str(), other);
    assert!(server.requests()[1].starts_with(&format!("GET /schematics/{other} ")));
}

#[tokio::test]
async fn what_cannot_heal_is_not_asked_again() {
    for status in [400, 401, 402, 403, 404] {
        let server = Server::start([answer(status, "", "version v9.9.9 is not available\n")]).await;
        let error = server.factory().asset(&server.url("/image/x")).await.unwrap_err();
        let shown = error.to_string();
        assert!(shown.contains(&status.to_string()) && shown.contains("/image/x"), "{shown}");
        assert!(!error.is_transient() && !error.hints().is_empty(), "{status}");
    }
}

#[tokio::test]
async fn what_may_heal_is_asked_again() {
    for status in [408, 429, 500, 502, 503, 504] {
        let server = Server::start([answer(status, "", "busy\n"), Vec::new(), answer(200, "", "abc")]).await;
        let download = server.factory().open(&server.url("/image/x")).await.unwrap();
        assert_eq!(read(download).await.unwrap(), "abc", "{status}");
    }
}

#[tokio::test]
async fn patience_ends_with_the_last_answer() {
    let server = Server::start([answer(503, "", "busy 1"), answer(503, "", "busy 2"), answer(503, "", "busy 3")]).await;
    let error = server.factory().asset(&server.url("/image/x")).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_refusal_shows_what_the_server_said() {
    let server =
        Server::start([answer(400, "", "official extension \"x\" is not available for Talos version v1.12.2\n")]).await;
    let error = server.factory().open(&server.url("/image/x")).await.err().unwrap();
    assert!(error.to_string().contains("official extension \"x\" is not available"), "{error}");
    assert!(error.hints()[0].contains("remove the extension"));
}

#[tokio::test]
async fn a_page_or_a_message_is_no_image() {
    let page = "<html><head><title>Sign in</title></head><body>to <b>Hotel</b> wifi</body></html>";
    for (kind, body, expected) in [
        ("text/html; charset=utf-8", page, "Sign in to Hotel wifi"),
        ("application/json", "{\"error\":1}", "{\"error\":1}"),
    ] {
        let server = Server::start([answer(200, &format!("Content-Type: {kind}\r\n"), body)]).await;
        let error = server.factory().open(&server.url("/image/x")).await.err().unwrap();
        assert!(matches!(&error, FactoryError::NotAnImage { text, .. } if text == expected), "{error}");
    }
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_stopped() {
    let first = cut(&answer(200, "ETag: \"v1\"\r\n", "0123456789"), 6);
    let rest = answer(206, "Content-Range: bytes 4-9/10\r\n", "456789");
    let server = Server::start([first, rest]).await;
    let download = server.factory().open(&server.url("/image/x")).await.unwrap();
    assert_eq!(download.size(), Some(10));
    assert_eq!(read(download).await.unwrap(), "0123456789");
    let request = server.requests()[1].to_lowercase();
    assert!(request.contains("range: bytes=4-\r\n") && request.contains("if-range: \"v1\"\r\n"), "{request}");
}

#[tokio::test]
async fn a_server_without_ranges_is_read_again_and_compared() {
    let whole = answer(200, "", "0123456789");
    let server = Server::start([cut(&whole, 6), cut(&whole, 8), whole.clone()]).await;
    let download = server.factory().open(&server.url("/image/x")).await.unwrap();
    assert_eq!(read(download).await.unwrap(), "0123456789");
    assert!(!server.requests()[1].to_lowercase().contains("range:"));
}

#[tokio::test]
async fn an_image_that_changed_meanwhile_is_refused() {
    let tagged = |tag: &str, body: &str| answer(200, &format!("ETag: \"{tag}\"\r\n"), body);
    let table = [
        [cut(&answer(200, "", "0123456789"), 6), answer(200, "", "0X23456789")],
        [cut(&tagged("v1", "0123456789"), 6), tagged("v2", "0X23456789")],
        [cut(&answer(200, "", "0123456789"), 6), answer(200, "", "01234567890123")],
        [cut(&tagged("v1", "0123456789"), 6), answer(206, "Content-Range: bytes 0-9/10\r\n", "0123456789")],
    ];
    for answers in table {
        let server = Server::start(answers).await;
        let download = server.factory().open(&server.url("/image/x")).await.unwrap();
        let error = read(download).await.unwrap_err();
        assert!(matches!(error, FactoryError::Changed { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_download_that_always_breaks_ends() {
    let broken = cut(&answer(200, "", "0123456789"), 6);
    let server = Server::start(vec![broken; 20]).await;
    let download = server.factory().open(&server.url("/image/x")).await.unwrap();
    assert!(read(download).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123".to_vec();
    let server = Server::start_hanging([head.clone(), head.clone(), head.clone(), head]).await;
    let download = server.factory().open(&server.url("/image/x")).await.unwrap();
    let error = read(download).await.unwrap_err();
    assert!(matches!(error, FactoryError::Silent { .. }), "{error}");
}

#[tokio::test]
async fn a_length_that_only_head_tells_bounds_the_download() {
    // Ended by closing the connection, which says nothing about whether all came.
    let open_end = |body: &str| format!("HTTP/1.1 200 OK\r\nETag: \"v1\"\r\n\r\n{body}").into_bytes();
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".to_vec();
    let server = Server::start([open_end("0123456789"), head.clone()]).await;
    let download = server.factory().open(&server.url("/image/x")).await.unwrap();
    assert_eq!(download.size(), Some(10));
    assert_eq!(read(download).await.unwrap(), "0123456789");
    assert!(server.requests()[1].starts_with("HEAD /image/x "));

    let server = Server::start([open_end("0123456789abc"), head.clone()]).await;
    let download = server.factory().open(&server.url("/image/x")).await.unwrap();
    let error = read(download).await.unwrap_err();
    assert!(matches!(error, FactoryError::TooLong { limit: 10, .. }), "{error}");
    assert!(!error.is_transient());

    let rest = answer(206, "Content-Range: bytes 4-9/10\r\n", "456789");
    let server = Server::start([open_end("0123"), head, rest]).await;
    let download = server.factory().open(&server.url("/image/x")).await.unwrap();
    assert_eq!(read(download).await.unwrap(), "0123456789", "it was cut off");
}

#[tokio::test]
async fn a_download_of_unknown_length_ends_at_a_limit() {
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(100_000)).into_bytes();
    let server = Server::start([endless, answer(405, "", "")]).await;
    let download = server.factory().open(&server.url("/image/x")).await.unwrap().at_most(70_000);
    assert_eq!(download.size(), None);
    let error = read(download).await.unwrap_err();
    assert!(matches!(error, FactoryError::TooLong { limit: 70_000, .. }), "{error}");
    let server = Server::start([b"HTTP/1.1 200 OK\r\nContent-Length: 99000000000\r\n\r\n".to_vec()]).await;
    let error = server.factory().open(&server.url("/image/x")).await.err().unwrap();
    assert!(matches!(error, FactoryError::TooLong { .. }), "{error}");
}

#[tokio::test]
async fn versions_and_extensions_are_read() {
    let extensions =
        r#"[{"name":"siderolabs/tailscale","ref":"ghcr.io/siderolabs/tailscale:1.92.3","digest":"sha256:0"}]"#;
    let server =
        Server::start([json_answer(200, r#"["v1.11.6","v1.12.2","weird"]"#), json_answer(200, extensions)]).await;
    let versions = server.factory().versions().await.unwrap();
    assert_eq!(versions.iter().map(ToString::to_string).collect::<Vec<_>>(), ["v1.11.6", "v1.12.2"]);
    let found = server.factory().extensions(&versions[1]).await.unwrap();
    assert_eq!((found[0].name.as_str(), found[0].digest.as_str()), ("siderolabs/tailscale", "sha256:0"));
    assert!(server.requests()[1].starts_with("GET /version/v1.12.2/extensions/official "));
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_shown() {
    let server = Server::start([answer(200, "", "<html>hello</html>")]).await;
    let error = server.factory().versions().await.unwrap_err();
    assert!(matches!(&error, FactoryError::Answer { text, .. } if text == "hello"), "{error}");
}

fn tailscale() -> Schematic {
    Schematic::parse("customization: {systemExtensions: {officialExtensions: [siderolabs/tailscale]}}").unwrap()
}

async fn read(mut download: Download) -> Result<String, FactoryError> {
    let mut all = Vec::new();
    while let Some(chunk) = download.chunk().await? {
        all.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8(all).unwrap())
}

fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()).into_bytes()
}

fn json_answer(status: u16, body: &str) -> Vec<u8> {
    answer(status, "Content-Type: application/json\r\n", body)
}

fn cut(answer: &[u8], missing: usize) -> Vec<u8> {
    answer[..answer.len() - missing].to_vec()
}

struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self::serve(answers.into_iter().collect(), false).await
    }

    /// After each answer the connection stays open, and silent.
    async fn start_hanging(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self::serve(answers.into_iter().collect(), true).await
    }

    async fn serve(answers: Vec<Vec<u8>>, hang: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut open = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = request(&mut stream).await;
                seen.lock().unwrap().push(request);
                stream.write_all(&answer).await.unwrap();
                if hang {
                    open.push(stream);
                } else {
                    stream.shutdown().await.ok();
                }
            }
            if hang {
                std::future::pending::<()>().await;
            }
        });
        Self { port, requests }
    }

    fn url(&self, path: &str) -> Url {
        format!("http://127.0.0.1:{}{path}", self.port).parse().unwrap()
    }

    fn factory(&self) -> Factory {
        let waits = Waits {
            first_byte: Duration::from_secs(20),
            idle: Duration::from_millis(200),
            retry: Duration::from_millis(1),
            attempts: 3,
        };
        Factory::with_waits(&self.url("/"), waits).unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Reads the head and, when it announces one, the body.
async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.to_lowercase().split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        let n = stream.read(&mut buffer).await.unwrap();
        if n == 0 {
            return text;
        }
        bytes.extend_from_slice(&buffer[..n]);
    }
}
