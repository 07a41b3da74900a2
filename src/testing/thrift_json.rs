//! Messages of Storm's services as JSON with the names of the IDL, for tests that compare recorded
//! conversations.
//!
//! Reads `thrift/storm.thrift` itself, apart from the generated code that it helps to judge. Panics
//! on anything that makes no sense: tests feed it their own vectors.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::wire::tests::idl::{self, Kind, Method, Struct, Type};

/// The structs and methods of the IDL.
pub struct Contract {
    structs: BTreeMap<String, Struct>,
    enums: Vec<String>,
    methods: BTreeMap<String, Method>,
}

/// A message: its name, header and body.
pub struct Message {
    pub name: String,
    pub seqid: i32,
    /// 2 is a reply, 3 a TApplicationException.
    pub kind: u8,
    body: usize,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

// === impl Contract ===

impl Contract {
    /// The contract of one service of `storm.thrift`.
    pub fn of(service: &str) -> Self {
        let text = include_str!("../../thrift/storm.thrift");
        let document = idl::parse("storm.thrift", text).unwrap_or_else(|error| panic!("{error}"));
        let named = |s: Struct| (s.name.clone(), s);
        let mut services = document.services.into_iter();
        let service = services
            .find(|found| found.name == service)
            .expect("a service");
        Contract {
            structs: document.structs.into_iter().map(named).collect(),
            enums: document.enums.into_iter().map(|e| e.name).collect(),
            methods: service
                .methods
                .into_iter()
                .map(|m| (m.name.clone(), m))
                .collect(),
        }
    }

    /// A struct of the IDL as the generated type of that name.
    pub fn typed<T: crate::wire::Wire>(&self, name: &str, value: &Value) -> T {
        let mut bytes = Vec::new();
        self.put_fields(&mut bytes, &self.structs[name].fields, value);
        crate::wire::from_bytes(&bytes).expect("a struct of that name")
    }

    /// A call of that name.
    pub fn message(name: &str) -> Message {
        Message {
            name: name.to_owned(),
            seqid: 0,
            kind: 1,
            body: 0,
        }
    }

    /// The arguments of a call, by name.
    pub fn arguments(&self, frame: &[u8]) -> (Message, Value) {
        let message = header(frame);
        let mut reader = Reader {
            bytes: frame,
            at: message.body,
        };
        let method = &self.methods[&message.name];
        let arguments = self.fields(&mut reader, &method.arguments);
        (message, arguments)
    }

    /// A call with these arguments and a strict header.
    pub fn call(&self, message: &Message, arguments: &Value) -> Vec<u8> {
        let mut out = vec![0x80, 1, 0, 1];
        put_binary(&mut out, message.name.as_bytes());
        out.extend(message.seqid.to_be_bytes());
        self.put_fields(&mut out, &self.methods[&message.name].arguments, arguments);
        out
    }

    /// `{"success"}`, `{"exception"}` or nothing for void, as the vectors describe replies.
    pub fn reply(&self, method: &str, frame: &[u8]) -> Value {
        let message = header(frame);
        assert_eq!(message.name, method);
        let mut reader = Reader {
            bytes: frame,
            at: message.body,
        };
        if message.kind == 3 {
            let exception = self.fields(&mut reader, &[]);
            return json!({"exception": {
                "class": "TApplicationException",
                "type": exception["#2"],
                "message": exception["#1"],
            }});
        }
        let method = &self.methods[method];
        let mut reply = Map::new();
        loop {
            let (kind, id) = reader.field();
            if kind == 0 {
                return Value::Object(reply);
            }
            if id == 0 {
                let success = self.value(&mut reader, kind, method.result.as_ref());
                reply.insert("success".to_owned(), success);
                continue;
            }
            let thrown = method
                .throws
                .iter()
                .find(|field| field.id == id)
                .expect("declared");
            let Type::Named { name, .. } = &thrown.kind else {
                panic!("an exception is a struct")
            };
            let mut exception = self.value(&mut reader, kind, Some(&thrown.kind));
            exception["class"] = json!(name);
            exception["field"] = json!(id);
            reply.insert("exception".to_owned(), exception);
        }
    }

    fn fields(&self, reader: &mut Reader<'_>, known: &[idl::Field]) -> Value {
        let mut fields = Map::new();
        loop {
            let (kind, id) = reader.field();
            if kind == 0 {
                return Value::Object(fields);
            }
            let field = known.iter().find(|field| field.id == id);
            let value = self.value(reader, kind, field.map(|field| &field.kind));
            let name = field.map_or_else(|| format!("#{id}"), |field| field.name.clone());
            fields.insert(name, value);
        }
    }

    fn value(&self, reader: &mut Reader<'_>, kind: u8, known: Option<&Type>) -> Value {
        match kind {
            2 => json!(reader.take(1)[0] != 0),
            3 => json!(i8::from_be_bytes([reader.take(1)[0]])),
            4 => json!(f64::from_bits(reader.i64().cast_unsigned())),
            6 => json!(reader.i16()),
            8 => json!(reader.i32()),
            10 => json!(reader.i64()),
            11 => {
                let length = usize::try_from(reader.i32()).expect("a length");
                let bytes = reader.take(length);
                match known {
                    Some(Type::Binary) => json!({"$bin": hex(bytes)}),
                    _ => json!(String::from_utf8_lossy(bytes)),
                }
            }
            12 => match known {
                Some(Type::Named { name, .. }) => self.fields(reader, &self.structs[name].fields),
                _ => self.fields(reader, &[]),
            },
            13 => self.map(reader, known),
            14 | 15 => {
                let of = reader.take(1)[0];
                let n = reader.i32();
                let element = match known {
                    Some(Type::List(element) | Type::Set(element)) => Some(element.as_ref()),
                    _ => None,
                };
                (0..n).map(|_| self.value(reader, of, element)).collect()
            }
            other => panic!("type {other}"),
        }
    }

