//! An error with its sources, as one line.

use std::error::Error;

/// The error and its sources, outermost first, with colons between them.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("reading the file")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn the_outermost_error_comes_first() {
        assert_eq!(chain(&Outer(std::io::Error::other("no such file"))), "reading the file: no such file");
    }
}
