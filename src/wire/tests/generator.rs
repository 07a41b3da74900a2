//! The IDL parser and what the generator makes of it.

use super::emit::Model;
use super::idl::{self, Literal, Presence, Type};

fn refused(text: &str) -> String {
    let parsed = idl::parse("t.thrift", text).and_then(|document| Model::new(vec![document]));
    parsed.unwrap_err().to_string()
}

fn emitted(text: &str) -> String {
    let document = idl::parse("t.thrift", text).unwrap();
    Model::new(vec![document]).unwrap().emit("t")
}

#[test]
fn a_file_is_read_whole() {
    let text = r#"
        # a comment
        namespace py some.thing
        include "other.thrift"
        /** Colours.
         *  Two of them. */
        enum Colour { RED = 1, GREEN = -2; }
        // Not a doc comment.
        union U { 1: i64 a, 2: list<binary> b }
        exception E { 1: required string msg }
        struct S {
          /** A name. */
          1: required string name = "x",
          2: optional map<string, set<other.T>> sets (a = "1", b = '2')
          -3: double plain = 1.5;
          4: Colour colour
        }
        service Things {
          /** Gives. */
          list<S> give(1: i32 n, 2: S s) throws (1: E e),
          void take();
        }
    "#;
    let document = idl::parse("t.thrift", text).unwrap();
    assert_eq!(document.includes, ["other.thrift"]);
    let colour = &document.enums[0];
    assert_eq!(colour.doc, ["Colours.", "Two of them."]);
    let numbers: Vec<i32> = colour.values.iter().map(|value| value.number).collect();
    assert_eq!(numbers, [1, -2]);
    assert!(document.structs[0].doc.is_empty());

    let [name, sets, plain, _] = &document.structs[2].fields[..] else {
        panic!("{:?}", document.structs[2]);
    };
    assert_eq!(name.presence, Presence::Required);
    assert_eq!(name.doc, ["A name."]);
    assert_eq!(name.default, Some(Literal::Text("x".to_owned())));
    let other = Type::Named {
        scope: Some("other".to_owned()),
        name: "T".to_owned(),
    };
    let expected = Type::Map(Box::new(Type::String), Box::new(Type::Set(Box::new(other))));
    assert_eq!((sets.presence, &sets.kind), (Presence::Optional, &expected));
    let annotations: Vec<_> = sets
        .annotations
        .iter()
        .map(|(k, v)| format!("{k}{v}"))
        .collect();
    assert_eq!(annotations, ["a1", "b2"]);
    assert_eq!((plain.id, plain.presence), (-3, Presence::Plain));

    let [give, take] = &document.services[0].methods[..] else {
        panic!("{:?}", document.services);
    };
    assert!(matches!(give.result, Some(Type::List(_))));
    assert_eq!((give.arguments.len(), give.throws.len()), (2, 1));
    assert_eq!((&take.result, take.arguments.len()), (&None, 0));
}

