//! The structure of a CEL expression.

use super::Type;
use super::lex::{Token, tokens};

/// A parsed expression.
#[derive(Debug)]
pub(super) enum Expression {
    Literal(Type),
    Name(String),
    /// `a.b`, or `a.?b`.
    Field(Box<Expression>, String, bool),
    /// `f(..)` or `a.f(..)`.
    Call(Option<Box<Expression>>, String, Vec<Expression>),
    /// `a[b]`, or `a[?b]`.
    Index(Box<Expression>, Box<Expression>, bool),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Binary(&'static str, Box<Expression>, Box<Expression>),
    Choice(Box<Expression>, Box<Expression>, Box<Expression>),
    List(Vec<Expression>),
    Map(Vec<(Expression, Expression)>),
    /// `pkg.Name{field: value}`.
    Record(Vec<Expression>),
}

/// cel-go's own bound is 250 levels of its grammar, of which one of ours is several.
const DEPTH: usize = 60;
/// Operators of one rank in a row; they make a tree as deep.
const CHAIN: usize = 400;

/// Parses an expression.
pub(super) fn parse(text: &str) -> Result<Expression, String> {
    if text.len() > 100_000 {
        return Err("the expression is too long".into());
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, chain: 0 };
    let expression = parser.expression()?;
    match parser.peek() {
        None => Ok(expression),
        Some(token) => Err(format!("unexpected {}", describe(token))),
    }
}

/// From the loosest to the tightest.
const RANKS: [&[&str]; 5] = [&["||"], &["&&"], &["<", "<=", ">=", ">", "==", "!="], &["+", "-"], &["*", "/", "%"]];
const RELATIONS: usize = 2;

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    chain: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self, symbol: &'static str) -> bool {
        let found = self.peek() == Some(&Token::Symbol(symbol));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), String> {
        if self.take(symbol) {
            return Ok(());
        }
        Err(format!("'{symbol}' is expected, found {}", self.peek().map_or("the end".into(), describe)))
    }

    fn expression(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("the expression is nested too deeply".into());
        }
        let condition = self.binary(0)?;
        let result = if self.take("?") {
            let yes = self.binary(0)?;
            self.expect(":")?;
            let no = self.expression()?;
            Expression::Choice(Box::new(condition), Box::new(yes), Box::new(no))
        } else {
            condition
        };
        self.depth -= 1;
        Ok(result)
    }

    fn binary(&mut self, rank: usize) -> Result<Expression, String> {
        let Some(symbols) = RANKS.get(rank) else { return self.unary() };
        let mut left = self.binary(rank + 1)?;
        while let Some(symbol) = self.operator(symbols, rank) {
            self.linked()?;
            let right = self.binary(rank + 1)?;
            left = Expression::Binary(symbol, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn operator(&mut self, symbols: &[&'static str], rank: usize) -> Option<&'static str> {
        let found = match self.peek()? {
            Token::Symbol(symbol) => *symbols.iter().find(|wanted| *wanted == symbol)?,
            Token::Name(name) if rank == RELATIONS && name == "in" => "in",
            _ => return None,
        };
        self.at += 1;
        Some(found)
    }

    /// Counts what makes the tree deeper without nesting in the text.
    fn linked(&mut self) -> Result<(), String> {
        self.chain += 1;
        if self.chain > CHAIN { Err("the expression is too long".into()) } else { Ok(()) }
    }

    fn unary(&mut self) -> Result<Expression, String> {
        if self.take("!") {
            self.linked()?;
            return Ok(Expression::Not(Box::new(self.unary()?)));
        }
        if self.take("-") {
            self.linked()?;
            return Ok(Expression::Negative(Box::new(self.unary()?)));
        }
        self.member()
    }

    fn member(&mut self) -> Result<Expression, String> {
        let mut target = self.primary()?;
        loop {
            if self.take(".") {
                self.linked()?;
                let optional = self.take("?");
                let name = self.name()?;
                target = match self.take("(") {
                    true => Expression::Call(Some(Box::new(target)), name, self.list(")")?),
                    false => Expression::Field(Box::new(target), name, optional),
                };
            } else if self.take("[") {
                self.linked()?;
                let optional = self.take("?");
                let index = self.expression()?;
                self.expect("]")?;
                target = Expression::Index(Box::new(target), Box::new(index), optional);
            } else if self.peek() == Some(&Token::Symbol("{")) && is_type_name(&target) {
                self.at += 1;
                target = Expression::Record(self.pairs()?.into_iter().map(|(_, value)| value).collect());
            } else {
                return Ok(target);
            }
        }
    }

    fn primary(&mut self) -> Result<Expression, String> {
        self.take(".");
        let token = self.peek().cloned().ok_or("unexpected end of the expression")?;
        self.at += 1;
        match token {
            Token::Literal(ty) => Ok(Expression::Literal(ty)),
            Token::Name(name) if RESERVED.contains(&name.as_str()) => Err(format!("reserved identifier: {name}")),
            Token::Name(name) if self.take("(") => Ok(Expression::Call(None, name, self.list(")")?)),
            Token::Name(name) => Ok(Expression::Name(name)),
            Token::Symbol("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Symbol("[") => self.list("]").map(Expression::List),
            Token::Symbol("{") => self.pairs().map(Expression::Map),
            token => Err(format!("unexpected {}", describe(&token))),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.peek().cloned() {
            Some(Token::Name(name)) => {
                self.at += 1;
                Ok(name)
            }
            other => Err(format!("a name is expected, found {}", other.as_ref().map_or("the end".into(), describe))),
        }
    }

    /// Expressions up to the closing bracket; a list may end in a comma.
    fn list(&mut self, end: &'static str) -> Result<Vec<Expression>, String> {
        let mut items = Vec::new();
        while !self.take(end) {
            self.take("?");
            items.push(self.expression()?);
            if !self.take(",") {
                self.expect(end)?;
                break;
            }
            if end == ")" && self.peek() == Some(&Token::Symbol(")")) {
                return Err("unexpected ')'".into());
            }
        }
        Ok(items)
    }

    fn pairs(&mut self) -> Result<Vec<(Expression, Expression)>, String> {
        let mut pairs = Vec::new();
        while !self.take("}") {
            self.take("?");
            let key = self.expression()?;
            self.expect(":")?;
            pairs.push((key, self.expression()?));
            if !self.take(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(pairs)
    }
}

const RESERVED: [&str; 20] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "null",
    "package",
    "namespace",
    "return",
    "true",
    "var",
    "void",
];

/// Only a dotted name that looks like a message's can be followed by fields.
fn is_type_name(expression: &Expression) -> bool {
    match expression {
        Expression::Name(name) => name.starts_with(|c: char| c.is_ascii_uppercase()),
        Expression::Field(_, name, false) => name.starts_with(|c: char| c.is_ascii_uppercase()),
        _ => false,
    }
}

fn describe(token: &Token) -> String {
    match token {
        Token::Name(name) => format!("'{name}'"),
        Token::Literal(_) => "a value".into(),
        Token::Symbol(symbol) => format!("'{symbol}'"),
    }
}
