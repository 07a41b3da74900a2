//! The IDL as the tests' own source of bytes: valid values of any type, with an accident on demand.

use super::idl::{self, Document, Field, Kind, Presence, Type};

pub(super) struct Schema {
    documents: Vec<Document>,
}

pub(super) fn schema() -> Schema {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("thrift");
    let read = |file: &str| {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        idl::parse(file, &text).unwrap()
    };
    Schema {
        documents: ["storm.thrift", "messages.thrift"].map(read).into(),
    }
}

/// Chooses numbers below a bound: the seed of random values.
pub(super) type Choose<'c> = &'c mut dyn FnMut(usize) -> usize;

impl Schema {
    pub(super) fn document(&self, scope: &str) -> &Document {
        let file = format!("{scope}.thrift");
        self.documents
            .iter()
            .find(|item| item.file == file)
            .unwrap()
    }

    pub(super) fn record(&self, scope: &str, name: &str) -> (Kind, &[Field]) {
        let structs = &self.document(scope).structs;
        let item = structs.iter().find(|item| item.name == name).unwrap();
        (item.kind, &item.fields)
    }

    /// The fields of the arguments and of the result of a method.
    pub(super) fn method(
        &self,
        scope: &str,
        service: &str,
        method: &str,
    ) -> (&[Field], Vec<Field>) {
        let services = &self.document(scope).services;
        let service = services.iter().find(|item| item.name == service).unwrap();
        let method = service
            .methods
            .iter()
            .find(|item| item.name == method)
            .unwrap();
        let field = |id, kind: &Type| Field {
            id,
            name: String::new(),
            doc: Vec::new(),
            presence: Presence::Optional,
            kind: kind.clone(),
            default: None,
            annotations: Default::default(),
            line: 0,
        };
        let success = method.result.iter().map(|kind| field(0, kind));
        let throws = method.throws.iter().map(|item| field(item.id, &item.kind));
        (&method.arguments, success.chain(throws).collect())
    }

    /// A struct of these fields in which every container and text, one after the other, has lied
    /// about its length: calls `see` with the name of the place and the bytes.
    pub(super) fn bombs(
        &self,
        scope: &str,
        (kind, fields): (Kind, &[Field]),
        length: [u8; 4],
        see: &mut dyn FnMut(&str, Vec<u8>),
    ) {
        let bombs = Bombs {
            schema: self,
            length,
        };
        bombs.structure(scope, kind, fields, 0, &mut |path, bytes| see(&path, bytes));
    }

    /// A random valid struct of these fields.
    pub(super) fn random(
        &self,
        scope: &str,
        (kind, fields): (Kind, &[Field]),
        choose: Choose<'_>,
    ) -> Vec<u8> {
        self.structure(scope, kind, fields, 0, choose)
    }

    fn structure(
        &self,
        scope: &str,
        kind: Kind,
        fields: &[Field],
        depth: usize,
        choose: Choose<'_>,
    ) -> Vec<u8> {
        let only = (kind == Kind::Union).then(|| {
            // The first variants of our unions do not recurse.
            choose(if depth >= DEPTH_MAX { 1 } else { fields.len() })
        });
        let mut bytes = Vec::new();
        for (index, field) in fields.iter().enumerate() {
            let present = match only {
                Some(only) => index == only,
                None => field.presence == Presence::Required || choose(2) == 1,
            };
            if present {
                bytes.extend(header(self, scope, field));
                bytes.extend(self.value(scope, &field.kind, depth, choose));
            }
        }
        bytes.push(0);
        bytes
    }

    fn value(&self, scope: &str, kind: &Type, depth: usize, choose: Choose<'_>) -> Vec<u8> {
        let n_items = if depth >= DEPTH_MAX { 0 } else { choose(3) };
        let mut number = |n: usize| (0..n).map(|_| choose(256) as u8).collect::<Vec<u8>>();
        match kind {
            Type::Bool => vec![choose(2) as u8],
            Type::I8 => number(1),
            Type::I16 => number(2),
            Type::I32 => number(4),
            Type::I64 | Type::Double => number(8),
            Type::String => {
                let text: String = (0..n_items)
                    .map(|_| ['a', 'é', '\u{1F4A7}'][choose(3)])
                    .collect();
                [&super::i32_bytes(text.len())[..], text.as_bytes()].concat()
            }
            Type::Binary => {
                let bytes = number(n_items);
                [&super::i32_bytes(n_items)[..], &bytes].concat()
            }
            Type::List(item) | Type::Set(item) => {
                let mut bytes = vec![code(self, scope, item)];
                bytes.extend(super::i32_bytes(n_items));
                for _ in 0..n_items {
                    bytes.extend(self.value(scope, item, depth + 1, choose));
                }
                bytes
            }
            Type::Map(key, value) => {
                let mut bytes = vec![code(self, scope, key), code(self, scope, value)];
                bytes.extend(super::i32_bytes(n_items));
                for _ in 0..n_items {
                    bytes.extend(self.value(scope, key, depth + 1, choose));
                    bytes.extend(self.value(scope, value, depth + 1, choose));
                }
                bytes
            }
            Type::Named { .. } => match self.find(scope, kind) {
                None => super::i32_bytes(choose(6)).to_vec(),
                Some((scope, kind, fields)) => {
                    self.structure(scope, kind, fields, depth + 1, choose)
                }
            },
        }
    }

