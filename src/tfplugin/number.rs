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

    /// The form that cty itself chooses (go-cty v1.16 cty/msgpack/marshal.go): text for whole numbers beyond `i64`,
    /// because cty reads a float with 53 bits and prints that with too few digits the next time.
    pub(crate) fn encoding(&self) -> Encoding {
        match &self.0 {
            Repr::Int(int) => Encoding::Int(*int),
            Repr::Float(float) if float.fract() != 0.0 || float.is_infinite() => Encoding::Float(*float),
            Repr::Uint(_) | Repr::Float(_) | Repr::Decimal(_) => Encoding::Text(self.to_string()),
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
        Some(Some(Self { negative, digits: trimmed.to_owned(), exponent }))
    }

    fn sign(&self) -> &'static str {
        if self.negative { "-" } else { "" }
    }

    /// Whole-number notation, when it is one that could fit 64 bits.
    fn integer_text(&self) -> Option<String> {
        let zeros = usize::try_from(self.exponent).ok()?;
        (self.digits.len() + zeros <= 20).then(|| format!("{}{}{}", self.sign(), self.digits, "0".repeat(zeros)))
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
        (Self::of_f64(float)? == *self).then_some(float)
    }

    /// What the float is to its last bit; `None` for zero and what is not finite.
    fn of_f64(float: f64) -> Option<Self> {
        // An f64 has at most 1074 binary, hence decimal, places; printing that many is exact.
        Self::parse(&format!("{float:.1074}"))?
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.digits.len() as i64;
        if (0..=400).contains(&self.exponent) {
            write!(f, "{}{}{}", self.sign(), self.digits, "0".repeat(self.exponent as usize))
        } else if self.exponent < 0 && -self.exponent < length {
            let (whole, fraction) = self.digits.split_at((length + self.exponent) as usize);
            write!(f, "{}{whole}.{fraction}", self.sign())
        } else if (-400..0).contains(&self.exponent) {
            write!(f, "{}0.{}{}", self.sign(), "0".repeat((-self.exponent - length) as usize), self.digits)
        } else {
            f.write_str(&self.scientific())
        }
    }
}

/// Decimal notation to the last digit; [`Number::parse`] reads it back.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Int(int) => int.fmt(f),
            Repr::Uint(uint) => uint.fmt(f),
            Repr::Float(float) => match Decimal::of_f64(*float) {
                Some(decimal) => decimal.fmt(f),
                None => float.fmt(f),
            },
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

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn the_same_number_is_equal_however_it_is_written() {
        for (a, b) in [
            ("1", "1.000"),
            ("0", "-0.0"),
            ("1e30", "1000000000000000000000000000000"),
            ("-0012.50", "-1.25e1"),
            ("18446744073709551616", "1.8446744073709551616e19"),
            ("1e-3", "0.001"),
        ] {
            assert_eq!(number(a), number(b), "{a} {b}");
        }
        assert_ne!(number("0.1"), Number::from_exact_f64(0.1).unwrap());
        assert_ne!(number("9007199254740993"), number("9007199254740992"));
        assert_eq!(Number::from(0.1), number("0.1"));
        assert_eq!(Number::from_exact_f64(1.5).unwrap(), number("1.5"));
        assert_eq!(Number::from_exact_f64(18_446_744_073_709_551_616.0).unwrap(), number("18446744073709551616"));
        assert_eq!(Number::from_exact_f64(9_223_372_036_854_775_808.0).unwrap(), number("9223372036854775808"));
    }

    #[test]
    fn text_round_trips_without_loss() {
        for text in [
            "0",
            "-1",
            "1.5",
            "0.1",
            "-0.00125",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775808",
            "-9223372036854775809",
            "1000000000000000000000000000000",
            "3.141592653589793238462643383279502884197",
            "123456789012345678901234567890.123456789",
        ] {
            assert_eq!(number(text).to_string(), text);
        }
        let binary = Number::from_exact_f64(0.1).unwrap();
        assert_eq!(number(&binary.to_string()), binary);
        assert_eq!(number(&number("1e500").to_string()), number("1e500"));
        assert_eq!(number(&number("-12e-500").to_string()), number("-12e-500"));
    }

    #[test]
    fn each_number_travels_in_the_form_that_holds_it_exactly() {
        for (text, encoding) in [
            ("7", Encoding::Int(7)),
            ("-9223372036854775808", Encoding::Int(i64::MIN)),
            ("18446744073709551615", Encoding::Text("18446744073709551615".into())),
            ("1.5", Encoding::Float(1.5)),
            ("18446744073709551616", Encoding::Text("18446744073709551616".into())),
            ("0.1", Encoding::Text("0.1".into())),
            ("inf", Encoding::Float(f64::INFINITY)),
        ] {
            assert_eq!(number(text).encoding(), encoding, "{text}");
        }
    }

    #[test]
    fn only_whole_numbers_in_range_are_integers() {
        assert_eq!(number("22.0").as_i64(), Some(22));
        assert_eq!(number("22.5").as_i64(), None);
        assert_eq!(number("-1").as_u64(), None);
        assert_eq!(number("18446744073709551615").as_u64(), Some(u64::MAX));
        assert_eq!(number("18446744073709551615").as_i64(), None);
        assert!((number("0.1").as_f64() - 0.1).abs() < f64::EPSILON);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".", "1.2.3", "0x10", "1e", "1e99999999999", "NaN", "1 ", "e5"] {
            assert_eq!(Number::parse(text), None, "{text:?}");
        }
        assert_eq!(Number::from_exact_f64(f64::NAN), None);
    }
}
