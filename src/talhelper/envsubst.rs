//! `$VAR` and `${VAR:-default}` in a text, by the rules of a8m/envsubst as talhelper calls it:
//! an unset or empty variable is an error, `$$` is one dollar sign.

use std::collections::BTreeMap;
use std::fmt;

/// Variables by name.
pub type Variables = BTreeMap<String, String>;

/// A text with its variables put in.
#[derive(Clone, PartialEq, Eq)]
pub struct Substituted {
    /// The new text.
    pub text: String,
    /// For each of its lines, counted from 0, the line of the old text, counted from 1.
    lines: Vec<usize>,
}

impl Substituted {
    /// The line of the text before, for a line of the text after; both counted from 1.
    pub fn line_before(&self, line: usize) -> usize {
        let known = line.checked_sub(1).and_then(|at| self.lines.get(at));
        known.or(self.lines.last()).copied().unwrap_or(line)
    }
}

impl fmt::Debug for Substituted {
    /// The text may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Substituted({} lines)", self.lines.len())
    }
}

/// Why a text cannot be completed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct EnvsubstError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a variable. The words are those of a8m/envsubst.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nobody gave it a value.
    #[error("variable ${{{0}}} not set")]
    NotSet(String),
    /// It has a value, which is "".
    #[error("variable ${{{0}}} set but empty")]
    Empty(String),
    /// `${` without its `}` on the same line.
    #[error("closing brace expected")]
    Unclosed,
    /// `${A:-$B and more}`
    #[error("the default of ${{{0}}} must be one variable or plain text")]
    Default(String),
}

/// What becomes of Talos' own `$patch:` keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directives {
    /// They stay. talhelper wants them written `$$patch`, which works too.
    Keep,
    /// `$patch` is a variable like any other, as for talhelper.
    Substitute,
}

/// Puts the variables in.
///
/// # Errors
/// The first variable that is unset or empty, or broken notation.
pub fn substitute(text: &str, variables: &Variables, directives: Directives) -> Result<Substituted, EnvsubstError> {
    let mut scan = Scan { rest: text, line: 1, out: String::with_capacity(text.len()), lines: vec![1], variables };
    while let Some(at) = scan.rest.find('$') {
        scan.copy(at);
        scan.dollar(directives)?;
    }
    scan.copy(scan.rest.len());
    Ok(Substituted { text: scan.out, lines: scan.lines })
}

struct Scan<'a> {
    rest: &'a str,
    line: usize,
    out: String,
    lines: Vec<usize>,
    variables: &'a Variables,
}

impl Scan<'_> {
    /// At a `$`.
    fn dollar(&mut self, directives: Directives) -> Result<(), EnvsubstError> {
        let after = &self.rest[1..];
        if after.starts_with('$') {
            self.skip(1);
            self.copy(1);
        } else if let Some(body) = after.strip_prefix('{') {
            let end = body.find(['}', '\n', '\r']).filter(|at| body[*at..].starts_with('}'));
            let end = end.ok_or_else(|| self.error(Problem::Unclosed))?;
            let value = self.braced(&body[..end])?;
            self.push(&value);
            self.skip("${".len() + end + "}".len());
        } else {
            let name = name_at(after);
            if name.is_empty() || name == "_" || (directives == Directives::Keep && is_directive(after)) {
                self.copy(1 + name.len());
            } else {
                let value = self.value(name)?;
                self.push(&value);
                self.skip(1 + name.len());
            }
        }
        Ok(())
    }

    /// The inside of `${…}`.
    fn braced(&self, body: &str) -> Result<String, EnvsubstError> {
        let name = name_at(body);
        if name.is_empty() {
            return Err(self.error(Problem::NotSet(body.trim_end().into())));
        }
        let set = self.variables.get(name);
        let operators = [":-", ":=", ":+", "-", "=", "+"];
        let operation = operators.iter().find_map(|operator| {
            let default = body[name.len()..].strip_prefix(operator)?;
            (!default.is_empty()).then_some((*operator, default))
        });
        // Without an operator, what stands behind the name is passed over.
        let Some((operator, default)) = operation else {
            return self.value(name);
        };
        match (operator, set.map(String::as_str)) {
            (":-" | ":=", Some(value)) if !value.is_empty() => Ok(value.to_owned()),
            (":-" | ":=", _) => self.default(name, default),
            (":+" | "+", Some(_)) => self.default(name, default),
            (":+" | "+", None) => Ok(String::new()),
            (_, None) => self.default(name, default),
            (_, Some(_)) => self.value(name),
        }
    }

    fn default(&self, name: &str, default: &str) -> Result<String, EnvsubstError> {
        let Some(variable) = default.strip_prefix('$') else {
            return Ok(default.to_owned());
        };
        match name_at(variable) {
            whole if whole.len() == variable.len() => self.value(variable),
            "" => Err(self.error(Problem::NotSet(variable.into()))),
            _ => Err(self.error(Problem::Default(name.into()))),
        }
    }

    fn value(&self, name: &str) -> Result<String, EnvsubstError> {
        match self.variables.get(name).map(String::as_str) {
            None => Err(self.error(Problem::NotSet(name.into()))),
            Some("") => Err(self.error(Problem::Empty(name.into()))),
            Some(value) => Ok(value.to_owned()),
        }
    }

    /// Copies text over, counting its lines.
    fn copy(&mut self, length: usize) {
        let (text, rest) = self.rest.split_at(length);
        for _ in text.matches('\n') {
            self.line += 1;
            self.lines.push(self.line);
        }
        self.out.push_str(text);
        self.rest = rest;
    }

    /// Puts a value in; its lines all belong to the line of the variable.
    fn push(&mut self, value: &str) {
        let line = self.line;
        self.lines.extend(value.matches('\n').map(|_| line));
        self.out.push_str(value);
    }

    fn skip(&mut self, length: usize) {
        self.rest = &self.rest[length..];
    }

    fn error(&self, problem: Problem) -> EnvsubstError {
        EnvsubstError { line: self.line, problem }
    }
}

