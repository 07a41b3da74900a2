//! Writes Rust for IDL files: types and how they are read and written; services in
//! `emit/service.rs`.
//!
//! What comes out leans on `crate::wire` for everything that repeats, so that it stays small. It
//! is not formatted.

use std::fmt::Write as _;

use super::idl::{Doc, Document, Enum, Field, IdlError, Kind, Literal, Presence, Struct, Type};

/// Adds a formatted line.
macro_rules! line {
    ($out:expr, $($format:tt)*) => {
        // Writing to a text cannot fail.
        let _ = writeln!($out, $($format)*);
    };
}

#[path = "emit/check.rs"]
mod check;
#[path = "emit/name.rs"]
mod name;
#[path = "emit/service.rs"]
mod service;

/// IDL files that may name each other's types.
#[derive(Debug)]
pub struct Model {
    documents: Vec<Document>,
}

/// What a name stands for.
enum Definition<'m> {
    Enum,
    Struct(&'m Struct),
}

/// A type with the file in which it is written.
#[derive(Clone, Copy)]
struct Place<'m> {
    model: &'m Model,
    scope: &'m str,
}

/// What `structure` writes besides the fields.
struct Shape<'s> {
    name: &'s str,
    doc: &'s Doc,
    derives: &'s str,
}

// === impl Model ===

impl Model {
    /// Checks that every name stands for something and every annotation has a meaning.
    pub fn new(documents: Vec<Document>) -> Result<Self, IdlError> {
        let model = Model { documents };
        check::check(&model)?;
        Ok(model)
    }

    /// The Rust text of the file `scope`, such as `storm` for `storm.thrift`.
    pub fn emit(&self, scope: &str) -> String {
        let mut out = String::from("use crate::wire;\n");
        let place = Place { model: self, scope };
        for document in self
            .documents
            .iter()
            .filter(|document| stem(&document.file) == scope)
        {
            for enumeration in &document.enums {
                emit_enum(&mut out, enumeration);
            }
            for structure in &document.structs {
                place.definition(&mut out, structure);
            }
            for service in &document.services {
                service::emit(&mut out, place, service);
            }
        }
        out
    }

    fn find(&self, scope: &str, name: &str) -> Option<Definition<'_>> {
        let documents = self.documents.iter();
        let mut documents = documents.filter(|document| stem(&document.file) == scope);
        documents.find_map(|document| {
            let structure = document.structs.iter().find(|item| item.name == name);
            let enumeration = document.enums.iter().find(|item| item.name == name);
            structure
                .map(Definition::Struct)
                .or(enumeration.map(|_| Definition::Enum))
        })
    }
}

/// The name by which other files call a file.
pub fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".thrift").unwrap_or(name)
}

// === impl Place ===

impl<'m> Place<'m> {
    fn definition(self, out: &mut String, structure: &Struct) {
        let derives = if self.is_ordered(&structure.fields, &mut vec![]) {
            DERIVES_ORDERED
        } else {
            DERIVES
        };
        let shape = Shape {
            name: &structure.name,
            doc: &structure.doc,
            derives,
        };
        match structure.kind {
            Kind::Union => self.union(out, &shape, &structure.fields),
            Kind::Struct => self.structure(out, &shape, &structure.fields),
            Kind::Exception => {
                self.structure(out, &shape, &structure.fields);
                emit_exception(out, structure);
            }
        }
    }

