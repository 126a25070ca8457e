//! A value that may be absent or not known yet.

/// An attribute's value as a plan sees it.
///
/// `Unknown` is normal while planning (a public IP that the cloud will assign): it means "cannot tell yet" and is never
/// an error by itself.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Given<T> {
    /// Not written by the user.
    #[default]
    Absent,
    /// Written, but its value is known only during apply.
    Unknown,
    /// Written and known.
    Value(T),
}

impl<T> Given<T> {
    /// The known value.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Unknown => None,
        }
    }

    /// The known value, by move.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Unknown => None,
        }
    }

    /// Whether the value is not known yet.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Whether the user left it out.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Applies `f` to a known value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Given<U> {
        match self {
            Self::Absent => Given::Absent,
            Self::Unknown => Given::Unknown,
            Self::Value(value) => Given::Value(f(value)),
        }
    }

    /// Applies `f` to a known value by reference.
    pub fn map_ref<U>(&self, f: impl FnOnce(&T) -> U) -> Given<U> {
        match self {
            Self::Absent => Given::Absent,
            Self::Unknown => Given::Unknown,
            Self::Value(value) => Given::Value(f(value)),
        }
    }

    /// This value, or `other` when this one is absent.
    pub fn or(self, other: Given<T>) -> Given<T> {
        match self {
            Self::Absent => other,
            given => given,
        }
    }
}

impl<T> From<Option<T>> for Given<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_absent_value_is_replaced_by_the_other() {
        assert_eq!(Given::Absent.or(Given::Value(1)), Given::Value(1));
        assert_eq!(Given::Unknown.or(Given::Value(1)), Given::Unknown);
        assert_eq!(Given::Value(2).or(Given::Value(1)), Given::Value(2));
    }
}