#[test]
fn errors_say_where_what_and_how_to_mend() {
    for &(text, expected) in REFUSED {
        let error = refused(text);
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
}

#[test]
fn names_take_the_spelling_of_rust() {
    let out = emitted(
        "struct S { 1: required i32 uploadedJarLocation, 2: string type, 3: i32 tlsPort }
         enum E { JMAP_DUMP = 3, ok = 4 }
         union U { 1: i32 local_or_shuffle }
         service DistributedRPC { void failRequestV2(1: string functionName) }",
    );
    for expected in [
        "pub uploaded_jar_location: i32,",
        "pub type_: Option<String>,",
        "pub tls_port: Option<i32>,",
        "JmapDump = 3,",
        "Ok = 4,",
        "Self::JmapDump => \"JMAP_DUMP\",",
        "LocalOrShuffle(i32),",
        "pub mod distributed_rpc {",
        "fn fail_request_v2(&self, caller: &Caller, function_name: Option<String>)",
        "pub async fn fail_request_v2(&mut self, function_name: Option<&str>)",
        "self.link.call(\"failRequestV2\"",
    ] {
        assert!(out.contains(expected), "{expected:?} is not in\n{out}");
    }
}

#[test]
fn only_types_without_doubles_have_an_order() {
    let out = emitted(
        "struct A { 1: required string a }
         struct B { 1: required double b }
         struct C { 1: required list<B> c }
         union D { 1: list<D> d, 2: string s }",
    );
    let derives = |name: &str| {
        let at = out.find(&format!(" {name} {{")).unwrap();
        out[..at].rsplit("#[derive(").next().unwrap().to_owned()
    };
    assert!(derives("A").contains("Ord, Hash"));
    assert!(!derives("B").contains("Ord"));
    assert!(!derives("C").contains("Ord"));
    assert!(derives("D").contains("Ord"));
}

#[test]
fn presence_defaults_and_annotations_decide_how_a_field_is_read() {
    let out = emitted(
        "enum E { A = 1 }
         struct S {
           1: required i32 a
           2: required i32 b (lenient = \"true\")
           3: required i64 c (secret = \"true\")
           4: optional string d = \"x\"
           5: optional double e = 2
           6: E f = 1
           7: required list<i32> g = []
           8: bool h = true
           9: optional string i (secret = \"true\")
         }",
    );
    for expected in [
        "let required = [(1, f1.is_none()), (3, f3.is_none()), (7, f7.is_none())];",
        "let lenient = [(2, f2.is_none())];",
        "3 => input.field(kind, &mut f3)?,",
        ".secret(3, \"c\", &self.c)",
        ".optional_secret(\"i\", &self.i)",
        "impl std::fmt::Debug for S {",
        "b: f2.unwrap_or_default(),",
        "d: f4.or_else(|| Some(\"x\".into())),",
        "e: f5.or_else(|| Some(f64::from(2))),",
        "f: f6.or_else(|| Some(wire::Open::from_i32(1))),",
        "g: f7.unwrap_or_else(|| Default::default()),",
        "h: f8.or_else(|| Some(true)),",
    ] {
        assert!(out.contains(expected), "{expected:?} is not in\n{out}");
    }
}

/// A struct may have the name that a result would like to have.
#[test]
fn results_do_not_collide_with_structs() {
    let out = emitted(
        "struct ListBlobsResult { 1: required list<string> keys }
         service S { ListBlobsResult listBlobs(1: string session) }",
    );
    assert!(out.contains("pub struct ListBlobsReply {"));
    assert!(out.contains("pub success: Option<wire::t::ListBlobsResult>,"));
}

/// The contract as a whole: nothing of Storm's 55 calls, the one of older peers, or ours is
/// missing.
#[test]
fn the_contract_is_complete() {
    let counts = super::SERVICES.map(|(_, name, methods)| (name, methods.len()));
    let expected = [
        ("Nimbus", 56),
        ("Supervisor", 3),
        ("DistributedRPC", 1),
        ("DistributedRPCInvocations", 4),
        ("Coordination", 4),
        ("DrpcSpouts", 1),
    ];
    assert_eq!(counts, expected);
}

/// A text that is refused, and how its error begins.
const REFUSED: &[(&str, &str)] = &[
    (
        "struct S {\n  1: strin a\n}",
        "t.thrift:2: there is no type strin in t; ",
    ),
    (
        "struct S {\n  x: i32 a\n}",
        "t.thrift:2: 'x' stands where the id of a field belongs; ",
    ),
    (
        "struct S {\n  1: i32 a\n  1: i32 b\n}",
        "t.thrift:3: the id 1 is there twice; ",
    ),
    (
        "struct S {\n  70000: i32 a\n}",
        "t.thrift:2: '70000' stands where",
    ),
    (
        "struct S {\n\n",
        "t.thrift:1: the end of the file stands where",
    ),
    (
        "/* never ends",
        "t.thrift:1: a comment has no end; close it with */",
    ),
    ("include \"a", "t.thrift:1: a text has no end; "),
    (
        "struct S { 1: i32 a } $",
        "t.thrift:1: '$' has no meaning here; ",
    ),
    (
        "typedef i32 N",
        "t.thrift:1: 'typedef' does not start a definition",
    ),
    (
        "\nconst i32 N = 1",
        "t.thrift:2: 'const' does not start a definition",
    ),
    (
        "service S {\n oneway void f()\n}",
        "t.thrift:2: oneway calls are not generated; ",
    ),
    (
        "struct S { 1: other.T t }",
        "t.thrift:1: there is no type T in other; ",
    ),
    (
        "struct S { 1: i64 a (lenient = \"true\") }",
        "t.thrift:1: 'lenient' has no meaning",
    ),
    (
        "union U { 1: required i32 a }",
        "t.thrift:1: the union U requires a field; ",
    ),
    (
        "exception E {}\nservice S {\n void f() throws (1: E a, 2: E b) }",
        "t.thrift:3: f throws one exception twice; ",
    ),
    (
        "struct S { 1: list<i32 a }",
        "t.thrift:1: 'a' stands where '>' belongs; write '>'",
    ),
];
