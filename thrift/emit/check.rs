//! Refuses an IDL file of which no Rust could be made, and names the place.

use super::super::idl::{Document, Field, IdlError, Kind, Method, Presence, Struct, Type};
use super::{Model, stem};

/// One file among those that it may name.
struct Checked<'m> {
    model: &'m Model,
    document: &'m Document,
}

pub(super) fn check(model: &Model) -> Result<(), IdlError> {
    for document in &model.documents {
        let checked = Checked { model, document };
        for structure in &document.structs {
            checked.structure(structure)?;
        }
        let methods = document.services.iter().flat_map(|item| &item.methods);
        for method in methods {
            checked.method(method)?;
        }
    }
    Ok(())
}

// === impl Checked ===

impl Checked<'_> {
    fn structure(&self, structure: &Struct) -> Result<(), IdlError> {
        for field in &structure.fields {
            self.field(field)?;
            if structure.kind == Kind::Union && field.presence == Presence::Required {
                let what = format!("the union {} requires a field", structure.name);
                return Err(self.error(field.line, what, "remove 'required'"));
            }
        }
        Ok(())
    }

    fn method(&self, method: &Method) -> Result<(), IdlError> {
        if let Some(result) = &method.result {
            self.type_(result, method.line)?;
        }
        for (index, field) in method.throws.iter().enumerate() {
            let mut others = method.throws.iter().take(index);
            if others.any(|other| other.kind == field.kind) {
                let what = format!("{} throws one exception twice", method.name);
                return Err(self.error(field.line, what, "remove one of them"));
            }
        }
        let mut fields = method.arguments.iter().chain(&method.throws);
        fields.try_for_each(|field| self.field(field))
    }

    fn field(&self, field: &Field) -> Result<(), IdlError> {
        self.type_(&field.kind, field.line)?;
        for name in field.annotations.keys() {
            let fits = match name.as_str() {
                "lenient" => field.presence == Presence::Required,
                "secret" => true,
                _ => false,
            };
            if !fits {
                let what = format!("'{name}' has no meaning for the field {}", field.name);
                let fix = "use lenient with a required field, or secret, or remove it";
                return Err(self.error(field.line, what, fix));
            }
        }
        Ok(())
    }

    fn type_(&self, kind: &Type, line: usize) -> Result<(), IdlError> {
        match kind {
            Type::List(item) | Type::Set(item) => self.type_(item, line),
            Type::Map(key, value) => {
                self.type_(key, line)?;
                self.type_(value, line)
            }
            Type::Named { scope, name } => self.name(scope.as_deref(), name, line),
            _ => Ok(()),
        }
    }

    fn name(&self, scope: Option<&str>, name: &str, line: usize) -> Result<(), IdlError> {
        let mut includes = self.document.includes.iter();
        let is_included = scope.is_none_or(|scope| includes.any(|file| stem(file) == scope));
        let scope = scope.unwrap_or(stem(&self.document.file));
        if is_included && self.model.find(scope, name).is_some() {
            return Ok(());
        }
        let what = format!("there is no type {name} in {scope}");
        let fix = "define it there, or include the file that does";
        Err(self.error(line, what, fix))
    }

    fn error(&self, line: usize, what: String, fix: &str) -> IdlError {
        IdlError {
            file: self.document.file.clone(),
            line,
            what,
            fix: fix.to_owned(),
        }
    }
}
