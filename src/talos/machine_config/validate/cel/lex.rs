//! The words of a CEL expression.

use super::Type;

/// One word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name.
    Name(String),
    /// A literal value; only its type matters.
    Literal(Type),
    /// An operator or a bracket.
    Symbol(&'static str),
}

const SYMBOLS: [&str; 25] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")", "[", "]",
    "{", "}", ";",
];

/// Takes an expression apart.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
            continue;
        } else if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
            number(rest)?
        } else if let Some(found) = string(rest)? {
            found
        } else if first.is_ascii_alphabetic() || first == '_' {
            word(rest)
        } else {
            let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
            let symbol = symbol.ok_or_else(|| format!("token recognition error at: {first:?}"))?;
            (Token::Symbol(symbol), symbol.len())
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn word(text: &str) -> (Token, usize) {
    let length = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let token = match &text[..length] {
        "true" | "false" => Token::Literal(Type::Bool),
        "null" => Token::Literal(Type::Null),
        name => Token::Name(name.to_owned()),
    };
    (token, length)
}

fn number(text: &str) -> Result<(Token, usize), String> {
    let bytes = text.as_bytes();
    let digits = |from: usize, hex: bool| {
        let digit = |b: &u8| if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() };
        from + bytes[from..].iter().take_while(|b| digit(b)).count()
    };
    if text.starts_with("0x") || text.starts_with("0X") {
        let end = digits(2, true);
        return whole(&text[2..end], 16, text, end);
    }
    let end = digits(0, false);
    let mut float = end;
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        float = digits(end + 1, false);
    }
    if matches!(bytes.get(float), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(float + 1), Some(b'+' | b'-')));
        let exponent = digits((float + 1 + sign).min(bytes.len()), false);
        if exponent > float + 1 + sign {
            float = exponent;
        }
    }
    if float > end {
        return Ok((Token::Literal(Type::Double), float));
    }
    whole(&text[..end], 10, text, end)
}

fn whole(digits: &str, radix: u32, text: &str, end: usize) -> Result<(Token, usize), String> {
    let unsigned = text[end..].starts_with(['u', 'U']);
    let value = u64::from_str_radix(digits, radix).map_err(|_| "invalid number literal")?;
    // The one number beyond belongs to a minus sign in front of it.
    if !unsigned && value > 1 << 63 {
        return Err("invalid int literal".into());
    }
    let ty = if unsigned { Type::Uint } else { Type::Int };
    Ok((Token::Literal(ty), end + usize::from(unsigned)))
}

/// A string or bytes literal, if one starts here.
fn string(text: &str) -> Result<Option<(Token, usize)>, String> {
    let prefix = text.find(|c: char| !"rRbB".contains(c)).unwrap_or(text.len());
    let body = &text[prefix..];
    if prefix > 2 || !body.starts_with(['"', '\'']) {
        return Ok(None);
    }
    let raw = text[..prefix].contains(['r', 'R']);
    let ty = if text[..prefix].contains(['b', 'B']) { Type::Bytes } else { Type::String };
    let quote = [r#"""""#, "'''", "\"", "'"].into_iter().find(|quote| body.starts_with(quote)).unwrap_or("\"");
    let mut at = quote.len();
    while let Some(c) = body[at..].chars().next() {
        if body[at..].starts_with(quote) {
            return Ok(Some((Token::Literal(ty), prefix + at + quote.len())));
        }
        if c == '\n' && quote.len() == 1 {
            break;
        }
        at += c.len_utf8();
        if c == '\\' && !raw {
            at += escape(&body[at..])?;
        }
    }
    Err("unterminated string literal".into())
}

/// The length of an escape after its backslash.
fn escape(text: &str) -> Result<usize, String> {
    let digits = |from: usize, count: usize, radix: u32| {
        let digits = text.get(from..from + count).filter(|text| text.chars().all(|c| c.is_digit(radix)));
        digits.map(|_| from + count)
    };
    let length = match text.chars().next() {
        Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' | '?' | '"' | '\'' | '`') => Some(1),
        Some('x' | 'X') => digits(1, 2, 16),
        Some('u') => digits(1, 4, 16),
        Some('U') => digits(1, 8, 16),
        Some('0'..='3') => digits(0, 3, 8),
        _ => None,
    };
    length.ok_or_else(|| "invalid escape in a string literal".into())
}
