//! The factory's HTTP face; paths, status codes and words after image-factory v1.5.0 internal/frontend/http.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use futures_util::{StreamExt, stream};
use serde_json::json;

use super::catalog::{self, AssetError, Built, Catalog};
use crate::sim::{
    fault::{Fault, Faults},
    journal::{Event, Journal},
};

/// What the factory's handlers share.
#[derive(Debug, Clone)]
pub struct Factory {
    /// What it knows.
    pub catalog: Arc<Catalog>,
    /// Where it writes what it answered.
    pub journal: Journal,
    /// What goes wrong.
    pub faults: Faults,
    /// How long the first answer about a new image takes.
    pub build_time: Duration,
}

const CHUNK: usize = 256 * 1024;

impl Factory {
    /// The factory's routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/schematics", axum::routing::post(post_schematic))
            .route("/schematics/{id}", get(get_schematic))
            .route("/versions", get(versions))
            .route("/version/{version}/extensions/official", get(extensions))
            .route("/version/{version}/overlays/official", get(overlays))
            .route("/image/{schematic}/{version}/{path}", get(image))
            .route("/cdn/{schematic}/{version}/{path}", get(image))
            .layer(middleware::from_fn_with_state(self.clone(), record))
            .with_state(self)
    }

    fn strike<T>(&self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.faults.strike(&self.journal, None, pick)
    }
}

async fn record(State(factory): State<Factory>, request: Request, next: Next) -> Response {
    let line = format!("{} {}", request.method(), request.uri().path());
    let struck = factory.strike(|fault| match fault {
        Fault::FactoryStatus(status) => StatusCode::from_u16(*status).ok(),
        _ => None,
    });
    let response = match struck {
        Some(status) => (status, "the simulator was told to say so\n").into_response(),
        None => next.run(request).await,
    };
    let length = response.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    factory.journal.shared(Event::Factory {
        request: line,
        status: response.status().as_u16(),
        bytes: length.unwrap_or_default(),
    });
    response
}

async fn post_schematic(State(factory): State<Factory>, body: Bytes) -> Response {
    let text = String::from_utf8_lossy(&body);
    match factory.catalog.register(&text) {
        Ok(schematic) => {
            let mut id = schematic.id().to_string();
            if factory.strike(|fault| matches!(fault, Fault::FactoryOtherId).then_some(())).is_some() {
                id = id.chars().rev().collect();
            }
            json(StatusCode::CREATED, &json!({"id": id, "schematic": schematic.canonical()}))
        }
        Err(error) => {
            (StatusCode::BAD_REQUEST, format!("invalid schematic: {}\n", with_causes(&error))).into_response()
        }
    }
}

async fn get_schematic(State(factory): State<Factory>, Path(id): Path<String>) -> Response {
    match factory.catalog.schematic(&id) {
        Some(schematic) => ([(header::CONTENT_TYPE, "application/yaml")], schematic.canonical()).into_response(),
        None => refuse(&AssetError::UnknownSchematic),
    }
}

async fn versions() -> Response {
    json(StatusCode::OK, &catalog::versions().into())
}

async fn extensions(Path(version): Path<String>) -> Response {
    let version = match catalog::released(&version) {
        Ok(version) => version,
        Err(error) => return refuse(&error),
    };
    let list: Vec<_> = catalog::extensions(&version)
        .into_iter()
        .map(|(name, extension_version, description)| {
            json!({
                "name": name,
                "ref": format!("ghcr.io/{name}:{extension_version}"),
                "digest": format!("sha256:{}", hex::encode(<sha2::Sha256 as sha2::Digest>::digest(name))),
                "author": "Sidero Labs",
                "description": description,
            })
        })
        .collect();
    json(StatusCode::OK, &list.into())
}

async fn overlays(Path(version): Path<String>) -> Response {
    match catalog::released(&version) {
        Ok(_) => json(StatusCode::OK, &json!([])),
        Err(error) => refuse(&error),
    }
}

