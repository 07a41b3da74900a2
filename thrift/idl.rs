//! Reads Thrift's interface language into a tree.
//!
//! Takes what our IDL files use: includes, enums, structs, unions, exceptions, services,
//! annotations, defaults, doc comments. Refuses the rest (typedef, const, inheritance, oneway) by
//! name. Names are not resolved here.

use std::collections::BTreeMap;
use std::fmt;

use lex::{Token, What};

#[path = "idl/lex.rs"]
mod lex;

/// One IDL file.
#[derive(Debug, Default)]
pub struct Document {
    /// For messages, such as `storm.thrift`.
    pub file: String,
    /// Files it includes, as written.
    pub includes: Vec<String>,
    pub enums: Vec<Enum>,
    pub structs: Vec<Struct>,
    pub services: Vec<Service>,
}

#[derive(Debug)]
pub struct Enum {
    pub name: String,
    pub doc: Doc,
    pub values: Vec<EnumValue>,
}

#[derive(Debug)]
pub struct EnumValue {
    pub name: String,
    pub doc: Doc,
    pub number: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Struct,
    Union,
    Exception,
}

#[derive(Debug)]
pub struct Struct {
    pub kind: Kind,
    pub name: String,
    pub doc: Doc,
    pub fields: Vec<Field>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Required,
    Plain,
    Optional,
}

#[derive(Debug)]
pub struct Field {
    pub id: i16,
    pub name: String,
    pub doc: Doc,
    pub presence: Presence,
    pub kind: Type,
    pub default: Option<Literal>,
    pub annotations: BTreeMap<String, String>,
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Bool,
    I8,
    I16,
    I32,
    I64,
    Double,
    String,
    Binary,
    List(Box<Type>),
    Set(Box<Type>),
    Map(Box<Type>, Box<Type>),
    /// With the file that it comes from, when it is written with one: `storm.NullStruct`.
    Named {
        scope: Option<String>,
        name: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Number(String),
    Text(String),
    Flag(&'static str),
    /// `[]` or `{}`.
    Empty,
}

#[derive(Debug)]
pub struct Service {
    pub name: String,
    pub doc: Doc,
    pub methods: Vec<Method>,
}

#[derive(Debug)]
pub struct Method {
    pub name: String,
    pub doc: Doc,
    /// None for void.
    pub result: Option<Type>,
    pub arguments: Vec<Field>,
    pub throws: Vec<Field>,
    pub line: usize,
}

/// Lines of a doc comment.
pub type Doc = Vec<String>;

/// What is wrong with an IDL file, and where.
#[derive(Debug)]
pub struct IdlError {
    pub file: String,
    pub line: usize,
    pub what: String,
    pub fix: String,
}

struct Parser<'t> {
    file: &'t str,
    tokens: Vec<Token>,
    position: usize,
}

/// Parses the text of a file; `file` is its name for messages.
pub fn parse(file: &str, text: &str) -> Result<Document, IdlError> {
    let tokens = lex::tokens(file, text)?;
    let mut parser = Parser {
        file,
        tokens,
        position: 0,
    };
    parser.document()
}

// === impl IdlError ===

impl fmt::Display for IdlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IdlError {
            file,
            line,
            what,
            fix,
        } = self;
        write!(f, "{file}:{line}: {what}; {fix}")
    }
}

impl std::error::Error for IdlError {}

// === impl Parser ===