fn name_at(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    &text[..end.unwrap_or(text.len())]
}

/// `patch:` as a key, perhaps with a closing quote before the colon.
fn is_directive(after_dollar: &str) -> bool {
    after_dollar.strip_prefix("patch").is_some_and(|rest| {
        let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest);
        rest.trim_start_matches([' ', '\t']).starts_with(':')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        [("A", "1"), ("B", "bee"), ("E", "")].map(|(name, value)| (name.into(), value.into())).into()
    }

    /// `"in" -> "out" err=<nil>` lines of the golden file, before its second part.
    #[test]
    fn the_real_program_gives_the_same() {
        let golden = include_str!("../../tests/golden/talhelper/envsubst-and-dotenv.txt");
        let (cases, _) = golden.split_once("--- dotenv").unwrap();
        let mut count = 0;
        for line in cases.lines() {
            let (input, rest) = line.split_once(" -> ").unwrap();
            let (output, error) = rest.split_once(" err=").unwrap();
            let text = |quoted: &str| serde_json::from_str::<String>(quoted.trim()).unwrap();
            let wanted = match error {
                "<nil>" => Ok(text(output)),
                error => Err(error.to_owned()),
            };
            let got = substitute(&text(input), &variables(), Directives::Substitute);
            let got = got.map(|done| done.text).map_err(|error| error.to_string());
            assert_eq!(got, wanted, "{input}");
            count += 1;
        }
        assert_eq!(count, 40);
    }

    #[test]
    fn patch_directives_stay_unless_they_are_meant_as_variables() {
        let kept = |text: &str| substitute(text, &variables(), Directives::Keep).map(|done| done.text);
        for text in ["$patch: delete", "{\"$patch\": delete}", "'$patch' : delete", "a:\n  $patch: delete\n"] {
            assert_eq!(kept(text).unwrap(), text);
        }
        assert_eq!(kept("$$patch: delete").unwrap(), "$patch: delete");
        assert!(kept("x: $patch").is_err());
        assert!(kept("$patches: x").is_err());
    }

    #[test]
    fn lines_are_traced_back_through_values_of_many_lines() {
        let mut variables = variables();
        variables.insert("M".into(), "x\ny\nz".into());
        let done = substitute("a: 1\nb: $M\nc: $A\n", &variables, Directives::Keep).unwrap();
        assert_eq!(done.text, "a: 1\nb: x\ny\nz\nc: 1\n");
        let traced: Vec<_> = (1..=6).map(|line| done.line_before(line)).collect();
        assert_eq!(traced, [1, 2, 2, 2, 3, 4]);
        let error = substitute("a: 1\n\nb: ${N}\n", &variables, Directives::Keep).unwrap_err();
        assert_eq!(error.line, 3);
    }

    #[test]
    fn a_default_of_variable_and_text_is_refused_instead_of_losing_half_of_it() {
        let error = substitute("${U:-$B and}", &variables(), Directives::Keep).unwrap_err();
        assert_eq!(error.problem, Problem::Default("U".into()));
        let literal = substitute("${U:-a$B}", &variables(), Directives::Keep).unwrap();
        assert_eq!(literal.text, "a$B");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[$\\{\\}:=+A-C_ \\n-]{0,30}") {
            let _ = substitute(&text, &variables(), Directives::Keep);
        }
    }
}
