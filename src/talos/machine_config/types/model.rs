//! The vocabulary of the type table.

/// A kind of document.
pub(crate) struct Kind {
    /// What `kind` says; `v1alpha1` for the document that has none.
    pub(crate) kind: &'static str,
    /// Whether documents of this kind are told apart by name.
    pub(crate) named: bool,
    /// The first minor release that knows it; 12 stands for 1.12 and everything before.
    pub(crate) since: u8,
    /// Its fields.
    pub(crate) body: &'static Struct,
}

/// A set of fields.
pub(crate) struct Struct {
    /// The name Talos' code gives it.
    pub(crate) name: &'static str,
    /// The fields in the order Talos writes them.
    pub(crate) fields: &'static [Field],
}

impl Struct {
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// One field.
pub(crate) struct Field {
    /// Its key.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) ty: Type,
    flags: u8,
}

/// Left out when it has its zero value.
pub(crate) const OMIT: u8 = 1;
/// A patch replaces the value as a whole.
pub(crate) const REPLACE: u8 = 2;
/// Not for eyes.
pub(crate) const SECRET: u8 = 4;
/// New in 1.13.
pub(crate) const SINCE_13: u8 = 8;
/// New in 1.14.
pub(crate) const SINCE_14: u8 = 16;

impl Field {
    pub(crate) const fn new(name: &'static str, ty: Type, flags: u8) -> Self {
        Self { name, ty, flags }
    }

    pub(crate) fn omit_empty(&self) -> bool {
        self.flags & OMIT != 0
    }

    pub(crate) fn replace(&self) -> bool {
        self.flags & REPLACE != 0
    }

    pub(crate) fn secret(&self) -> bool {
        self.flags & SECRET != 0
    }

    /// The first minor release with this field.
    pub(crate) fn since(&self) -> u8 {
        if self.flags & SINCE_14 != 0 {
            14
        } else if self.flags & SINCE_13 != 0 {
            13
        } else {
            12
        }
    }
}

/// What a value may be.
#[derive(Clone, Copy)]
pub(crate) enum Type {
    /// Any scalar, taken as text.
    Str,
    /// A boolean; the words of YAML 1.1 count.
    Bool,
    /// A signed integer of so many bits.
    Int(u8),
    /// An unsigned integer of so many bits.
    Uint(u8),
    /// A floating-point number; no field has one today.
    #[allow(dead_code)]
    Float,
    /// A scalar with a notation of its own.
    Text(TextKind),
    /// A value that may be absent, which is not the same as zero.
    Pointer(&'static Type),
    /// A list.
    List(&'static Type, ListMerge),
    /// Text keys with values of one type.
    Map(&'static Type),
    /// Named fields.
    Struct(&'static Struct),
    /// A mapping of anything.
    Unstructured,
    /// Command line arguments: text, or since 1.13 a list of texts, by name.
    Args,
    /// Anything.
    Any,
}

/// How a patch merges into a list.
#[derive(Clone, Copy)]
pub(crate) enum ListMerge {
    /// The patch's items come after.
    Append,
    /// Network devices: by `interface`, else by `deviceSelector`.
    Devices,
    /// Items with an equal key merge.
    By(&'static str),
    /// Items with an equal key are replaced.
    ReplaceBy(&'static str),
}

/// Notations of scalars.
#[derive(Clone, Copy)]
pub(crate) enum TextKind {
    /// A CEL expression.
    Cel,
    /// `100MiB`, `10GB`.
    ByteSize,
    /// `50%`.
    #[allow(dead_code)]
    Percentage,
    /// A byte size or a percentage.
    Size,
    /// An IP address.
    Address,
    /// An IP address with a port.
    AddressPort,
    /// An IP address with a prefix length.
    Prefix,
    /// A URL.
    Url,
    /// `80` or `80-90`.
    PortRange,
    /// Bytes in base64.
    Base64,
    /// A key in base64, or the mark of a redacted one.
    PemKey,
    /// A byte size that is written back in the largest unit.
    DiskSize,
    /// Permissions of a file, written in octal.
    FileMode,
    /// A condition on a disk's size: `>= 1TB`.
    SizeMatch,
    /// A MAC address of any length.
    Hardware,
    /// `1h30m`.
    Duration,
    /// One of a set of words.
    Enum(&'static Enum),
    /// Text whose leading line breaks and tabs are dropped.
    Manifest,
}

impl TextKind {
    /// Whether Talos holds it in a struct and reads it from text.
    pub(crate) fn is_struct(self) -> bool {
        matches!(
            self,
            Self::Cel
                | Self::ByteSize
                | Self::Percentage
                | Self::Size
                | Self::Address
                | Self::AddressPort
                | Self::Prefix
        )
    }
}

/// A set of words that stand for numbers; the word for 0 is what an absent value means.
pub(crate) struct Enum {
    /// The name Talos' code gives it.
    pub(crate) name: &'static str,
    /// Words and numbers.
    pub(crate) values: &'static [(&'static str, u32)],
    /// Numbers that may be written as such.
    pub(crate) numbers: Option<(u32, u32)>,
}
