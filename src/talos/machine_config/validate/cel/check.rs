//! The types of CEL expressions.

use super::names::{since, variable};
use super::parse::Expression;
use super::{Environment, Type};

impl Type {
    /// How CEL calls it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Bool => "bool".into(),
            Self::Int => "int".into(),
            Self::Uint => "uint".into(),
            Self::Double => "double".into(),
            Self::String => "string".into(),
            Self::Bytes => "bytes".into(),
            Self::Null => "null".into(),
            Self::Duration => "google.protobuf.Duration".into(),
            Self::Timestamp => "google.protobuf.Timestamp".into(),
            Self::Meta => "type".into(),
            Self::Dyn => "dyn".into(),
            Self::Strings => "list(string)".into(),
            Self::List(item) => format!("list({})", item.name()),
            Self::Map(key, value) => format!("map({}, {})", key.name(), value.name()),
            Self::Optional(inner) => format!("optional_type({})", inner.name()),
            Self::Message(_) => "message".into(),
        }
    }

    /// Whether a value of one type can stand where the other is wanted.
    fn fits(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            (Self::Null, Self::Message(_) | Self::Duration | Self::Timestamp | Self::Optional(_)) => true,
            (Self::Message(_) | Self::Duration | Self::Timestamp | Self::Optional(_), Self::Null) => true,
            (Self::List(a), Self::List(b)) | (Self::Optional(a), Self::Optional(b)) => a.fits(b),
            (Self::Map(a, b), Self::Map(c, d)) => a.fits(c) && b.fits(d),
            (Self::Message(a), Self::Message(b)) => std::ptr::eq(*a, *b),
            (a, b) => a == b,
        }
    }
}

/// Checks one expression in one environment.
pub(super) struct Checker {
    environment: Environment,
    /// Names that macros introduce, innermost last.
    locals: Vec<(String, Type)>,
    /// The minor release of Talos that has all fields seen so far.
    since: u8,
}

impl Checker {
    pub(super) fn new(environment: Environment) -> Self {
        Self { environment, locals: Vec::new(), since: 12 }
    }

    /// The first minor release of Talos 1 with all fields that were seen; 12 stands for everything before, too.
    pub(super) fn since(&self) -> u8 {
        self.since
    }

    pub(super) fn type_of(&mut self, expression: &Expression) -> Result<Type, String> {
        match expression {
            Expression::Literal(ty) => Ok(ty.clone()),
            Expression::Name(name) => self.lookup(name),
            Expression::Field(target, name, optional) => self.field(target, name, *optional),
            Expression::Call(None, name, arguments) => self.function(name, arguments),
            Expression::Call(Some(target), name, arguments) => self.method(target, name, arguments),
            Expression::Index(target, index, optional) => self.index(target, index, *optional),
            Expression::Not(inner) => {
                let ty = self.type_of(inner)?;
                if ty.fits(&Type::Bool) { Ok(Type::Bool) } else { Err(no_overload("!", &[ty])) }
            }
            Expression::Negative(inner) => match self.type_of(inner)? {
                ty @ (Type::Int | Type::Double | Type::Dyn) => Ok(ty),
                ty => Err(no_overload("-", &[ty])),
            },
            Expression::Binary(symbol, left, right) => {
                let (left, right) = (self.type_of(left)?, self.type_of(right)?);
                binary(symbol, &left, &right).ok_or_else(|| no_overload(symbol, &[left, right]))
            }
            Expression::Choice(condition, yes, no) => {
                let types = [self.type_of(condition)?, self.type_of(yes)?, self.type_of(no)?];
                match joined(&types[1], &types[2]) {
                    Some(result) if types[0].fits(&Type::Bool) => Ok(result),
                    _ => Err(no_overload("?:", &types)),
                }
            }
            Expression::List(items) => {
                let types = items.iter().map(|item| self.type_of(item)).collect::<Result<Vec<_>, _>>()?;
                Ok(Type::List(Box::new(common(&types))))
            }
            Expression::Map(pairs) => {
                let keys = pairs.iter().map(|(key, _)| self.type_of(key)).collect::<Result<Vec<_>, _>>()?;
                let values = pairs.iter().map(|(_, value)| self.type_of(value)).collect::<Result<Vec<_>, _>>()?;
                Ok(Type::Map(Box::new(common(&keys)), Box::new(common(&values))))
            }
            // Messages of the protocol; nobody builds one in a selector.
            Expression::Record(values) => {
                values.iter().try_for_each(|value| self.type_of(value).map(drop)).map(|()| Type::Dyn)
            }
        }
    }

