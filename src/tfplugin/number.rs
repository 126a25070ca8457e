//! Numbers as Terraform has them: of any size, decimal or binary, compared by what they are.

use std::fmt;

/// An exact number; two numbers are equal when they are the same number, however they were written.
///
/// Terraform calculates with 512-bit floats, so neither `i64` nor `f64` holds all of it: `0.1` of a configuration is not
/// the `f64` 0.1, and an answer that rounds is refused as inconsistent.
#[derive(Clone, PartialEq)]
pub struct Number(Repr);

/// Each number has exactly one representation: the first that holds it. So `==` may be derived.
#[derive(Clone, PartialEq)]
enum Repr {
    Int(i64),
    /// Above `i64::MAX`.
    Uint(u64),
    /// Exactly this binary fraction (or a large multiple of a power of two, or an infinity); never NaN.
    Float(f64),
    /// What no `f64` is exactly.
    Decimal(Decimal),
}

/// `digits` x 10^`exponent`; no leading or trailing zeros, not empty.
#[derive(Clone, PartialEq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

/// The forms in which a number travels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Encoding {
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(String),
}

impl Number {
    /// Reads decimal notation: `12`, `-1.5`, `1e30`. `None` when it is not a number.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "inf" | "+Inf" | "Inf" => return Self::from_exact_f64(f64::INFINITY),
            "-inf" | "-Inf" => return Self::from_exact_f64(f64::NEG_INFINITY),
            _ => {}
        }
        let decimal = match Decimal::parse(text)? {
            Some(decimal) => decimal,
            None => return Some(Self(Repr::Int(0))),
        };
        if let Some(text) = decimal.integer_text() {
            if let Ok(int) = text.parse() {
                return Some(Self(Repr::Int(int)));
            }
            if let Ok(uint) = text.parse() {
                return Some(Self(Repr::Uint(uint)));
            }
        }
        if let Some(float) = decimal.exact_f64() {
            return Some(Self(Repr::Float(float)));
        }
        Some(Self(Repr::Decimal(decimal)))
    }

    /// The number that this binary float is to the last bit; `None` for NaN.
    pub fn from_exact_f64(float: f64) -> Option<Self> {
        if float.is_nan() {
            return None;
        }
        if float.fract() == 0.0 && (-9.2e18..=9.2e18).contains(&float) {
            return Some(Self(Repr::Int(float as i64)));
        }
        if float.fract() == 0.0 && float.abs() < 1e20 {
            return Self::parse(&format!("{float:.0}"));
        }
        Some(Self(Repr::Float(float)))
    }

    /// The value, if it is a whole number in range.
    pub fn as_i64(&self) -> Option<i64> {
        match self.0 {
            Repr::Int(int) => Some(int),
            _ => None,
        }
    }

    /// The value, if it is a whole number in range.
    pub fn as_u64(&self) -> Option<u64> {
        match self.0 {
            Repr::Int(int) => u64::try_from(int).ok(),
            Repr::Uint(uint) => Some(uint),
            _ => None,
        }
    }

    /// The nearest `f64`.
    pub fn as_f64(&self) -> f64 {
        match &self.0 {
            Repr::Int(int) => *int as f64,
            Repr::Uint(uint) => *uint as f64,
            Repr::Float(float) => *float,
            // A decimal is always valid float notation; NaN would only show a defect here.
            Repr::Decimal(decimal) => decimal.scientific().parse().unwrap_or(f64::NAN),
        }
    }

    pub(crate) fn encoding(&self) -> Encoding {
        match &self.0 {
            Repr::Int(int) => Encoding::Int(*int),
            Repr::Uint(uint) => Encoding::Uint(*uint),
            Repr::Float(float) => Encoding::Float(*float),
            Repr::Decimal(decimal) => Encoding::Text(decimal.to_string()),
        }
    }
}

impl Decimal {
    /// Outer `None`: not a number. Inner `None`: zero.
    fn parse(text: &str) -> Option<Option<Self>> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let mut exponent = i64::from(exponent) - i64::try_from(fraction.len()).ok()?;
        let significant = digits.trim_start_matches('0');
        let trimmed = significant.trim_end_matches('0');
        if trimmed.is_empty() {
            return Some(None);
        }
        exponent += i64::try_from(significant.len() - trimmed.len()).ok()?;
        Some(Some(Self {
            negative,
            digits: trimmed.to_owned(),
            exponent,
        }))
    }

    fn sign(&self) -> &'static str {
        if self.negative { "-" } else { "" }
    }

    /// Whole-number notation, when it is one that could fit 64 bits.
    fn integer_text(&self) -> Option<String> {
        let zeros = usize::try_from(self.exponent).ok()?;
        (self.digits.len() + zeros <= 20)
            .then(|| format!("{}{}{}", self.sign(), self.digits, "0".repeat(zeros)))
    }

    fn scientific(&self) -> String {
        format!("{}{}e{}", self.sign(), self.digits, self.exponent)
    }

    /// The `f64` that is exactly this number, if there is one.
    fn exact_f64(&self) -> Option<f64> {
        let float: f64 = self.scientific().parse().ok()?;
        if !float.is_finite() || float == 0.0 {
            return None;
        }
        // An f64 has at most 1074 binary, hence decimal, places; printing that many is exact.
        let same = Self::parse(&format!("{float:.1074}"))??;
        (same == *self).then_some(float)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.digits.len() as i64;
        if (0..=400).contains(&self.exponent) {
            write!(
                f,
                "{}{}{}",
                self.sign(),
                self.digits,
                "0".repeat(self.exponent as usize)
            )
        } else if self.exponent < 0 && -self.exponent < length {
            let (whole, fraction) = self.digits.split_at((length + self.exponent) as usize);
            write!(f, "{}{whole}.{fraction}", self.sign())
        } else if (-400..0).contains(&self.exponent) {
            write!(
                f,
                "{}0.{}{}",
                self.sign(),
                "0".repeat((-self.exponent - length) as usize),
                self.digits
            )
        } else {
            f.write_str(&self.scientific())
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Int(int) => int.fmt(f),
            Repr::Uint(uint) => uint.fmt(f),
            Repr::Float(float) => float.fmt(f),
            Repr::Decimal(decimal) => decimal.fmt(f),
        }
    }
}

/// Says only that there is a number: it may be a secret.
impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Number")
    }
}

impl From<i64> for Number {
    fn from(int: i64) -> Self {
        Self(Repr::Int(int))
    }
}

impl From<u64> for Number {
    fn from(uint: u64) -> Self {
        i64::try_from(uint).map_or(Self(Repr::Uint(uint)), Self::from)
    }
}

/// Takes the number as a person would write the float: `0.1` is the decimal 0.1. NaN becomes 0.
impl From<f64> for Number {
    fn from(float: f64) -> Self {
        Self::parse(&format!("{float}")).unwrap_or(Self(Repr::Int(0)))
    }
}
