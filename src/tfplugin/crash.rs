//! Panics, told to the user instead of killing the process.

use std::{any::Any, backtrace::Backtrace, cell::RefCell, panic};

use super::diagnostic::Diagnostic;

thread_local! {
    /// Where the thread panicked last; the hook knows it and the one who catches the panic does not.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Logs panics instead of printing them raw (the host would log every line of them as its own message).
///
/// Lines that start with `panic: ` would make the host print a crash report, so there is none.
pub fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        let backtrace = Backtrace::capture();
        tracing::error!(place = place.as_deref().unwrap_or("?"), %backtrace, "{}", message(info.payload()));
        PLACE.with_borrow_mut(|last| *last = place);
    }));
}

/// The diagnostic for a caught panic; call it on the thread that panicked.
pub fn diagnostic(payload: Box<dyn Any + Send>) -> Diagnostic {
    let place = PLACE
        .with_borrow_mut(Option::take)
        .map(|place| format!(" at {place}"))
        .unwrap_or_default();
    let detail = format!(
        "This is a defect of the provider, please report it: {}{place}.\n\nThe state stays as it was.",
        message(&*payload)
    );
    Diagnostic::error("The provider crashed", detail)
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("panic without a message")
}