    /// The struct of a name; none for an enum.
    fn find<'s>(&'s self, scope: &'s str, kind: &'s Type) -> Option<(&'s str, Kind, &'s [Field])> {
        let Type::Named { scope: other, name } = kind else {
            return None;
        };
        let scope = other.as_deref().unwrap_or(scope);
        let structs = &self.document(scope).structs;
        let item = structs.iter().find(|item| &item.name == name)?;
        Some((scope, item.kind, &item.fields))
    }
}

struct Bombs<'s> {
    schema: &'s Schema,
    length: [u8; 4],
}

/// Is told the path and the bytes of a bomb.
type See<'s> = &'s mut dyn FnMut(String, Vec<u8>);

impl Bombs<'_> {
    fn structure(&self, scope: &str, kind: Kind, fields: &[Field], depth: usize, see: See<'_>) {
        for field in fields {
            // What is required stands before, as in a true message; the rest is never reached.
            let mut before = Vec::new();
            let others = fields.iter().take_while(|other| other.id != field.id);
            for other in others.filter(|other| other.presence == Presence::Required) {
                before.extend(header(self.schema, scope, other));
                before.extend(self.schema.value(scope, &other.kind, DEPTH_MAX, &mut |_| 0));
            }
            if kind == Kind::Union {
                before.clear();
            }
            before.extend(header(self.schema, scope, field));
            self.value(scope, &field.kind, depth, &mut |path, bytes| {
                see(
                    format!(".{}{path}", field.name),
                    [&before[..], &bytes].concat(),
                );
            });
        }
    }

    fn value(&self, scope: &str, kind: &Type, depth: usize, see: See<'_>) {
        if depth > DEPTH_MAX {
            return;
        }
        let one = super::i32_bytes(1);
        match kind {
            Type::String | Type::Binary => see(String::new(), self.length.to_vec()),
            Type::List(item) | Type::Set(item) => {
                let code = code(self.schema, scope, item);
                see(String::new(), [&[code][..], &self.length].concat());
                self.value(scope, item, depth + 1, &mut |path, bytes| {
                    see(format!("[]{path}"), [&[code][..], &one, &bytes].concat());
                });
            }
            Type::Map(key, value) => {
                let codes = [
                    code(self.schema, scope, key),
                    code(self.schema, scope, value),
                ];
                see(String::new(), [&codes[..], &self.length].concat());
                self.value(scope, key, depth + 1, &mut |path, bytes| {
                    see(
                        format!("{{key}}{path}"),
                        [&codes[..], &one, &bytes].concat(),
                    );
                });
                let key = self.schema.value(scope, key, DEPTH_MAX, &mut |_| 0);
                self.value(scope, value, depth + 1, &mut |path, bytes| {
                    see(
                        format!("{{}}{path}"),
                        [&codes[..], &one, &key, &bytes].concat(),
                    );
                });
            }
            Type::Named { .. } => {
                if let Some((scope, kind, fields)) = self.schema.find(scope, kind) {
                    self.structure(scope, kind, fields, depth + 1, see);
                }
            }
            _ => {}
        }
    }
}

fn header(schema: &Schema, scope: &str, field: &Field) -> [u8; 3] {
    let [high, low] = field.id.to_be_bytes();
    [code(schema, scope, &field.kind), high, low]
}

fn code(schema: &Schema, scope: &str, kind: &Type) -> u8 {
    match kind {
        Type::Bool => 2,
        Type::I8 => 3,
        Type::Double => 4,
        Type::I16 => 6,
        Type::I32 => 8,
        Type::I64 => 10,
        Type::String | Type::Binary => 11,
        Type::Map(..) => 13,
        Type::Set(_) => 14,
        Type::List(_) => 15,
        Type::Named { .. } => match schema.find(scope, kind) {
            Some(_) => 12,
            None => 8,
        },
    }
}

/// Where to stop in types that recurse.
const DEPTH_MAX: usize = 7;
