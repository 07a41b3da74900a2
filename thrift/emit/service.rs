//! Writes a service: its trait, errors, dispatcher, client and table of methods.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::idl::{Doc, Field, Method, Presence, Service, Type};
use super::{DERIVES, Place, Shape, emit_doc, name, put};

pub(super) fn emit(out: &mut String, place: Place<'_>, service: &Service) {
    emit_doc(out, "", &service.doc);
    line!(out, "pub mod {} {{", name::snake(&service.name));
    put(out, "use std::future::Future;\nuse std::sync::Arc;\n");
    put(
        out,
        "use bytes::Bytes;\n\nuse crate::rpc::{Caller, Channel, Close, Dispatch, Failure, Refusal};",
    );
    put(
        out,
        "use crate::wire;\nuse crate::wire::message::{Link, Request};\n",
    );
    emit_trait(out, place, service);
    emit_dispatcher(out, service);
    emit_client(out, place, service);
    emit_table(out, service);
    for method in &service.methods {
        emit_error(out, place, method);
        emit_messages(out, place, method);
    }
    put(out, "}\n");
}

fn emit_trait(out: &mut String, place: Place<'_>, service: &Service) {
    emit_doc(out, "", &service.doc);
    put(
        out,
        "///\n/// A method that is not implemented answers as an unknown one.",
    );
    put(out, "pub trait Service: Send + Sync + 'static {");
    for method in &service.methods {
        let ident = name::snake(&method.name);
        let parameters: String = method
            .arguments
            .iter()
            .map(|field| {
                let ident = name::snake(&field.name);
                format!(", {ident}: {}", place.field_type(field))
            })
            .collect();
        let idents = method
            .arguments
            .iter()
            .map(|field| name::snake(&field.name));
        let ignored = match method.arguments.len() {
            0 => "caller".to_owned(),
            _ => format!("(caller, {})", idents.collect::<Vec<_>>().join(", ")),
        };
        let outcome = outcome(place, method);
        emit_doc(out, "    ", &method.doc);
        line!(out, "    fn {ident}(&self, caller: &Caller{parameters})");
        line!(out, "    -> impl Future<Output = {outcome}> + Send {{");
        line!(out, "        let _ = {ignored};");
        let failure = format!("Failure::UnknownMethod(\"{}\".to_owned())", method.name);
        line!(
            out,
            "        std::future::ready(Err({failure}.into()))\n    }}\n"
        );
    }
    put(out, "}\n");
}

fn emit_dispatcher(out: &mut String, service: &Service) {
    put(out, DISPATCHER);
    for method in &service.methods {
        let ident = name::snake(&method.name);
        let stem = type_stem(method);
        line!(out, "            \"{}\" => {{", method.name);
        let binding = if method.arguments.is_empty() {
            "_"
        } else {
            "args"
        };
        line!(
            out,
            "                let {binding}: {stem}Args = request.arguments()?;"
        );
        let arguments: String = method
            .arguments
            .iter()
            .map(|field| format!(", args.{}", name::snake(&field.name)))
            .collect();
        line!(
            out,
            "                let outcome = self.0.{ident}(caller{arguments}).await;"
        );
        line!(
            out,
            "                request.reply(&{stem}Reply::of(outcome)?)"
        );
        put(out, "            }");
    }
    put(
        out,
        "            _ => Err(request.unknown_method()),\n        }\n    }\n}\n",
    );
}

fn emit_client(out: &mut String, place: Place<'_>, service: &Service) {
    put(out, CLIENT);
    for method in &service.methods {
        let ident = name::snake(&method.name);
        let stem = type_stem(method);
        let parameters: String = method
            .arguments
            .iter()
            .map(|field| {
                let ident = name::snake(&field.name);
                format!(", {ident}: {}", parameter_type(place, field))
            })
            .collect();
        emit_doc(out, "    ", &method.doc);
        line!(out, "    pub async fn {ident}(&mut self{parameters})");
        line!(out, "    -> {} {{", outcome(place, method));
        let closure = if method.arguments.is_empty() {
            "|_| Ok(())".to_owned()
        } else {
            let writes: String = method
                .arguments
                .iter()
                .map(|field| format!("            {}\n", write_parameter(place, field)))
                .collect();
            format!("|out| {{\n{writes}            Ok(())\n        }}")
        };
        let call = format!("self.link.call(\"{}\", {closure})", method.name);
        line!(out, "        let reply: {stem}Reply = {call}.await?;");
        put(out, "        reply.outcome()\n    }\n");
    }
    put(out, "}\n");
}