    fn structure(self, out: &mut String, shape: &Shape<'_>, fields: &[Field]) {
        let name = shape.name;
        emit_doc(out, "", shape.doc);
        let hides = fields.iter().any(is_secret);
        let derives = match hides {
            true => shape.derives.replace(" Debug,", ""),
            false => shape.derives.to_owned(),
        };
        line!(out, "#[derive({derives})]\npub struct {name} {{");
        for field in fields {
            emit_doc(out, "    ", &field.doc);
            let ident = name::snake(&field.name);
            line!(out, "    pub {ident}: {},", self.field_type(field));
        }
        line!(out, "}}\n\nimpl wire::Wire for {name} {{");
        put(out, "    const TYPE: wire::TType = wire::TType::Struct;\n");
        line!(out, "    fn write{WRITE_SIGNATURE} {{");
        put(out, "        out.struct_begin()?;");
        for Field {
            id, name, presence, ..
        } in fields
        {
            let how = match presence {
                Presence::Required => "field",
                Presence::Plain | Presence::Optional => "optional",
            };
            let ident = name::snake(name);
            line!(out, "        out.{how}({id}, &self.{ident})?;");
        }
        put(out, "        out.struct_end()\n    }\n");
        line!(out, "    fn read{READ_SIGNATURE} {{");
        if fields.is_empty() {
            put(out, "        input.skip(wire::TType::Struct)?;");
            put(out, "        Ok(Self {})\n    }\n");
        } else {
            self.read_fields(out, fields);
        }
        put(out, "    fn describe(&self, text: &mut wire::Text) {");
        line!(out, "        text.structure(\"{name}\")");
        for field in fields {
            let Field {
                id, name, presence, ..
            } = field;
            let ident = name::snake(name);
            let call = match presence {
                Presence::Required if is_secret(field) => {
                    format!("secret({id}, \"{name}\", &self.{ident})")
                }
                Presence::Required => format!("required({id}, \"{name}\", &self.{ident})"),
                Presence::Plain | Presence::Optional if is_secret(field) => {
                    format!("optional_secret(\"{name}\", &self.{ident})")
                }
                Presence::Plain => format!("plain(\"{name}\", &self.{ident})"),
                Presence::Optional => format!("optional(\"{name}\", &self.{ident})"),
            };
            line!(out, "            .{call}");
        }
        put(out, "            .end();\n    }\n}\n");
        if hides {
            line!(out, "impl std::fmt::Debug for {name} {{");
            put(
                out,
                "    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {",
            );
            put(
                out,
                "        f.write_str(&wire::Text::of(self))\n    }\n}\n",
            );
        }
    }

    fn read_fields(self, out: &mut String, fields: &[Field]) {
        for Field { id, .. } in fields {
            line!(out, "        let mut f{id} = None;");
        }
        put(out, "        input.struct_begin()?;");
        put(
            out,
            "        while let Some((id, kind)) = input.field_begin()? {",
        );
        put(out, "            match id {");
        for Field { id, .. } in fields {
            line!(
                out,
                "                {id} => input.field(kind, &mut f{id})?,"
            );
        }
        put(
            out,
            "                _ => input.skip(kind)?,\n            }\n        }",
        );
        put(out, "        input.struct_end()?;");
        self.read_end(out, fields);
    }

    /// Puts the struct together from what was read, and refuses it when a required field is missing.
    fn read_end(self, out: &mut String, fields: &[Field]) {
        let checks = |is_lenient: bool| {
            let checked = fields.iter().filter(|field| {
                field.presence == Presence::Required
                    && field.annotations.contains_key("lenient") == is_lenient
            });
            let checks: Vec<String> = checked
                .map(|Field { id, .. }| format!("({id}, f{id}.is_none())"))
                .collect();
            checks.join(", ")
        };
        let (required, lenient) = (checks(false), checks(true));
        if !required.is_empty() {
            line!(out, "        let required = [{required}];");
            line!(out, "        let lenient = [{lenient}];");
        }
        put(out, "        let value = Self {");
        for field in fields {
            let id = field.id;
            let default = field.default.as_ref();
            let default = default.map(|default| self.literal(field, default));
            let rest = match (default, field.presence) {
                (Some(value), Presence::Required) => format!(".unwrap_or_else(|| {value})"),
                (None, Presence::Required) => ".unwrap_or_default()".to_owned(),
                (Some(value), _) => format!(".or_else(|| Some({value}))"),
                (None, _) => String::new(),
            };
            let ident = name::snake(&field.name);
            line!(out, "            {ident}: f{id}{rest},");
        }
        let value = match required.is_empty() {
            true => "Ok(value)",
            false => "input.complete(value, &required, &lenient)",
        };
        line!(out, "        }};\n        {value}\n    }}\n");
    }

