//! Panics, told to the user instead of killing the process.

use std::{
    any::Any,
    backtrace::Backtrace,
    cell::RefCell,
    io::Write,
    panic::{self, AssertUnwindSafe, PanicHookInfo},
};

use futures_util::FutureExt;

use super::diagnostic::Diagnostic;

tokio::task_local! {
    /// Where the guarded work panicked: the hook knows it, and the one who catches the panic does not.
    static PLACE: RefCell<Option<String>>;
}

/// Runs work; a panic in it becomes a diagnostic.
pub async fn guard<T>(work: impl Future<Output = T>) -> Result<T, Diagnostic> {
    let guarded = async {
        let caught = AssertUnwindSafe(work).catch_unwind().await;
        caught.map_err(|payload| diagnostic(&*payload, PLACE.with(RefCell::take)))
    };
    PLACE.scope(RefCell::default(), guarded).await
}

/// Logs panics instead of printing them raw, as the host would log every line of them as a message of its own.
pub fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let _ = PLACE.try_with(|place| place.replace(place_of(info)));
        if tokio::task::try_id().is_some() {
            let backtrace = Backtrace::capture();
            tracing::error!(place = place_of(info), %backtrace, "panic: {}", message(info.payload()));
        } else {
            // Nobody catches this one. The host shows lines that start so even when logs are off, as a crash report.
            let place = place_of(info).unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "panic: {}\n\n{place}", message(info.payload()));
        }
    }));
}

fn diagnostic(payload: &(dyn Any + Send), place: Option<String>) -> Diagnostic {
    let at = place.map(|place| format!(" at {place}")).unwrap_or_default();
    let message = message(payload);
    let detail =
        format!("This is a defect of the provider, please report it: {message}{at}.\n\nThe state stays as it was.");
    Diagnostic::error("The provider crashed", detail)
}

fn place_of(info: &PanicHookInfo<'_>) -> Option<String> {
    info.location().map(ToString::to_string)
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("panic without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_with_its_message() {
        assert_eq!(guard(async { 7 }).await, Ok(7));
        for (told, expected) in [
            (guard(async { panic!("number {}", 7) }).await, "number 7"),
            (guard(async { panic!("plain") }).await, "plain"),
            (guard(async { panic::panic_any(7) }).await, "panic without a message"),
        ] {
            let told: Result<(), _> = told;
            let told = told.unwrap_err();
            assert_eq!(told.summary, "The provider crashed");
            assert!(told.detail.contains(expected), "{}", told.detail);
        }
    }
}