    fn lookup(&self, name: &str) -> Result<Type, String> {
        let local = self.locals.iter().rev().find(|(local, _)| local == name).map(|(_, ty)| ty.clone());
        local.or_else(|| variable(self.environment, name)).ok_or_else(|| undeclared(name))
    }

    fn field(&mut self, target: &Expression, name: &str, optional: bool) -> Result<Type, String> {
        let (target, wrapped) = match self.type_of(target)? {
            Type::Optional(inner) => (*inner, true),
            ty => (ty, optional),
        };
        if let Type::Message(fields) = &target {
            self.since = self.since.max(since(fields, name));
        }
        let field = match &target {
            Type::Message(fields) => match fields.iter().find(|(field, _)| *field == name) {
                Some((_, Type::Strings)) => Type::List(Box::new(Type::String)),
                Some((_, ty)) => ty.clone(),
                None => return Err(format!("undefined field '{name}'")),
            },
            Type::Map(key, value) if Type::String.fits(key) => (**value).clone(),
            Type::Dyn => Type::Dyn,
            other => return Err(format!("type '{}' does not support field selection", other.name())),
        };
        Ok(if wrapped { Type::Optional(Box::new(field)) } else { field })
    }

    fn index(&mut self, target: &Expression, index: &Expression, optional: bool) -> Result<Type, String> {
        let (target, index) = (self.type_of(target)?, self.type_of(index)?);
        let (collection, wrapped) = match &target {
            Type::Optional(inner) => (&**inner, true),
            ty => (ty, optional),
        };
        let found = match collection {
            Type::List(item) if index.fits(&Type::Int) => Some((**item).clone()),
            Type::Map(key, value) if index.fits(key) => Some((**value).clone()),
            Type::Dyn => Some(Type::Dyn),
            _ => None,
        };
        let found = found.ok_or_else(|| no_overload("[]", &[target.clone(), index]))?;
        Ok(if wrapped { Type::Optional(Box::new(found)) } else { found })
    }

    fn function(&mut self, name: &str, arguments: &[Expression]) -> Result<Type, String> {
        if let ("has", [argument]) = (name, arguments) {
            return match argument {
                Expression::Field(..) => self.type_of(argument).map(|_| Type::Bool),
                _ => Err("invalid argument to has() macro".into()),
            };
        }
        let types = arguments.iter().map(|argument| self.type_of(argument)).collect::<Result<Vec<_>, _>>()?;
        if !is_function(self.environment, name) {
            return Err(undeclared(name));
        }
        global(name, &types).ok_or_else(|| no_overload(name, &types))
    }

    fn method(&mut self, target: &Expression, name: &str, arguments: &[Expression]) -> Result<Type, String> {
        if let (Expression::Name(namespace), true) = (target, self.has_optionals())
            && namespace == "optional"
        {
            let types = arguments.iter().map(|argument| self.type_of(argument)).collect::<Result<Vec<_>, _>>()?;
            return match (name, types.as_slice()) {
                ("of" | "ofNonZeroValue", [ty]) => Ok(Type::Optional(Box::new(ty.clone()))),
                ("none", []) => Ok(Type::Optional(Box::new(Type::Dyn))),
                _ => Err(undeclared(&format!("optional.{name}"))),
            };
        }
        let target = self.type_of(target)?;
        if let Some(result) = self.expanded(&target, name, arguments) {
            return result;
        }
        let types = arguments.iter().map(|argument| self.type_of(argument)).collect::<Result<Vec<_>, _>>()?;
        let known = METHODS.contains(&name) || (self.has_optionals() && OPTIONAL_METHODS.contains(&name));
        if !known {
            return Err(undeclared(name));
        }
        member(&target, name, &types).ok_or_else(|| no_overload(name, &[vec![target], types].concat()))
    }