fn emit_table(out: &mut String, service: &Service) {
    put(out, "/// All methods, in the order of the IDL.");
    put(out, "pub static METHODS: &[wire::Method] = &[");
    for method in &service.methods {
        let stem = type_stem(method);
        line!(
            out,
            "    wire::Method {{\n        name: \"{}\",",
            method.name
        );
        line!(out, "        recode_arguments: wire::recode::<{stem}Args>,");
        line!(
            out,
            "        recode_reply: wire::recode::<{stem}Reply>,\n    }},"
        );
    }
    put(out, "];\n");
}

fn emit_error(out: &mut String, place: Place<'_>, method: &Method) {
    let name = format!("{}Error", type_stem(method));
    let mut variants: BTreeMap<String, String> = BTreeMap::new();
    for field in &method.throws {
        variants.insert(variant(field), place.rust_type(&field.kind));
    }
    variants.insert("Failure".to_owned(), "Failure".to_owned());
    line!(out, "/// Why `{}` has no result.", method.name);
    line!(out, "#[derive(Debug)]\npub enum {name} {{");
    for (variant, kind) in &variants {
        line!(out, "    {variant}({kind}),");
    }
    put(out, "}\n");
    for (variant, kind) in &variants {
        line!(out, "impl From<{kind}> for {name} {{");
        line!(out, "    fn from(error: {kind}) -> Self {{");
        line!(out, "        Self::{variant}(error)\n    }}\n}}\n");
    }
    line!(out, "impl std::fmt::Display for {name} {{");
    put(
        out,
        "    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {",
    );
    put(out, "        match self {");
    for variant in variants.keys() {
        line!(out, "            Self::{variant}(error) => error.fmt(f),");
    }
    put(out, "        }\n    }\n}\n");
    line!(out, "impl std::error::Error for {name} {{}}\n");
    line!(out, "impl Refusal for {name} {{");
    put(out, "    fn exception(&self) -> Option<&'static str> {");
    put(out, "        match self {");
    for (variant, kind) in &variants {
        let named = match variant.as_str() {
            "Failure" => "None".to_owned(),
            _ => format!("Some({:?})", kind.rsplit("::").next().unwrap_or(kind)),
        };
        line!(out, "            Self::{variant}(_) => {named},");
    }
    put(out, "        }\n    }\n}\n");
}

/// The structs of arguments and result, and the way between a result and its struct.
fn emit_messages(out: &mut String, place: Place<'_>, method: &Method) {
    let stem = type_stem(method);
    let shape = |name, doc| Shape {
        name,
        doc,
        derives: DERIVES,
    };
    let name = format!("{stem}Args");
    let doc = vec![format!("Arguments of `{}`.", method.name)];
    place.structure(out, &shape(&name, &doc), &method.arguments);

    let name = format!("{stem}Reply");
    let doc = vec![format!(
        "Result of `{}`: one field is set, or none.",
        method.name
    )];
    let success = method
        .result
        .iter()
        .map(|kind| reply_field(0, "success", kind));
    let throws = method
        .throws
        .iter()
        .map(|field| reply_field(field.id, &field.name, &field.kind));
    let fields: Vec<Field> = success.chain(throws).collect();
    place.structure(out, &shape(&name, &doc), &fields);

    let rest = match fields.len() {
        1 => "",
        _ => ", ..Self::default()",
    };
    emit_conversions(out, place, method, rest);
}

/// Between a result and its struct; `rest` fills the fields that are not set.
fn emit_conversions(out: &mut String, place: Place<'_>, method: &Method, rest: &str) {
    let stem = type_stem(method);
    let outcome = outcome(place, method);
    line!(out, "impl {stem}Reply {{");
    line!(
        out,
        "    fn of(outcome: {outcome}) -> Result<Self, Failure> {{"
    );
    put(out, "        match outcome {");
    if method.result.is_some() {
        line!(
            out,
            "            Ok(value) => Ok(Self {{ success: Some(value){rest} }}),"
        );
    } else {
        put(out, "            Ok(()) => Ok(Self::default()),");
    }
    for field in &method.throws {
        let set = format!("{}: Some(error)", name::snake(&field.name));
        let error = format!("{stem}Error::{}(error)", variant(field));
        line!(
            out,
            "            Err({error}) => Ok(Self {{ {set}{rest} }}),"
        );
    }
    line!(
        out,
        "            Err({stem}Error::Failure(failure)) => Err(failure),"
    );
    put(out, "        }\n    }\n");
    line!(out, "    fn outcome(self) -> {outcome} {{");
    for field in &method.throws {
        let ident = name::snake(&field.name);
        line!(out, "        if let Some(error) = self.{ident} {{");
        put(out, "            return Err(error.into());\n        }");
    }
    match method.result {
        Some(_) => put(out, "        self.success.ok_or(Failure::NoResult.into())"),
        None => put(out, "        Ok(())"),
    }
    put(out, "    }\n}\n");
}