async fn image(
    State(factory): State<Factory>,
    Path((schematic, version, path)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    // Digests and signatures are for paying customers.
    if [".sha256", ".sha512", ".sigstore.json"].iter().any(|suffix| path.ends_with(suffix)) {
        return (StatusCode::PAYMENT_REQUIRED, "enterprise feature\n").into_response();
    }
    let Some((platform, arch, form)) = parse_path(&path) else {
        return (StatusCode::BAD_REQUEST, format!("invalid profile: {path}\n")).into_response();
    };
    let recipe = match factory.catalog.recipe(&schematic, &version, platform, arch) {
        Ok(recipe) => recipe,
        Err(error) => return refuse(&error),
    };
    if factory.strike(|fault| matches!(fault, Fault::FactoryHtml).then_some(())).is_some() {
        return Html("<!DOCTYPE html><html><body><h1>Sign in to the network</h1></body></html>").into_response();
    }
    let fresh = request.method() == Method::GET && !request.uri().path().starts_with("/cdn/");
    if fresh && factory.strike(|fault| matches!(fault, Fault::FactoryRedirects).then_some(())).is_some() {
        return Redirect::to(&request.uri().path().replacen("/image/", "/cdn/", 1)).into_response();
    }
    if form == Form::Cmdline {
        return recipe.cmdline.into_response();
    }
    if !factory.catalog.is_built(&recipe) {
        tokio::time::sleep(factory.build_time).await;
    }
    match factory.catalog.image(&recipe).await {
        Ok(built) => send(&factory, &built, request.method(), form, &path),
        Err(error) => refuse(&error),
    }
}

/// Which form of a disk image was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Raw,
    Xz,
    Cmdline,
}

/// Platform, architecture and form of `oracle-arm64.raw.xz`. The simulator makes only these forms.
fn parse_path(path: &str) -> Option<(&str, &str, Form)> {
    if let Some(rest) = path.strip_prefix("cmdline-") {
        let (platform, arch) = rest.rsplit_once('-')?;
        return Some((platform, arch, Form::Cmdline));
    }
    let (profile, form) = match path.strip_suffix(".raw.xz") {
        Some(profile) => (profile, Form::Xz),
        None => (path.strip_suffix(".raw")?, Form::Raw),
    };
    let (platform, arch) = profile.rsplit_once('-')?;
    ["arm64", "amd64"].contains(&arch).then_some((platform, arch, form))
}

/// A direct answer: no ETag, no Last-Modified, no ranges.
fn send(factory: &Factory, built: &Arc<Built>, method: &Method, form: Form, path: &str) -> Response {
    let length = match form {
        Form::Xz => built.xz.len() as u64,
        _ => built.image.raw_bytes,
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_LENGTH, length.into());
    let kind = if form == Form::Xz { "application/x-xz" } else { "application/octet-stream" };
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    if let Ok(value) = format!("attachment; filename=\"{path}\"").parse() {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    if method == Method::HEAD {
        return (headers, Body::empty()).into_response();
    }
    let cut = factory.strike(|fault| match fault {
        Fault::FactoryTruncates(after) => Some((*after, false)),
        Fault::FactoryStalls(after) => Some((*after, true)),
        _ => None,
    });
    (headers, body(built, form, length, cut)).into_response()
}

fn body(built: &Arc<Built>, form: Form, length: u64, cut: Option<(u64, bool)>) -> Body {
    let end = cut.map_or(length, |(after, _)| after.min(length));
    let source = Arc::clone(built);
    let chunks = stream::iter((0..end).step_by(CHUNK)).map(move |at| {
        let size = CHUNK.min((end - at) as usize);
        match form {
            Form::Xz => Ok::<_, std::io::Error>(source.xz.slice(at as usize..at as usize + size)),
            _ => Ok(source.image.read(at, size).into()),
        }
    });
    match cut {
        None => Body::from_stream(chunks),
        Some((_, true)) => Body::from_stream(chunks.chain(stream::pending())),
        Some((_, false)) => {
            // Late enough for the bytes before to leave.
            let torn = || async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
            };
            Body::from_stream(chunks.chain(stream::once(torn())))
        }
    }
}

fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn refuse(error: &AssetError) -> Response {
    let status = match error {
        AssetError::UnknownSchematic | AssetError::UnknownVersion(_) => StatusCode::NOT_FOUND,
        AssetError::UnknownExtension { .. } => StatusCode::BAD_REQUEST,
        AssetError::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, format!("{error}\n")).into_response()
}

/// Serves a router until the task is dropped.
pub async fn serve(listener: tokio::net::TcpListener, router: Router) -> Result<Infallible, std::io::Error> {
    axum::serve(listener, router).await?;
    Err(std::io::Error::other("the server ended by itself"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_platform_architecture_and_form() {
        assert_eq!(parse_path("oracle-arm64.raw.xz"), Some(("oracle", "arm64", Form::Xz)));
        assert_eq!(parse_path("digital-ocean-amd64.raw"), Some(("digital-ocean", "amd64", Form::Raw)));
        assert_eq!(parse_path("oracle-riscv.raw.xz"), None);
        assert_eq!(parse_path("oracle-arm64.raw.zst"), None);
    }
}