    fn union(self, out: &mut String, shape: &Shape<'_>, fields: &[Field]) {
        let name = shape.name;
        emit_doc(out, "", shape.doc);
        line!(out, "#[derive({})]\npub enum {name} {{", shape.derives);
        put(
            out,
            "    /// Nothing is set, or something that only a newer peer knows.",
        );
        put(out, "    #[default]\n    Unset,");
        for Field {
            doc, name, kind, ..
        } in fields
        {
            emit_doc(out, "    ", doc);
            line!(out, "    {}({}),", name::camel(name), self.rust_type(kind));
        }
        line!(out, "}}\n\nimpl wire::Wire for {name} {{");
        put(out, "    const TYPE: wire::TType = wire::TType::Struct;\n");
        line!(out, "    fn write{WRITE_SIGNATURE} {{");
        put(
            out,
            "        out.struct_begin()?;\n        match self {\n            Self::Unset => {}",
        );
        for Field { id, name, .. } in fields {
            let variant = name::camel(name);
            line!(
                out,
                "            Self::{variant}(value) => out.field({id}, value)?,"
            );
        }
        put(out, "        }\n        out.struct_end()\n    }\n");
        line!(out, "    fn read{READ_SIGNATURE} {{");
        put(
            out,
            "        let mut set = None;\n        let mut n_fields = 0;",
        );
        put(out, "        input.struct_begin()?;");
        put(
            out,
            "        while let Some((id, kind)) = input.field_begin()? {",
        );
        put(out, "            n_fields += 1;\n            match id {");
        for Field { id, name, .. } in fields {
            let variant = name::camel(name);
            let call = format!("input.variant(kind, &mut set, Self::{variant})?");
            line!(out, "                {id} => {call},");
        }
        put(
            out,
            "                _ => input.skip(kind)?,\n            }\n        }",
        );
        put(
            out,
            "        input.union_end(n_fields)?;\n        Ok(set.unwrap_or_default())\n    }\n",
        );
        put(
            out,
            "    fn describe(&self, text: &mut wire::Text) {\n        match self {",
        );
        line!(out, "            Self::Unset => text.push(\"<{name} >\"),");
        for Field { name: field, .. } in fields {
            let variant = name::camel(field);
            let call = format!("text.variant(\"{name}\", \"{field}\", value)");
            line!(out, "            Self::{variant}(value) => {call},");
        }
        put(out, "        }\n    }\n}\n");
    }

    /// A struct's field: optional unless it is required.
    fn field_type(self, field: &Field) -> String {
        let inner = self.rust_type(&field.kind);
        match field.presence {
            Presence::Required => inner,
            Presence::Plain | Presence::Optional => format!("Option<{inner}>"),
        }
    }

    fn rust_type(self, kind: &Type) -> String {
        match kind {
            Type::Bool => "bool".to_owned(),
            Type::I8 => "i8".to_owned(),
            Type::I16 => "i16".to_owned(),
            Type::I32 => "i32".to_owned(),
            Type::I64 => "i64".to_owned(),
            Type::Double => "f64".to_owned(),
            Type::String => "String".to_owned(),
            Type::Binary => "bytes::Bytes".to_owned(),
            Type::List(item) => format!("Vec<{}>", self.rust_type(item)),
            Type::Set(item) => format!("std::collections::BTreeSet<{}>", self.rust_type(item)),
            Type::Map(key, value) => {
                let (key, value) = (self.rust_type(key), self.rust_type(value));
                format!("std::collections::BTreeMap<{key}, {value}>")
            }
            Type::Named { scope, name } => {
                let path = format!("wire::{}::{name}", scope.as_deref().unwrap_or(self.scope));
                if self.is_enum(kind) {
                    format!("wire::Open<{path}>")
                } else {
                    path
                }
            }
        }
    }

    fn is_enum(self, kind: &Type) -> bool {
        let Type::Named { scope, name } = kind else {
            return false;
        };
        let scope = scope.as_deref().unwrap_or(self.scope);
        matches!(self.model.find(scope, name), Some(Definition::Enum))
    }

    /// No double inside. `seen` holds the structs that are being looked at, since types may
    /// recurse.
    fn is_ordered(self, fields: &[Field], seen: &mut Vec<String>) -> bool {
        fields
            .iter()
            .all(|field| self.is_type_ordered(&field.kind, seen))
    }