impl Parser<'_> {
    fn document(&mut self) -> Result<Document, IdlError> {
        let mut document = Document {
            file: self.file.to_owned(),
            ..Document::default()
        };
        while self.what() != &What::End {
            let doc = self.doc();
            let line = self.line();
            let word = self.word("a definition")?;
            match word.as_str() {
                "namespace" => {
                    self.word("the language of the namespace")?;
                    self.word("a name")?;
                }
                "include" => document.includes.push(self.text("the name of a file")?),
                "enum" => document.enums.push(self.enumeration(doc)?),
                "struct" => document.structs.push(self.structure(Kind::Struct, doc)?),
                "union" => document.structs.push(self.structure(Kind::Union, doc)?),
                "exception" => document.structs.push(self.structure(Kind::Exception, doc)?),
                "service" => document.services.push(self.service(doc)?),
                _ => {
                    let what = format!("'{word}' does not start a definition that is known here");
                    let fix = "write an enum, struct, union, exception or service";
                    return Err(self.error_at(line, what, fix));
                }
            }
        }
        Ok(document)
    }

    fn enumeration(&mut self, doc: Doc) -> Result<Enum, IdlError> {
        let name = self.word("the name of the enum")?;
        self.expect('{')?;
        let mut values = Vec::new();
        while !self.take('}') {
            let doc = self.doc();
            let name = self.word("a value of the enum")?;
            self.expect('=')?;
            let number = self.integer("the number of the value")?;
            values.push(EnumValue { name, doc, number });
            self.separator();
        }
        Ok(Enum { name, doc, values })
    }

    fn structure(&mut self, kind: Kind, doc: Doc) -> Result<Struct, IdlError> {
        let name = self.word("the name of the struct")?;
        self.expect('{')?;
        let fields = self.fields('}')?;
        Ok(Struct {
            kind,
            name,
            doc,
            fields,
        })
    }

    fn service(&mut self, doc: Doc) -> Result<Service, IdlError> {
        let name = self.word("the name of the service")?;
        self.expect('{')?;
        let mut methods = Vec::new();
        while !self.take('}') {
            methods.push(self.method()?);
            self.separator();
        }
        Ok(Service { name, doc, methods })
    }

    fn method(&mut self) -> Result<Method, IdlError> {
        let doc = self.doc();
        let line = self.line();
        let result = match self.what() {
            What::Word(word) if word == "void" => {
                self.position += 1;
                None
            }
            What::Word(word) if word == "oneway" => {
                let fix = "let the call have an empty reply";
                return Err(self.error("oneway calls are not generated".to_owned(), fix));
            }
            _ => Some(self.type_()?),
        };
        let name = self.word("the name of the method")?;
        self.expect('(')?;
        let arguments = self.fields(')')?;
        let mut throws = Vec::new();
        if self.what() == &What::Word("throws".to_owned()) {
            self.position += 1;
            self.expect('(')?;
            throws = self.fields(')')?;
        }
        Ok(Method {
            name,
            doc,
            result,
            arguments,
            throws,
            line,
        })
    }

    fn fields(&mut self, end: char) -> Result<Vec<Field>, IdlError> {
        let mut fields: Vec<Field> = Vec::new();
        while !self.take(end) {
            let field = self.field()?;
            if fields.iter().any(|other| other.id == field.id) {
                let what = format!("the id {} is there twice", field.id);
                return Err(self.error_at(field.line, what, "give each field an id of its own"));
            }
            fields.push(field);
            self.separator();
        }
        Ok(fields)
    }

    fn field(&mut self) -> Result<Field, IdlError> {
        let doc = self.doc();
        let line = self.line();
        let id = self.integer("the id of a field")?;
        self.expect(':')?;
        let presence = match self.what() {
            What::Word(word) if word == "required" => Presence::Required,
            What::Word(word) if word == "optional" => Presence::Optional,
            _ => Presence::Plain,
        };
        if presence != Presence::Plain {
            self.position += 1;
        }
        let kind = self.type_()?;
        let name = self.word("the name of the field")?;
        let default = if self.take('=') {
            Some(self.literal()?)
        } else {
            None
        };
        let annotations = self.annotations()?;
        Ok(Field {
            id,
            name,
            doc,
            presence,
            kind,
            default,
            annotations,
            line,
        })
    }

    fn annotations(&mut self) -> Result<BTreeMap<String, String>, IdlError> {
        let mut annotations = BTreeMap::new();
        if !self.take('(') {
            return Ok(annotations);
        }
        while !self.take(')') {
            let name = self.word("the name of an annotation")?;
            self.expect('=')?;
            annotations.insert(name, self.text("the value of the annotation")?);
            self.separator();
        }
        Ok(annotations)
    }

    fn type_(&mut self) -> Result<Type, IdlError> {
        let word = self.word("a type")?;
        Ok(match word.as_str() {
            "bool" => Type::Bool,
            "byte" | "i8" => Type::I8,
            "i16" => Type::I16,
            "i32" => Type::I32,
            "i64" => Type::I64,
            "double" => Type::Double,
            "string" => Type::String,
            "binary" => Type::Binary,
            "list" => {
                let [item] = self.parameters()?;
                Type::List(Box::new(item))
            }
            "set" => {
                let [item] = self.parameters()?;
                Type::Set(Box::new(item))
            }
            "map" => {
                let [key, value] = self.parameters()?;
                Type::Map(Box::new(key), Box::new(value))
            }
            _ => match word.split_once('.') {
                Some((scope, name)) => Type::Named {
                    scope: Some(scope.to_owned()),
                    name: name.to_owned(),
                },
                None => Type::Named {
                    scope: None,
                    name: word,
                },
            },
        })
    }

    fn parameters<const N: usize>(&mut self) -> Result<[Type; N], IdlError> {
        let mut types = Vec::new();
        self.expect('<')?;
        while types.len() < N {
            if !types.is_empty() {
                self.expect(',')?;
            }
            types.push(self.type_()?);
        }
        self.expect('>')?;
        let wrong = |_| {
            self.error(
                "a type has too many parameters".to_owned(),
                "leave some out",
            )
        };
        types.try_into().map_err(wrong)
    }

    fn literal(&mut self) -> Result<Literal, IdlError> {
        let token = self.what().clone();
        self.position += 1;
        match token {
            What::Number(number) => Ok(Literal::Number(number)),
            What::Text(text) => Ok(Literal::Text(text)),
            What::Word(word) if word == "true" => Ok(Literal::Flag("true")),
            What::Word(word) if word == "false" => Ok(Literal::Flag("false")),
            What::Sign('[') => self.expect(']').map(|()| Literal::Empty),
            What::Sign('{') => self.expect('}').map(|()| Literal::Empty),
            _ => {
                self.position -= 1;
                let fix = "write a number, a text, true, false, [] or {}";
                Err(self.error(format!("{token} is no default"), fix))
            }
        }
    }

    // ---- Tokens --------------------------------------------------------------------------------

    fn what(&self) -> &What {
        self.tokens
            .get(self.position)
            .map_or(&What::End, |token| &token.what)
    }

    fn line(&self) -> usize {
        let token = self.tokens.get(self.position).or(self.tokens.last());
        token.map_or(1, |token| token.line)
    }

    fn doc(&mut self) -> Doc {
        let token = self.tokens.get_mut(self.position);
        token.map_or_else(Doc::new, |token| std::mem::take(&mut token.doc))
    }

    fn word(&mut self, wanted: &str) -> Result<String, IdlError> {
        let What::Word(word) = self.what().clone() else {
            return Err(self.unexpected(wanted));
        };
        self.position += 1;
        Ok(word)
    }

    fn text(&mut self, wanted: &str) -> Result<String, IdlError> {
        let What::Text(text) = self.what().clone() else {
            return Err(self.unexpected(wanted));
        };
        self.position += 1;
        Ok(text)
    }

    fn integer<T: std::str::FromStr>(&mut self, wanted: &str) -> Result<T, IdlError> {
        let What::Number(number) = self.what() else {
            return Err(self.unexpected(wanted));
        };
        let Ok(integer) = number.parse() else {
            return Err(self.unexpected(wanted));
        };
        self.position += 1;
        Ok(integer)
    }

    fn take(&mut self, sign: char) -> bool {
        let taken = self.what() == &What::Sign(sign);
        self.position += usize::from(taken);
        taken
    }

    fn expect(&mut self, sign: char) -> Result<(), IdlError> {
        if self.take(sign) {
            return Ok(());
        }
        Err(self.unexpected(&format!("'{sign}'")))
    }

    fn separator(&mut self) {
        if !self.take(',') {
            self.take(';');
        }
    }

    fn unexpected(&self, wanted: &str) -> IdlError {
        self.error(
            format!("{} stands where {wanted} belongs", self.what()),
            &format!("write {wanted}"),
        )
    }

    fn error(&self, what: String, fix: &str) -> IdlError {
        self.error_at(self.line(), what, fix)
    }

    fn error_at(&self, line: usize, what: String, fix: &str) -> IdlError {
        IdlError {
            file: self.file.to_owned(),
            line,
            what,
            fix: fix.to_owned(),
        }
    }
}
