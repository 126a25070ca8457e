//! Logs as the host reads them: one hclog JSON object a line on stderr.

use std::{collections::BTreeMap, fmt, io::Write};

use serde_json::{Map, Value as Json};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// Starts logging, if the environment asks for it (`TF_LOG_PROVIDER`, else `TF_LOG`).
///
/// Only this crate's own events are written: what libraries log could hold secrets, and users paste logs.
pub fn start(module: &'static str, env: impl Fn(&str) -> Option<String>) {
    let Some(level) = level(env) else { return };
    let own = env!("CARGO_CRATE_NAME");
    let filter = Targets::new().with_target(own, level);
    // Fails only if there is a subscriber already, as in a test: then that one is right.
    let _ = tracing_subscriber::registry().with(Hclog { module, write: to_stderr }.with_filter(filter)).try_init();
}

/// The level as Terraform understands it: `JSON` and what is no level mean trace; nothing and `OFF` mean no logs.
fn level(env: impl Fn(&str) -> Option<String>) -> Option<LevelFilter> {
    let set = |name| env(name).filter(|value| !value.is_empty());
    match set("TF_LOG_PROVIDER").or_else(|| set("TF_LOG"))?.to_ascii_uppercase().as_str() {
        "OFF" => None,
        "ERROR" => Some(LevelFilter::ERROR),
        "WARN" => Some(LevelFilter::WARN),
        "INFO" => Some(LevelFilter::INFO),
        "DEBUG" => Some(LevelFilter::DEBUG),
        _ => Some(LevelFilter::TRACE),
    }
}

struct Hclog<W> {
    module: &'static str,
    write: W,
}

impl<S, W> Layer<S> for Hclog<W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in ctx.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.0.extend(of_span.0.clone());
            }
        }
        event.record(&mut fields);
        let line = line(self.module, *event.metadata().level(), OffsetDateTime::now_utc(), fields);
        (self.write)(&line);
    }
}

/// The host asserts that level, message and time are JSON strings, and shows a line with another time format raw.
fn line(module: &str, level: Level, now: OffsetDateTime, mut fields: Fields) -> String {
    let message = fields.0.remove("message").unwrap_or_default();
    let mut object = Map::new();
    object.insert("@level".into(), level.as_str().to_ascii_lowercase().into());
    object.insert("@message".into(), message.as_str().map_or_else(|| message.to_string(), str::to_owned).into());
    object.insert("@module".into(), module.into());
    object.insert("@timestamp".into(), now.format(TIME).unwrap_or_default().into());
    object.extend(fields.0);
    format!("{}\n", Json::Object(object))
}

fn to_stderr(line: &str) {
    // One write a line, so that lines of several threads do not mix. Without stderr there is nobody to tell.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

#[derive(Default)]
struct Fields(BTreeMap<String, Json>);

impl Fields {
    fn text(&mut self, field: &Field, text: &str) {
        let end = text.floor_char_boundary(MAX_TEXT);
        let cut = if end < text.len() { "…" } else { "" };
        self.0.insert(field.name().to_owned(), format!("{}{cut}", &text[..end]).into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

/// The host cuts lines at 64 KiB, which makes them unreadable.
const MAX_TEXT: usize = 16 * 1024;

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_level_is_read_as_terraform_reads_it() {
        for (provider, all, expected) in [
            (None, None, None),
            (None, Some("info"), Some(LevelFilter::INFO)),
            (Some("WARN"), Some("TRACE"), Some(LevelFilter::WARN)),
            (Some("off"), Some("TRACE"), None),
            (Some(""), Some("ERROR"), Some(LevelFilter::ERROR)),
            (None, Some("JSON"), Some(LevelFilter::TRACE)),
            (None, Some("yes"), Some(LevelFilter::TRACE)),
        ] {
            let env = |name: &str| if name == "TF_LOG" { all } else { provider }.map(str::to_owned);
            assert_eq!(level(env), expected, "{provider:?} {all:?}");
        }
    }

    #[test]
    fn a_line_has_what_the_host_insists_on() {
        let fields = Fields(BTreeMap::from([("message".into(), "hello".into()), ("disk".into(), "/dev/sda".into())]));
        let line = line("provider", Level::WARN, datetime!(2026-11-22 10:00:00.0425 UTC), fields);
        let expected = r#"{"@level":"warn","@message":"hello","@module":"provider","@timestamp":"2026-11-22T10:00:00.042500Z","disk":"/dev/sda"}"#;
        assert_eq!(line, format!("{expected}\n"));
    }

    #[test]
    fn an_event_carries_the_fields_of_its_spans_and_long_text_is_cut() {
        let lines = Arc::new(Mutex::new(Vec::<Json>::new()));
        let sink = lines.clone();
        let write = move |line: &str| sink.lock().unwrap().push(serde_json::from_str(line).unwrap());
        let subscriber = tracing_subscriber::registry().with(Hclog { module: "provider", write });
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("call", tf_rpc = "ReadResource").entered();
            tracing::info!(bytes = 7, ok = true, long = "é".repeat(MAX_TEXT), "done {}", 1);
        });
        let lines = lines.lock().unwrap();
        assert_eq!(lines[0]["@message"], "done 1");
        assert_eq!(lines[0]["tf_rpc"], "ReadResource");
        assert_eq!(lines[0]["bytes"], 7);
        assert_eq!(lines[0]["ok"], true);
        assert!(lines[0]["long"].as_str().unwrap().len() < MAX_TEXT + 8);
    }
}
