//! URLs as Go's `net/url` takes them apart: it accepts far more than the URL standard does.

/// The parts of a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Url {
    /// Lower case, without the colon.
    pub(crate) scheme: String,
    /// What follows the colon when there is no slash.
    pub(crate) opaque: String,
    /// User and password as written.
    pub(crate) user: Option<String>,
    /// Host with port, brackets kept.
    pub(crate) host: String,
    /// The path as written.
    pub(crate) path: String,
    /// What follows the question mark.
    pub(crate) query: Option<String>,
    /// What follows the hash.
    pub(crate) fragment: String,
}

impl Url {
    /// Takes a URL apart, or says why it cannot be one.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
            return Err("invalid control character in URL");
        }
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        let mut url = Self { fragment: fragment.to_owned(), ..Self::default() };
        if text == "*" {
            url.path = "*".into();
            return Ok(url);
        }
        let rest = url.take_scheme(text)?;
        let rest = match rest.split_once('?') {
            Some((rest, query)) => {
                url.query = Some(query.to_owned());
                rest
            }
            None => rest,
        };
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_owned();
                return Ok(url);
            }
            if rest.split('/').next().is_some_and(|first| first.contains(':')) {
                return Err("first path segment in URL cannot contain colon");
            }
        }
        url.take_authority(rest)?;
        check_escapes(&url.path)?;
        check_escapes(&url.fragment)?;
        Ok(url)
    }

    /// The host without port and brackets.
    pub(crate) fn hostname(&self) -> &str {
        let host = self.without_port();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The port's text; empty when there is none.
    pub(crate) fn port(&self) -> &str {
        self.host[self.without_port().len()..].strip_prefix(':').unwrap_or("")
    }

    /// This URL with the parts of another laid over it, as a strategic merge does it: an absent part of the
    /// other keeps what is here.
    pub(crate) fn overlaid(&self, other: &Self) -> Self {
        let pick = |left: &str, right: &str| if right.is_empty() { left.to_owned() } else { right.to_owned() };
        Self {
            scheme: pick(&self.scheme, &other.scheme),
            opaque: pick(&self.opaque, &other.opaque),
            user: other.user.clone().or_else(|| self.user.clone()),
            host: pick(&self.host, &other.host),
            path: pick(&self.path, &other.path),
            query: match (&self.query, &other.query) {
                (left, Some(right)) if right.is_empty() => Some(left.clone().unwrap_or_default()),
                (_, Some(right)) => Some(right.clone()),
                // A bare question mark is a boolean, which a merge always takes from the other.
                (Some(left), None) if left.is_empty() => None,
                (left, None) => left.clone(),
            },
            fragment: pick(&self.fragment, &other.fragment),
        }
    }

    fn take_scheme<'a>(&mut self, text: &'a str) -> Result<&'a str, &'static str> {
        for (index, c) in text.char_indices() {
            match c {
                'a'..='z' | 'A'..='Z' => {}
                '0'..='9' | '+' | '-' | '.' if index > 0 => {}
                ':' if index == 0 => return Err("missing protocol scheme"),
                ':' => {
                    self.scheme = text[..index].to_ascii_lowercase();
                    return Ok(&text[index + 1..]);
                }
                _ => break,
            }
        }
        Ok(text)
    }

    fn take_authority(&mut self, rest: &str) -> Result<(), &'static str> {
        let authority = match rest.strip_prefix("//") {
            Some(after) if !self.scheme.is_empty() || !rest.starts_with("///") => after,
            _ => {
                self.path = rest.to_owned();
                return Ok(());
            }
        };
        let (authority, path) = authority.split_at(authority.find('/').unwrap_or(authority.len()));
        self.path = path.to_owned();
        let host = match authority.rsplit_once('@') {
            Some((user, host)) => {
                if !user.chars().all(|c| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c)) {
                    return Err("invalid userinfo");
                }
                check_escapes(user)?;
                self.user = Some(user.to_owned());
                host
            }
            None => authority,
        };
        check_host(host)?;
        self.host = host.to_owned();
        Ok(())
    }

    fn without_port(&self) -> &str {
        match self.host.rfind(':') {
            Some(colon) if valid_port(&self.host[colon..]) && !self.host[colon..].contains(']') => {
                // A bare IPv6 address has colons, but no port unless in brackets.
                &self.host[..colon]
            }
            _ => &self.host,
        }
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.scheme.is_empty() {
            write!(f, "{}:", self.scheme)?;
        }
        if !self.opaque.is_empty() {
            f.write_str(&self.opaque)?;
        } else {
            if !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some() {
                if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                    f.write_str("//")?;
                }
                if let Some(user) = &self.user {
                    write!(f, "{user}@")?;
                }
                f.write_str(&self.host)?;
            }
            if !self.path.is_empty() && !self.path.starts_with('/') && !self.host.is_empty() {
                f.write_str("/")?;
            }
            f.write_str(&self.path)?;
        }
        if let Some(query) = &self.query {
            write!(f, "?{query}")?;
        }
        if !self.fragment.is_empty() {
            write!(f, "#{}", self.fragment)?;
        }
        Ok(())
    }
}

fn check_host(host: &str) -> Result<(), &'static str> {
    if let Some(inner) = host.strip_prefix('[') {
        let Some(end) = inner.rfind(']') else { return Err("missing ']' in host") };
        return if valid_port(&inner[end + 1..]) { Ok(()) } else { Err("invalid port after host") };
    }
    if let Some(colon) = host.rfind(':')
        && !valid_port(&host[colon..])
    {
        return Err("invalid port after host");
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii() || "-._~!$&'()*+,;=:[]<>\"%".contains(c);
    if !host.chars().all(allowed) {
        return Err("invalid character in host name");
    }
    check_host_escapes(host)
}

/// `:` and digits, or nothing.
fn valid_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

fn check_escapes(text: &str) -> Result<(), &'static str> {
    let mut rest = text;
    while let Some(percent) = rest.find('%') {
        let digits = rest.as_bytes().get(percent + 1..percent + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err("invalid URL escape");
        }
        rest = &rest[percent + 3..];
    }
    Ok(())
}

/// In a host only bytes beyond ASCII may be escaped.
fn check_host_escapes(host: &str) -> Result<(), &'static str> {
    check_escapes(host)?;
    let mut rest = host;
    while let Some(percent) = rest.find('%') {
        if !matches!(rest.as_bytes().get(percent + 1), Some(b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F')) {
            return Err("invalid URL escape in host");
        }
        rest = &rest[percent + 1..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_put_together() {
        for text in [
            "https://192.168.1.50:6443",
            "https://[fd00::1]:6443/x?a=b#c",
            "http://u:p@h/",
            "mailto:x@y",
            "/path",
            "host",
            "",
            "https://h?",
        ] {
            assert_eq!(Url::parse(text).map(|url| url.to_string()).as_deref(), Ok(text), "{text}");
        }
        let url = Url::parse("HTTPS://[fd00::1]:6443/x").expect("a URL");
        assert_eq!((url.scheme.as_str(), url.hostname(), url.port()), ("https", "fd00::1", "6443"));
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in ["1.2.3.4:6443", "https://h:port", "https://a b", ":x", "https://[::1", "http://h/%zz", "a\u{1}b"] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_overlaid_url_keeps_what_the_other_lacks() {
        let left = Url::parse("https://a:6443/x").expect("a URL");
        let right = Url::parse("https://b:6443").expect("a URL");
        assert_eq!(left.overlaid(&right).to_string(), "https://b:6443/x");
    }
}