    /// `all`, `exists`, `map` and their like, which bind a name.
    fn expanded(&mut self, target: &Type, name: &str, arguments: &[Expression]) -> Option<Result<Type, String>> {
        let names = match (name, arguments) {
            ("all" | "exists" | "exists_one" | "existsOne" | "filter", [Expression::Name(local), _]) => local,
            ("map", [Expression::Name(local), _] | [Expression::Name(local), _, _]) => local,
            ("optMap" | "optFlatMap", [Expression::Name(local), _]) if self.has_optionals() => local,
            _ => return None,
        };
        let item = match target {
            Type::List(item) => (**item).clone(),
            Type::Map(key, _) => (**key).clone(),
            Type::Optional(inner) if name.starts_with("opt") => (**inner).clone(),
            Type::Dyn => Type::Dyn,
            other => {
                return Some(Err(format!("expression of type '{}' cannot be range of a comprehension", other.name())));
            }
        };
        self.locals.push((names.clone(), item));
        let types = arguments[1..].iter().map(|argument| self.type_of(argument)).collect::<Result<Vec<_>, _>>();
        self.locals.pop();
        Some(types.and_then(|types| comprehension(target, name, &types)))
    }

    fn has_optionals(&self) -> bool {
        matches!(self.environment, Environment::OomTrigger | Environment::OomScoring)
    }
}

fn comprehension(target: &Type, name: &str, types: &[Type]) -> Result<Type, String> {
    let last = types.last().cloned().unwrap_or(Type::Dyn);
    let predicate = types.first().is_some_and(|ty| ty.fits(&Type::Bool));
    match name {
        "map" if types.len() == 1 || predicate => Ok(Type::List(Box::new(last))),
        "optMap" => Ok(Type::Optional(Box::new(last))),
        "optFlatMap" => Ok(last),
        "filter" if predicate => Ok(match target {
            Type::Map(key, _) => Type::List(key.clone()),
            other => other.clone(),
        }),
        "all" | "exists" | "exists_one" | "existsOne" if predicate => Ok(Type::Bool),
        _ => Err(no_overload(name, types)),
    }
}

fn binary(symbol: &str, left: &Type, right: &Type) -> Option<Type> {
    use Type::{Bool, Bytes, Double, Duration, Dyn, Int, String, Timestamp, Uint};
    let same = left.fits(right) || right.fits(left);
    let one_of = |types: &[Type]| same && types.iter().any(|ty| left.fits(ty) && right.fits(ty));
    let known = || if *left == Dyn { right.clone() } else { left.clone() };
    match symbol {
        "&&" | "||" => (left.fits(&Bool) && right.fits(&Bool)).then_some(Bool),
        "==" | "!=" => same.then_some(Bool),
        "<" | "<=" | ">" | ">=" => {
            one_of(&[Bool, Int, Uint, Double, String, Bytes, Timestamp, Duration]).then_some(Bool)
        }
        "in" => match right {
            Type::List(item) => left.fits(item).then_some(Bool),
            Type::Map(key, _) => left.fits(key).then_some(Bool),
            Dyn => Some(Bool),
            _ => None,
        },
        "+" if matches!((left, right), (Timestamp, Duration) | (Duration, Timestamp)) => Some(Timestamp),
        "+" if matches!((left, right), (Type::List(_), Type::List(_))) && same => Some(known()),
        "+" => one_of(&[Int, Uint, Double, String, Bytes, Duration]).then(known),
        "-" if matches!((left, right), (Timestamp, Timestamp)) => Some(Duration),
        "-" if matches!((left, right), (Timestamp, Duration)) => Some(Timestamp),
        "-" => one_of(&[Int, Uint, Double, Duration]).then(known),
        "*" | "/" => one_of(&[Int, Uint, Double]).then(known),
        "%" => one_of(&[Int, Uint]).then(known),
        _ => None,
    }
}