    fn map(&self, reader: &mut Reader<'_>, known: Option<&Type>) -> Value {
        let (of_keys, of_values) = (reader.take(1)[0], reader.take(1)[0]);
        let n = reader.i32();
        let (key, value) = match known {
            Some(Type::Map(key, value)) => (Some(key.as_ref()), Some(value.as_ref())),
            _ => (None, None),
        };
        let entries = (0..n).map(|_| {
            let key = self.value(reader, of_keys, key);
            (key, self.value(reader, of_values, value))
        });
        let entries: Vec<(Value, Value)> = entries.collect();
        if of_keys == 11 || n == 0 && matches!(key, Some(Type::String)) {
            let text = |key: Value| key.as_str().expect("text").to_owned();
            return entries
                .into_iter()
                .map(|(key, value)| (text(key), value))
                .collect();
        }
        json!({"$map": entries.into_iter().map(|(k, v)| json!([k, v])).collect::<Vec<_>>()})
    }

    fn put_fields(&self, out: &mut Vec<u8>, known: &[idl::Field], fields: &Value) {
        for field in known {
            if let Some(value) = fields.get(&field.name) {
                out.push(self.code(&field.kind));
                out.extend(field.id.to_be_bytes());
                self.put(out, &field.kind, value);
            }
        }
        out.push(0);
    }

    fn put(&self, out: &mut Vec<u8>, kind: &Type, value: &Value) {
        let integer = || value.as_i64().expect("an integer");
        match kind {
            Type::Bool => out.push(u8::from(value.as_bool().expect("a flag"))),
            Type::I8 => out.extend(i8::try_from(integer()).expect("a byte").to_be_bytes()),
            Type::I16 => out.extend(i16::try_from(integer()).expect("a short").to_be_bytes()),
            Type::I32 => out.extend(i32::try_from(integer()).expect("an int").to_be_bytes()),
            Type::I64 => out.extend(integer().to_be_bytes()),
            Type::Double => out.extend(value.as_f64().expect("a number").to_be_bytes()),
            Type::String => put_binary(out, value.as_str().expect("text").as_bytes()),
            Type::Binary => put_binary(out, &unhex(value["$bin"].as_str().expect("bytes"))),
            Type::List(element) | Type::Set(element) => {
                let values = value.as_array().expect("a list");
                out.push(self.code(element));
                put_length(out, values.len());
                values
                    .iter()
                    .for_each(|value| self.put(out, element, value));
            }
            Type::Map(of_keys, of_values) => {
                let entries: Vec<(Value, &Value)> = match value.get("$map") {
                    Some(entries) => {
                        let entries = entries.as_array().expect("entries");
                        entries
                            .iter()
                            .map(|entry| (entry[0].clone(), &entry[1]))
                            .collect()
                    }
                    None => {
                        let entries = value.as_object().expect("a map");
                        entries
                            .iter()
                            .map(|(key, value)| (json!(key), value))
                            .collect()
                    }
                };
                out.extend([self.code(of_keys), self.code(of_values)]);
                put_length(out, entries.len());
                for (key, value) in entries {
                    self.put(out, of_keys, &key);
                    self.put(out, of_values, value);
                }
            }
            Type::Named { name, .. } if self.enums.contains(name) => {
                self.put(out, &Type::I32, value);
            }
            Type::Named { name, .. } => self.put_fields(out, &self.structs[name].fields, value),
        }
    }

    fn code(&self, kind: &Type) -> u8 {
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
            Type::Named { name, .. } if self.enums.contains(name) => 8,
            Type::Named { name, .. } => match self.structs[name].kind {
                Kind::Struct | Kind::Union | Kind::Exception => 12,
            },
        }
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let taken = &self.bytes[self.at..self.at + n];
        self.at += n;
        taken
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().expect("two bytes"))
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().expect("four bytes"))
    }

    fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.take(8).try_into().expect("eight bytes"))
    }

    /// Type and id; type 0 ends a struct.
    fn field(&mut self) -> (u8, i16) {
        match self.take(1)[0] {
            0 => (0, 0),
            kind => (kind, self.i16()),
        }
    }
}

/// The header of a message without its length, strict or not.
fn header(frame: &[u8]) -> Message {
    let mut reader = Reader {
        bytes: frame,
        at: 0,
    };
    let first = reader.i32();
    let (length, kind) = match first {
        version if version < 0 => (reader.i32(), Some(version.to_be_bytes()[3])),
        length => (length, None),
    };
    let name = reader.take(usize::try_from(length).expect("a length"));
    let name = String::from_utf8(name.to_vec()).expect("a name");
    let kind = kind.unwrap_or_else(|| reader.take(1)[0]);
    let seqid = reader.i32();
    let body = reader.at;
    Message {
        name,
        seqid,
        kind,
        body,
    }
}

fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend(bytes);
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend(i32::try_from(length).expect("a length").to_be_bytes());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("hex");
        u8::from_str_radix(pair, 16).expect("hex")
    };
    digits.map(byte).collect()
}