    fn is_type_ordered(self, kind: &Type, seen: &mut Vec<String>) -> bool {
        match kind {
            Type::Double => false,
            Type::List(item) | Type::Set(item) => self.is_type_ordered(item, seen),
            Type::Map(key, value) => {
                self.is_type_ordered(key, seen) && self.is_type_ordered(value, seen)
            }
            Type::Named { scope, name } => {
                let scope = scope.as_deref().unwrap_or(self.scope);
                let Some(Definition::Struct(structure)) = self.model.find(scope, name) else {
                    return true;
                };
                let path = format!("{scope}.{name}");
                if seen.contains(&path) {
                    return true;
                }
                seen.push(path);
                let place = Place { scope, ..self };
                place.is_ordered(&structure.fields, seen)
            }
            _ => true,
        }
    }

    fn literal(self, field: &Field, literal: &Literal) -> String {
        match literal {
            Literal::Number(number) if self.is_enum(&field.kind) => {
                format!("wire::Open::from_i32({number})")
            }
            Literal::Number(number) if field.kind == Type::Double => format!("f64::from({number})"),
            Literal::Number(number) => number.clone(),
            Literal::Text(text) => format!("{text:?}.into()"),
            Literal::Flag(flag) => (*flag).to_owned(),
            Literal::Empty => "Default::default()".to_owned(),
        }
    }
}

fn emit_enum(out: &mut String, enumeration: &Enum) {
    let name = &enumeration.name;
    emit_doc(out, "", &enumeration.doc);
    put(
        out,
        "#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]",
    );
    line!(out, "pub enum {name} {{");
    for (index, value) in enumeration.values.iter().enumerate() {
        emit_doc(out, "    ", &value.doc);
        if index == 0 {
            put(out, "    #[default]");
        }
        line!(out, "    {} = {},", name::camel(&value.name), value.number);
    }
    line!(out, "}}\n\nimpl {name} {{");
    put(
        out,
        "    /// None for a number that only a newer peer knows.",
    );
    put(
        out,
        "    pub fn from_i32(value: i32) -> Option<Self> {\n        match value {",
    );
    for value in &enumeration.values {
        let variant = name::camel(&value.name);
        line!(
            out,
            "            {} => Some(Self::{variant}),",
            value.number
        );
    }
    put(out, "            _ => None,\n        }\n    }\n");
    put(
        out,
        "    pub fn as_i32(self) -> i32 {\n        self as i32\n    }\n",
    );
    put(
        out,
        "    /// As in the IDL.\n    pub fn name(self) -> &'static str {\n        match self {",
    );
    for value in &enumeration.values {
        let variant = name::camel(&value.name);
        line!(out, "            Self::{variant} => \"{}\",", value.name);
    }
    put(out, "        }\n    }\n}\n");
    line!(out, "impl wire::Enumeration for {name} {{");
    put(
        out,
        "    fn from_i32(value: i32) -> Option<Self> {\n        Self::from_i32(value)\n    }\n",
    );
    put(
        out,
        "    fn as_i32(self) -> i32 {\n        self.as_i32()\n    }\n",
    );
    put(
        out,
        "    fn name(self) -> &'static str {\n        self.name()\n    }\n}\n",
    );
}

fn emit_exception(out: &mut String, structure: &Struct) {
    let name = &structure.name;
    let is_message = |field: &&Field| {
        ["msg", "text"].contains(&field.name.as_str())
            && field.kind == Type::String
            && field.presence == Presence::Required
    };
    let shown = match structure.fields.iter().find(is_message) {
        Some(field) => format!("f.write_str(&self.{})", field.name),
        None => format!("f.write_str(\"{name}\")"),
    };
    line!(out, "impl std::fmt::Display for {name} {{");
    put(
        out,
        "    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {",
    );
    line!(out, "        {shown}\n    }}\n}}\n");
    line!(out, "impl std::error::Error for {name} {{}}\n");
}

fn emit_doc(out: &mut String, indent: &str, doc: &Doc) {
    for line in doc {
        put(out, format!("{indent}/// {line}").trim_end());
    }
}

fn put(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

const WRITE_SIGNATURE: &str = "(&self, out: &mut wire::Output) -> Result<(), wire::WireError>";
const READ_SIGNATURE: &str = "(input: &mut wire::Input<'_>) -> Result<Self, wire::WireError>";
/// What texts and logs never show.
fn is_secret(field: &Field) -> bool {
    field.annotations.contains_key("secret")
}

const DERIVES: &str = "Clone, Debug, Default, PartialEq";
const DERIVES_ORDERED: &str = "Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash";