fn is_function(environment: Environment, name: &str) -> bool {
    const STANDARD: [&str; 13] = [
        "size",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "bool",
        "timestamp",
        "duration",
        "type",
        "dyn",
        "matches",
        "has",
    ];
    STANDARD.contains(&name)
        || match environment {
            Environment::Link => name == "glob" || name == "mac",
            Environment::Disk => name == "glob",
            Environment::OomTrigger => name == "multiply_qos_vectors",
            _ => false,
        }
}

fn global(name: &str, types: &[Type]) -> Option<Type> {
    use Type::{Bool, Bytes, Double, Duration, Dyn, Int, String, Timestamp, Uint};
    let from = |wanted: &[Type], result: Type| {
        matches!(types, [ty] if wanted.iter().any(|wanted| ty.fits(wanted))).then_some(result)
    };
    match name {
        "size" => match types {
            [String | Bytes | Dyn | Type::List(_) | Type::Map(..)] => Some(Int),
            _ => None,
        },
        "int" => from(&[Int, Uint, Double, String, Timestamp, Duration], Int),
        "uint" => from(&[Int, Uint, Double, String], Uint),
        "double" => from(&[Int, Uint, Double, String], Double),
        "string" => from(&[Bool, Int, Uint, Double, String, Bytes, Timestamp, Duration], String),
        "bytes" => from(&[String, Bytes], Bytes),
        "bool" => from(&[Bool, String], Bool),
        "timestamp" => from(&[String, Int, Timestamp], Timestamp),
        "duration" => from(&[String, Int, Duration], Duration),
        "type" => (types.len() == 1).then_some(Type::Meta),
        "dyn" => (types.len() == 1).then_some(Dyn),
        "matches" | "glob" => matches!(types, [a, b] if a.fits(&String) && b.fits(&String)).then_some(Bool),
        "mac" => from(&[Bytes], String),
        "multiply_qos_vectors" => {
            let vector = Type::Map(Box::new(Dyn), Box::new(Double));
            matches!(types, [a, b] if a.fits(&vector) && b.fits(&vector)).then_some(Double)
        }
        _ => None,
    }
}

const METHODS: [&str; 16] = [
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "size",
    "getFullYear",
    "getMonth",
    "getDayOfYear",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "map",
];
const OPTIONAL_METHODS: [&str; 4] = ["hasValue", "value", "orValue", "or"];

fn member(target: &Type, name: &str, types: &[Type]) -> Option<Type> {
    match (name, target, types) {
        ("contains" | "startsWith" | "endsWith" | "matches", target, [argument]) => {
            (target.fits(&Type::String) && argument.fits(&Type::String)).then_some(Type::Bool)
        }
        ("size", Type::String | Type::Bytes | Type::Dyn | Type::List(_) | Type::Map(..), []) => Some(Type::Int),
        ("hasValue", Type::Optional(_), []) => Some(Type::Bool),
        ("value", Type::Optional(inner), []) => Some((**inner).clone()),
        ("orValue", Type::Optional(inner), [other]) => joined(inner, other),
        ("or", Type::Optional(_), [other]) => joined(target, other),
        (name, Type::Timestamp | Type::Dyn, [] | [Type::String]) if name.starts_with("get") => Some(Type::Int),
        ("getHours" | "getMinutes" | "getSeconds" | "getMilliseconds", Type::Duration, []) => Some(Type::Int),
        _ => None,
    }
}

/// The type of a value that is one or the other.
fn joined(left: &Type, right: &Type) -> Option<Type> {
    match (left, right) {
        (Type::Dyn | Type::Null, other) | (other, Type::Null) if left.fits(right) || right.fits(left) => {
            Some(other.clone())
        }
        (left, right) if left.fits(right) => Some(left.clone()),
        _ => None,
    }
}

/// The type of the items of a literal: theirs if they agree, anything if not.
fn common(types: &[Type]) -> Type {
    match types.split_first() {
        Some((first, rest)) if rest.iter().all(|ty| ty == first) => first.clone(),
        _ => Type::Dyn,
    }
}

fn undeclared(name: &str) -> String {
    format!("undeclared reference to '{name}' (in container '')")
}

fn no_overload(name: &str, types: &[Type]) -> String {
    let types: Vec<_> = types.iter().map(Type::name).collect();
    format!("found no matching overload for '{name}' applied to '({})'", types.join(", "))
}