fn reply_field(id: i16, name: &str, kind: &Type) -> Field {
    Field {
        id,
        name: name.to_owned(),
        doc: Doc::new(),
        presence: Presence::Optional,
        kind: kind.clone(),
        default: None,
        annotations: BTreeMap::new(),
        line: 0,
    }
}

fn outcome(place: Place<'_>, method: &Method) -> String {
    let result = method.result.as_ref();
    let value = result.map_or("()".to_owned(), |kind| place.rust_type(kind));
    format!("Result<{value}, {}Error>", type_stem(method))
}

fn type_stem(method: &Method) -> String {
    name::camel(&method.name)
}

/// `NotAlive` for a field of type `NotAliveException`.
fn variant(field: &Field) -> String {
    let Type::Named { name, .. } = &field.kind else {
        return name::camel(&field.name);
    };
    let variant = name.strip_suffix("Exception").unwrap_or(name);
    variant.to_owned()
}

/// A client lends its arguments.
fn parameter_type(place: Place<'_>, field: &Field) -> String {
    let kind = match &field.kind {
        Type::String => "&str".to_owned(),
        Type::Binary => "&[u8]".to_owned(),
        kind if is_scalar(kind) || place.is_enum(kind) => place.rust_type(kind),
        kind => format!("&{}", place.rust_type(kind)),
    };
    match field.presence {
        Presence::Required => kind,
        Presence::Plain | Presence::Optional => format!("Option<{kind}>"),
    }
}

fn write_parameter(place: Place<'_>, field: &Field) -> String {
    let ident = name::snake(&field.name);
    let value = match field.presence {
        Presence::Required => format!("Some({ident})"),
        Presence::Plain | Presence::Optional => ident,
    };
    let id = field.id;
    match &field.kind {
        Type::String => format!("out.borrowed_text({id}, {value})?;"),
        Type::Binary => format!("out.borrowed_binary({id}, {value})?;"),
        kind if is_scalar(kind) || place.is_enum(kind) => format!("out.optional({id}, &{value})?;"),
        _ => format!("out.borrowed({id}, {value})?;"),
    }
}

fn is_scalar(kind: &Type) -> bool {
    use Type::{Bool, Double, I8, I16, I32, I64};
    matches!(kind, Bool | I8 | I16 | I32 | I64 | Double)
}

/// What every dispatcher has; the methods follow.
const DISPATCHER: &str = "\
/// Decodes calls, hands them to a service and encodes what it answers.
#[derive(Debug)]
pub struct Dispatcher<S>(pub Arc<S>);

impl<S> Clone for Dispatcher<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Service> Dispatch for Dispatcher<S> {
    async fn dispatch(&self, caller: &Caller, message: Bytes) -> Result<Option<Bytes>, Close> {
        let mut request = Request::open(&message)?;
        drop(message);
        let outcome = self.serve(caller, &mut request).await;
        request.answer(outcome).map(Some)
    }
}

impl<S: Service> Dispatcher<S> {
    async fn serve(&self, caller: &Caller, request: &mut Request) -> Result<Bytes, Failure> {
        match request.method() {";

/// What every client has; the methods follow.
const CLIENT: &str = "\
/// Calls the service over a channel, one call after the other.
#[derive(Debug)]
pub struct Client<C> {
    link: Link<C>,
}

impl<C: Channel> Client<C> {
    pub fn new(channel: C) -> Self {
        Self { link: Link::new(channel) }
    }

    pub fn channel(&mut self) -> &mut C {
        self.link.channel()
    }

    pub fn into_channel(self) -> C {
        self.link.into_channel()
    }
";
