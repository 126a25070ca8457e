//! `output` of `talosoci_image`: a file that is part of the resource.

use std::path::PathBuf;

use url::Url;

use crate::client::cache::Wanted;
use crate::client::file::{self, Content, Removal};
use crate::node::finding::Findings;
use crate::provider::diagnostics;
use crate::provider::image::model::Image;
use crate::provision::Places;
use crate::provision::journal::Journal;
use crate::provision::output::{self, Form, Output, OutputError};
use crate::tfplugin::diagnostic::{Diagnostic, Diagnostics};
use crate::tfplugin::path::Path;
use crate::tfplugin::provider::Context;
use crate::tfplugin::value::Value;

/// Attributes of the resource that decide what is in the file, beside `format`.
const INGREDIENTS: [&str; 2] = ["url", "sha256"];

/// A file that an apply wrote.
struct Written {
    path: PathBuf,
    sha256: String,
}

/// Judges the block.
pub fn judge(config: &Value, findings: &mut Findings) {
    let output = config.get("output");
    if output.get("path").as_str() == Some("") {
        findings.error("image-output", "output.path", "the path is empty", "write the path of a file");
    }
    if let (Some("oci"), Some(platform)) = (output.get("format").as_str(), config.get("platform").as_str())
        && platform != "oracle"
    {
        findings.error(
            "image-output",
            "output.format",
            format!("Oracle Cloud would import an image of platform {platform:?}"),
            "leave platform at \"oracle\", or write format = \"raw.xz\"",
        );
    }
}

/// Keeps what is known of the file while nothing changes that is in it.
pub fn promise(prior: &Value, planned: &mut Value) {
    let output = planned.get("output");
    if output.as_map().is_none() {
        return;
    }
    let same = |before: &Value, after: &Value| before.is_wholly_known() && before == after;
    let before = prior.get("output");
    let kept = written(before).is_some()
        && INGREDIENTS.iter().all(|name| same(prior.get(name), planned.get(name)))
        && ["path", "format"].iter().all(|name| same(before.get(name), output.get(name)));
    let known = |name| if kept { before.get(name).clone() } else { Value::Unknown };
    let output = output.clone().with("sha256", known("sha256")).with("size", known("size"));
    planned.set("output", output);
}

/// Compares the file with what was written. A file that is gone or was changed is no longer part of the state, so that the
/// next plan writes it again, and so that nobody removes what somebody else put there.
pub async fn refresh(state: &mut Value) -> Diagnostics {
    let mut told = Diagnostics::new();
    let Some(Written { path, sha256 }) = written(state.get("output")) else { return told };
    match blocking(move || file::look(&path)).await {
        Some(Ok(Some(content))) if content.sha256 == sha256 => {}
        Some(Ok(_)) => state.set("output", Value::Null),
        Some(Err(error)) => told.push(
            Diagnostic::warning(
                "Output Not Refreshed",
                format!(
                    "The state was kept, since the file could not be read: {}.",
                    crate::provision::error::chain(&error)
                ),
            )
            .at(Path::root().attribute("output")),
        ),
        None => {}
    }
    told
}

/// Writes the file if the plan left its digest open, and then removes the one that it takes the place of.
pub async fn realise(
    ctx: &Context,
    places: &Places,
    image: &Image,
    url: &Url,
    prior: &Value,
    state: &mut Value,
) -> Result<Diagnostics, OutputError> {
    let block = state.get("output");
    if let (Some(path), true) = (block.get("path").as_str(), block.get("sha256").is_unknown()) {
        let output = Output { path: path.into(), form: form(image, block) };
        let pinned = state.get("sha256").as_str();
        let wanted = Wanted { factory: &places.factory, url, pinned };
        let name = output.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let journal = Journal::open(places.journal.as_deref(), &name);
        let Content { size, sha256 } = output::write(places, wanted, output, &journal, &ctx.stop).await?;
        // No file has more bytes than an i64 counts.
        let block = block.clone().with("sha256", sha256).with("size", i64::try_from(size).unwrap_or(i64::MAX));
        state.set("output", block);
    }
    let before = prior.get("output");
    if before.get("path") == state.get("output").get("path") {
        return Ok(Diagnostics::new());
    }
    Ok(remove(before).await)
}

/// Removes the file, unless it is not what was written.
pub async fn remove(block: &Value) -> Diagnostics {
    let mut told = Diagnostics::new();
    let Some(Written { path, sha256 }) = written(block) else { return told };
    let shown = path.display().to_string();
    let kept = match blocking(move || file::remove(&path, &sha256)).await {
        Some(Ok(Removal::Gone)) | None => return told,
        Some(Ok(Removal::Kept)) => format!("{shown} is not what was written there, so it was left alone."),
        Some(Err(error)) => format!("The file could not be removed: {}.", crate::provision::error::chain(&error)),
    };
    told.push(Diagnostic::warning("Output Left Behind", kept));
    told
}

/// What to say of an output that was not written.
pub fn failed(error: &OutputError) -> Diagnostic {
    match error {
        OutputError::Stopped => Diagnostic::error("Stopped", "Stopped on request; no file was written. Apply again."),
        error => diagnostics::error("Output Not Written", error, &error.hints()).at(Path::root().attribute("output")),
    }
}

fn form(image: &Image, block: &Value) -> Form {
    match block.get("format").as_str() {
        Some("oci") => Form::Archive { disk: image.disk_name(), metadata: image.oracle_metadata() },
        _ => Form::Compressed,
    }
}

fn written(block: &Value) -> Option<Written> {
    let path = block.get("path").as_str()?.into();
    let sha256 = block.get("sha256").as_str()?.to_owned();
    Some(Written { path, sha256 })
}

/// Hashing 125 MB is no work for the reactor. `None` when the program is shutting down.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
