//! Golden vectors of both directions, and what the decisions of the protocol's description add to
//! them.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::id::TaskId;
use crate::testing::fixtures::{self, Tally};
use crate::tuple::{Value, ValueRef, number};

// ---- Golden vectors -----------------------------------------------------------------------------

/// A value of a vector, or nothing where our tuples have no such type.
fn typed(json: &Json) -> Option<Value> {
    let list = |key: &str| json[key].as_array().into_iter().flatten();
    let bits = |text: &Json| u64::from_str_radix(text.as_str().unwrap(), 16).unwrap();
    Some(match json["t"].as_str().unwrap() {
        "null" => Value::Null,
        "string" => Value::Str(json["v"].as_str().unwrap().into()),
        "bool" => Value::Bool(json["v"].as_bool().unwrap()),
        "byte" => Value::Byte(json["v"].as_i64().unwrap() as i8),
        "short" => Value::Short(json["v"].as_i64().unwrap() as i16),
        "int" => Value::Int(json["v"].as_i64().unwrap() as i32),
        "long" => Value::Long(json["v"].as_i64().unwrap()),
        "char" => Value::Char(json["v"].as_u64().unwrap() as u16),
        "float" => Value::Float(f32::from_bits(bits(&json["bits"]) as u32)),
        "double" => Value::Double(f64::from_bits(bits(&json["bits"]))),
        "biginteger" => {
            Value::BigInteger(number::from_decimal(json["v"].as_str().unwrap()).unwrap())
        }
        "bigdecimal" => Value::Decimal {
            unscaled: number::from_decimal(json["unscaled"].as_str().unwrap()).unwrap(),
            scale: json["scale"].as_i64().unwrap() as i32,
        },
        "byte[]" => Value::Bytes(unhex(json["hex"].as_str().unwrap()).into()),
        "list" | "set" | "object[]" | "string[]" => {
            Value::List(list("v").map(typed).collect::<Option<_>>()?)
        }
        "int[]" => Value::List(
            list("v")
                .map(|v| Value::Int(v.as_i64().unwrap() as i32))
                .collect(),
        ),
        "boolean[]" => Value::List(
            list("v")
                .map(|v| Value::Bool(v.as_bool().unwrap()))
                .collect(),
        ),
        "float[]" => {
            let float = |v| Value::Float(f32::from_bits(bits(v) as u32));
            Value::List(list("bits").map(float).collect())
        }
        "double[]" => Value::List(
            list("bits")
                .map(|v| Value::Double(f64::from_bits(bits(v))))
                .collect(),
        ),
        "map" => {
            let entry = |pair: &Json| Some((typed(&pair[0])?, typed(&pair[1])?));
            Value::Map(list("v").map(entry).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text
        .bytes()
        .map(|c| (c as char).to_digit(16).unwrap() as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// What we write for a vector; nothing where a value has no equal among our types.
fn written(case: &Json) -> Option<Result<Vec<u8>, UnwritableError>> {
    let encoder = Encoder::default();
    let mut out = Vec::new();
    let result = match case["kind"].as_str().unwrap() {
        "bolt_tuple" | "special_value" => {
            let values: Vec<_> = case["tuple"]
                .as_array()
                .unwrap()
                .iter()
                .map(typed)
                .collect::<Option<_>>()?;
            let source = TupleSource {
                component: Some(case["comp"].as_str().unwrap()),
                stream: case["stream"].as_str().unwrap(),
                task: TaskId(case["task"].as_i64().unwrap() as i32),
            };
            let id = case["id"].as_str().unwrap();
            let values = values.iter().map(Value::as_ref);
            Envelope::new(encoder, source).tuple(&mut out, id, values)
        }
        "heartbeat" => {
            encoder.heartbeat(&mut out, case["id"].as_str().unwrap());
            Ok(())
        }
        "task_ids" => {
            let tasks: Vec<_> = case["task_ids"].as_array()?.iter().collect();
            let tasks: Vec<_> = tasks
                .iter()
                .map(|task| TaskId(task.as_i64().unwrap() as i32))
                .collect();
            encoder.task_ids(&mut out, &tasks);
            Ok(())
        }
        kind => {
            let command = match kind {
                "spout_next" => SpoutCommand::Next,
                "spout_ack" => SpoutCommand::Ack,
                "spout_fail" => SpoutCommand::Fail,
                "spout_activate" => SpoutCommand::Activate,
                "spout_deactivate" => SpoutCommand::Deactivate,
                kind => panic!("unknown kind {kind}"),
            };
            let id = typed(&case["id"])?;
            encoder.command(&mut out, command, id.as_ref())
        }
    };
    Some(result.map(|()| out))
}

/// Why a vector's bytes are deliberately not ours.
fn write_difference(case: &Json) -> Option<&'static str> {
    let text = case["tuple"].to_string() + &case["id"].to_string();
    let has = |kind: &str| text.contains(&format!("\"t\":\"{kind}\""));
    let written = case["out"]["text"].as_str().unwrap_or_default();
    if case["kind"] == "task_ids" && case["task_ids"].is_null() {
        return Some("a missing list of task ids is never sent: an emit always has one");
    }
    if has("date") || has("uuid") || has("other") {
        return Some("an object of a Java class cannot be in our tuples");
    }
    if has("char[]") {
        return Some("an array of Java chars cannot be in our tuples");
    }
    let bare = |word: &str| {
        let around = |(start, _): (usize, &str)| {
            let before = written[..start].chars().next_back();
            let after = written[start + word.len()..].chars().next();
            matches!(before, Some('[' | ',' | ':')) && matches!(after, Some(']' | ',' | '}'))
        };
        written.match_indices(word).any(around)
    };
    if (bare("NaN") || bare("Infinity")) && (has("float") || has("double") || has("double[]")) {
        return Some(
            "numbers that JSON does not have are written as null, which all children read",
        );
    }
    None
}

#[test]
fn writes_what_storm_writes() {
    let file = "multilang/writes.jsonl";
    let mut tally = Tally::new(file);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for case in fixtures::lines(file) {
        if case["kind"] == "handshake" {
            // Built from a topology: `shell` reads these.
            continue;
        }
        let ours = written(&case);
        let expected = case["out"]["hex"].as_str().map(unhex);
        let equal = match (&ours, &expected) {
            (Some(Ok(ours)), Some(expected)) => ours == expected,
            (Some(Err(_)), None) => true,
            _ => false,
        };
        if !equal && let Some(reason) = write_difference(&case) {
            *reasons.entry(reason).or_default() += 1;
        }
        tally.case(equal, || {
            format!("{case}\nours: {:?}", ours.map(|r| r.map(Bytes::from)))
        });
    }
    for (reason, count) in &reasons {
        println!("fixtures {file}: {count} differ, since {reason}");
    }
    tally.finish(reasons.values().sum());
}

/// What a vector's bytes give: a message, or the fault.
fn read_first(input: &[u8]) -> Result<Bytes, String> {
    let mut framer = Framer::new(Serializer::Json, 1 << 20);
    framer.buffer().extend_from_slice(input);
    match framer.next_message() {
        Ok(Some(message)) => Ok(message),
        Ok(None) => framer.finish().map_err(|_| "broken pipe".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn message_equals(ours: &FromChild, theirs: &Json) -> bool {
    let text = |value: &Option<Box<str>>| value.as_deref().map_or(Json::Null, Json::from);
    let anchors = match ours.anchors.is_empty() {
        true => Json::Null,
        false => Json::from(ours.anchors.iter().map(text).collect::<Vec<_>>()),
    };
    let tuple: Option<Vec<Value>> = theirs["tuple"]
        .as_array()
        .map(|values| values.iter().map(|value| typed(value).unwrap()).collect());
    let command = match &ours.command {
        Command::Other(name) => name.to_string(),
        known => format!("{known:?}").to_lowercase(),
    };
    command == theirs["command"].as_str().unwrap()
        && ours.id.clone().unwrap_or_default() == typed(&theirs["id"]).unwrap()
        && anchors == theirs["anchors"]
        && ours.stream.as_deref().unwrap_or("default") == theirs["stream"].as_str().unwrap()
        && ours.task == theirs["task"].as_i64().unwrap()
        && text(&ours.msg) == theirs["msg"]
        && ours.tuple == tuple
        && ours.need_task_ids == theirs["need_task_ids"].as_bool().unwrap()
        && text(&ours.metric_name) == theirs["metric_name"]
        && ours.metric_params == typed(&theirs["metric_params"]).unwrap()
        && format!("{:?}", ours.level).to_uppercase() == theirs["log_level"].as_str().unwrap()
}

/// Why a vector is deliberately read differently.
fn read_difference(case: &Json) -> Option<&'static str> {
    let text = case["input_text"].as_str().unwrap_or_default();
    let message = case["error"]["message"].as_str().unwrap_or_default();
    let cast = |to: &str| message.contains(&format!("cannot be cast to class {to} "));
    if message.starts_with("class java.lang.Integer ") && cast("java.lang.Long") {
        return Some("a task may be an integer of any width (Storm since 2.6 dies of small ones)");
    }
    let is_number = message.starts_with("class java.lang.Integer ")
        || message.starts_with("class java.lang.Long ")
        || message.starts_with("class java.math.BigInteger ");
    let is_id = cast("java.lang.String") || cast("java.util.List");
    if is_number && is_id && text.contains("\"anchors\"") {
        return Some("ids of tuples may come back as numbers");
    }
    if text.starts_with('\u{feff}') {
        return Some("a byte order mark before the first message is passed over");
    }
    if text.contains("Infinity") && case["shell_msg"].is_object() {
        return Some("Infinity, as Python writes it, is a double and not a text");
    }
    None
}

#[test]
fn reads_what_storm_reads() {
    let file = "multilang/reads.jsonl";
    let mut tally = Tally::new(file);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for case in fixtures::lines(file) {
        let message = read_first(&unhex(case["input_hex"].as_str().unwrap()));
        let (equal, ours) = if case["kind"] == "pid_reply" {
            let pid = message.and_then(|bytes| {
                message::read_pid(Serializer::Json, &bytes).map_err(|e| e.to_string())
            });
            let theirs = case.get("pid").map(|pid| typed(pid).unwrap());
            let equal = match (&pid, theirs) {
                (Ok(ours), Some(theirs)) => ours.clone().unwrap_or_default() == theirs,
                (Err(_), None) => true,
                _ => false,
            };
            (equal, format!("{pid:?}"))
        } else {
            let read = message.and_then(|bytes| {
                FromChild::read(Serializer::Json, &bytes).map_err(|error| error.to_string())
            });
            let equal = match (&read, case.get("shell_msg")) {
                (Ok(ours), Some(theirs)) => message_equals(ours, theirs),
                (Err(_), None) => true,
                _ => false,
            };
            (equal, format!("{read:?}"))
        };
        if !equal && let Some(reason) = read_difference(&case) {
            *reasons.entry(reason).or_default() += 1;
        }
        tally.case(equal, || format!("{case}\nours: {ours}"));
    }
    for (reason, count) in &reasons {
        println!("fixtures {file}: {count} differ, since {reason}");
    }
    tally.finish(reasons.values().sum());
}

// ---- The decisions of section 17 and the vectors of section 18 ----------------------------------

fn read(text: &str) -> Result<FromChild, String> {
    let message = read_first(text.as_bytes())?;
    FromChild::read(Serializer::Json, &message).map_err(|error| error.to_string())
}

#[test]
fn bare_words_are_trimmed_as_java_trims() {
    let values = |items: &str| {
        let text = format!("{{\"command\":\"emit\",\"tuple\":[{items}]}}\nend\n");
        read(&text).unwrap().tuple.unwrap()
    };
    let text = |text: &str| vec![Value::from(text)];
    assert_eq!(values("\0abc\x0b"), text("abc"));
    assert_eq!(values("\u{2003}abc\u{a0}"), text("\u{2003}abc\u{a0}"));
    assert_eq!(values("null\0"), [Value::Null]);
    // What follows a control character is text.
    assert_eq!(values("\x0bnull"), text("null"));
    assert_eq!(values("\x1ftrue"), text("true"));
    assert_eq!(values("\"a\\\u{1f600}b\""), text("a\u{fffd}b"));
    assert_eq!(values("\"a\\\u{e9}b\""), text("ab"));
}

#[test]
fn a_task_may_be_any_integer_and_zero_is_none() {
    let emit = |task: &str| {
        read(&format!(
            "{{\"command\":\"emit\",\"tuple\":[1],\"task\":{task}}}\nend\n"
        ))
    };
    assert_eq!(emit("0").unwrap().direct_task(), None);
    assert_eq!(emit("9").unwrap().direct_task(), Some(Ok(TaskId(9))));
    assert_eq!(
        emit("5000000000").unwrap().direct_task(),
        Some(Err(5_000_000_000))
    );
    assert!(
        emit("\"9\"")
            .unwrap_err()
            .contains("`task` is not a whole number")
    );
}

#[test]
fn anchors_may_be_one_id_a_list_or_numbers() {
    let anchors = |text: &str| {
        let line = format!("{{\"command\":\"emit\",\"tuple\":[],\"anchors\":{text}}}\nend\n");
        let texts = |message: FromChild| {
            let ids = message.anchors.iter();
            let texts: Vec<_> = ids.map(|id| id.as_deref().unwrap_or("null")).collect();
            texts.join(" ")
        };
        read(&line).map(texts)
    };
    assert_eq!(anchors("\"5\"").unwrap(), "5");
    assert_eq!(anchors("[\"5\",-6]").unwrap(), "5 -6");
    assert_eq!(anchors("null").unwrap(), "");
    assert_eq!(anchors("[null]").unwrap(), "null");
    assert!(anchors("[[1]]").is_err());
    assert!(anchors("true").is_err());
}

#[test]
fn a_fault_shows_what_the_child_wrote() {
    let error = read("Starting up...\n{\"command\":\"sync\"}\nend\n").unwrap_err();
    assert!(error.contains("Starting up..."), "{error}");
    let long = format!("{}\nend\n", "x".repeat(5000));
    let error = read(&long).unwrap_err();
    assert!(error.len() < 1200, "{}", error.len());
    for text in [
        "hello\nend\n",
        "\nend\n",
        "[1]\nend\n",
        "null\nend\n",
        "{\"msg\":\"x\"}\nend\n",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_too_deep_or_too_long_is_an_error() {
    let deep = format!("{{\"command\":\"emit\",\"tuple\":{}", "[".repeat(100_000));
    assert!(
        read(&(deep + "\nend\n"))
            .unwrap_err()
            .contains("nested deeper")
    );
    let digits = format!(
        "{{\"command\":\"emit\",\"tuple\":[{}]}}\nend\n",
        "9".repeat(100_000)
    );
    assert!(
        read(&digits)
            .unwrap_err()
            .contains("no number that we can hold")
    );
    let mut framer = Framer::new(Serializer::Json, 100);
    framer.buffer().extend_from_slice(&[b'x'; 101]);
    assert_eq!(
        framer.next_message(),
        Err(FramingError::TooLong { bytes_max: 100 })
    );
}

#[test]
fn messages_arrive_whole_however_the_bytes_are_cut() {
    let input = b"{\"a\":\r\n1}\r\nend\r\n{\"b\":2}\rend\r{\"c\":\"end\"}\nend\nend\n{}\nend";
    let expected: &[&[u8]] = &[b"{\"a\":\n1}", b"{\"b\":2}", b"{\"c\":\"end\"}", b"", b"{}"];
    for size in 1..input.len() {
        let mut framer = Framer::new(Serializer::Json, 1000);
        let mut messages = Vec::new();
        for chunk in input.chunks(size) {
            framer.buffer().extend_from_slice(chunk);
            while let Some(message) = framer.next_message().unwrap() {
                messages.push(message);
            }
        }
        messages.push(framer.finish().unwrap());
        assert_eq!(messages, expected, "in chunks of {size}");
    }
}

#[test]
fn a_carriage_return_ends_a_message_without_waiting_for_more() {
    let mut framer = Framer::new(Serializer::Json, 1000);
    framer.buffer().extend_from_slice(b"{}\rend\r");
    assert_eq!(
        framer.next_message().unwrap().as_deref(),
        Some(b"{}".as_slice())
    );
    framer.buffer().extend_from_slice(b"\n{\"x\":1}\r\nend\r\n");
    assert_eq!(
        framer.next_message().unwrap().as_deref(),
        Some(b"{\"x\":1}".as_slice())
    );
}

#[test]
fn bytes_go_out_as_base64_only_when_asked_for() {
    let check = |bytes: &'static [u8], expected: &str| {
        let mut out = Vec::new();
        json_write::write(&mut out, ValueRef::Bytes(bytes), BytesPolicy::Base64).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), format!("\"{expected}\""));
    };
    check(b"", "");
    check(b"f", "Zg==");
    check(b"fo", "Zm8=");
    check(b"foo", "Zm9v");
    check(&[0xfb, 0xff, 0xbf], "+/+/");
    let source = TupleSource {
        component: Some("c"),
        stream: "s",
        task: TaskId(1),
    };
    let mut out = b"before".to_vec();
    let values = [ValueRef::Int(1), ValueRef::Bytes(b"x")];
    let envelope = Envelope::new(Encoder::default(), source);
    let refused = envelope.tuple(&mut out, "1", values.into_iter());
    assert_eq!(refused, Err(UnwritableError));
    assert_eq!(out, b"before");
}

#[test]
fn serializers_have_names() {
    assert_eq!(Serializer::from_class(JSON_CLASS), Ok(Serializer::Json));
    assert_eq!(
        Serializer::from_class("backtype.storm.multilang.JsonSerializer"),
        Ok(Serializer::Json)
    );
    assert_eq!(
        Serializer::from_class(MESSAGE_PACK_CLASS),
        Ok(Serializer::MessagePack)
    );
    let error = Serializer::from_class("com.example.Protobuf").unwrap_err();
    assert!(error.to_string().contains("com.example.Protobuf"));
    assert_eq!(
        Serializer::Json.for_script("-s msgpack bolts.Count"),
        Serializer::MessagePack
    );
    assert_eq!(
        Serializer::MessagePack.for_script("-s json bolts.Count"),
        Serializer::Json
    );
    assert_eq!(Serializer::Json.for_script("split.py"), Serializer::Json);
}

#[test]
fn secrets_of_the_cluster_stay_at_home() {
    let conf: serde_json::Map<String, Json> = serde_json::from_str(
        r#"{"storm.zookeeper.auth.payload":"a:b","ui.https.keystore.password":"x",
            "topology.name":"t","my.password":"mine","topology.acker.executors":null}"#,
    )
    .unwrap();
    let entries = conf.iter().map(|(key, value)| (key.as_str(), value));
    let handshake = Handshake::new("/p".into(), Value::Map(vec![]), entries);
    let mut out = Vec::new();
    Encoder::default().handshake(&mut out, &handshake).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with("{\"pidDir\":\"\\/p\",\"context\":{},\"conf\":{"),
        "{text}"
    );
    assert!(
        !text.contains("payload") && !text.contains("keystore"),
        "{text}"
    );
    assert!(text.contains("\"my.password\":\"mine\""), "{text}");
    assert!(text.contains("\"topology.acker.executors\":null"), "{text}");
}

// ---- MessagePack --------------------------------------------------------------------------------

fn packed(json: Json) -> Vec<u8> {
    fn pack(json: &Json) -> rmpv::Value {
        match json {
            Json::Null => rmpv::Value::Nil,
            Json::Bool(flag) => (*flag).into(),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => whole.into(),
                None => number.as_f64().unwrap().into(),
            },
            Json::String(text) => text.as_str().into(),
            Json::Array(items) => rmpv::Value::Array(items.iter().map(pack).collect()),
            Json::Object(entries) => rmpv::Value::Map(
                entries
                    .iter()
                    .map(|(key, value)| (key.as_str().into(), pack(value)))
                    .collect(),
            ),
        }
    }
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, &pack(&json)).unwrap();
    out
}

#[test]
fn message_pack_is_recognised_and_cut_however_it_arrives() {
    let long = "w".repeat(70_000);
    let first = packed(serde_json::json!({
        "command": "emit",
        "tuple": ["a", 1, -70_000, 5_000_000_000_i64, 1.5, null, [long, {"k": true}]],
        "anchors": ["7"], "need_task_ids": false,
    }));
    let second = packed(serde_json::json!({"command": "emit", "id": 17, "tuple": []}));
    let input = [first, second].concat();
    for size in [1, 2, 3, 7, 100, 69_999, input.len()] {
        let mut framer = Framer::new(Serializer::Json, 1 << 20);
        let mut messages = Vec::new();
        for chunk in input.chunks(size) {
            framer.buffer().extend_from_slice(chunk);
            while let Some(message) = framer.next_message().unwrap() {
                messages.push(FromChild::read(framer.serializer(), &message).unwrap());
            }
        }
        assert_eq!(framer.serializer(), Serializer::MessagePack);
        let [first, second] = messages.as_slice() else {
            panic!("{} messages", messages.len())
        };
        let nested = Value::Map(vec![(Value::Str("k".into()), Value::Bool(true))]);
        let expected = vec![
            Value::Str("a".into()),
            Value::Int(1),
            Value::Int(-70_000),
            Value::Long(5_000_000_000),
            Value::Double(1.5),
            Value::Null,
            Value::List(vec![Value::Str(long.as_str().into()), nested]),
        ];
        assert_eq!(first.tuple, Some(expected));
        assert_eq!(*first.anchors, [Some("7".into())]);
        assert!(!first.need_task_ids);
        assert_eq!(
            second.id,
            Some(Value::Str("17".into())),
            "numbers become text"
        );
        assert_eq!(second.tuple, Some(vec![]));
    }
}

#[test]
fn message_pack_that_lies_about_its_size_reserves_nothing() {
    let lie = [0xdd, 0xff, 0xff, 0xff, 0xff];
    let mut input = packed(serde_json::json!({"command": "emit"}));
    input[0] += 1;
    input.extend(packed(serde_json::json!("tuple")));
    input.extend(lie);
    let error = FromChild::read(Serializer::MessagePack, &input).unwrap_err();
    assert_eq!(
        error.fault,
        Fault::MessagePack(msgpack::MessagePackError::UnexpectedEnd)
    );
    let mut framer = Framer::new(Serializer::MessagePack, 1000);
    framer.buffer().extend_from_slice(&[0xc1]);
    assert!(framer.next_message().is_err());
    let mut framer = Framer::new(Serializer::MessagePack, 1000);
    framer.buffer().extend_from_slice(&[0x91; 500]);
    assert!(
        framer
            .next_message()
            .unwrap_err()
            .to_string()
            .contains("deeper")
    );
}

#[test]
fn message_pack_out_has_text_keys_and_current_types() {
    let encoder = Encoder {
        serializer: Serializer::MessagePack,
        ..Encoder::default()
    };
    let source = TupleSource {
        component: Some("c"),
        stream: "s",
        task: TaskId(-1),
    };
    let text = "x".repeat(40);
    let nested = Value::Map(vec![(Value::Str("12".into()), Value::Str("comp".into()))]);
    let values = [
        ValueRef::Str(&text),
        ValueRef::Bytes(b"raw"),
        ValueRef::Long(i64::MIN),
        ValueRef::Int(-33),
        ValueRef::Int(200),
        ValueRef::Nested(&nested),
    ];
    let mut out = Vec::new();
    let envelope = Envelope::new(encoder, source);
    envelope.tuple(&mut out, "9", values.into_iter()).unwrap();
    encoder.heartbeat(&mut out, "1");
    encoder.task_ids(&mut out, &[TaskId(4), TaskId(70_000)]);
    encoder
        .command(&mut out, SpoutCommand::Ack, ValueRef::Str("17"))
        .unwrap();
    let mut rest = out.as_slice();
    let shown: Vec<_> = (0..4)
        .map(|_| rmpv::decode::read_value(&mut rest).unwrap().to_string())
        .collect();
    assert!(rest.is_empty());
    assert_eq!(
        shown[0],
        format!(
            "{{\"comp\": \"c\", \"tuple\": [\"{text}\", [114, 97, 119], -9223372036854775808, -33, \
             200, {{\"12\": \"comp\"}}], \"task\": -1, \"stream\": \"s\", \"id\": \"9\"}}"
        )
    );
    assert!(
        shown[1].starts_with("{\"comp\": nil, \"tuple\": []"),
        "{}",
        shown[1]
    );
    assert_eq!(shown[2], "[4, 70000]");
    assert_eq!(shown[3], "{\"id\": \"17\", \"command\": \"ack\"}");
    assert!(
        out.windows(2).any(|pair| pair == [0xd9, 40]),
        "text in the 8-bit form"
    );
}

// ---- Properties ---------------------------------------------------------------------------------

fn any_value() -> impl Strategy<Value = Value> {
    let flat = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(Value::Int),
        any::<i64>()
            .prop_filter("an int", |v| i32::try_from(*v).is_err())
            .prop_map(Value::Long),
        any::<f64>()
            .prop_filter("finite", |v| v.is_finite())
            .prop_map(Value::Double),
        any::<String>().prop_map(|text| Value::Str(text.into())),
    ];
    flat.prop_recursive(4, 30, 5, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List);
        let map = prop::collection::btree_map(any::<String>(), inner, 0..5);
        let map = map.prop_map(|entries| {
            let entry = |(key, value): (String, Value)| (Value::Str(key.into()), value);
            Value::Map(entries.into_iter().map(entry).collect())
        });
        prop_oneof![list, map]
    })
}

fn round_trip(serializer: Serializer, value: &Value) -> Value {
    let encoder = Encoder {
        serializer,
        ..Encoder::default()
    };
    let source = TupleSource {
        component: Some("c"),
        stream: "s",
        task: TaskId(1),
    };
    let mut out = Vec::new();
    Envelope::new(encoder, source)
        .tuple(&mut out, "1", [value.as_ref()].into_iter())
        .unwrap();
    let mut framer = Framer::new(serializer, 1 << 24);
    framer.buffer().extend_from_slice(&out);
    let message = framer.next_message().unwrap().unwrap();
    // What a child gets has no command, but the same fields otherwise.
    let mut tuple = Value::Null;
    let mut take = |key: std::borrow::Cow<'_, str>, node: node::Node<'_>| {
        if key == "tuple" {
            tuple = node.into_value();
        }
    };
    match serializer {
        Serializer::Json => {
            let text = std::str::from_utf8(&message).unwrap();
            json_read::each_field(text, &mut take).unwrap();
        }
        Serializer::MessagePack => msgpack::each_field(&message, &mut take).unwrap(),
    }
    let Value::List(mut values) = tuple else {
        panic!("{tuple:?}")
    };
    values.remove(0)
}

/// Long literals come back as decimals, as in Storm: compared as what they say.
fn alike(ours: &Value, back: &Value) -> bool {
    match (ours, back) {
        (Value::Double(ours), Value::Decimal { .. }) => back
            .to_string()
            .parse::<f64>()
            .is_ok_and(|back| back == *ours),
        (Value::List(ours), Value::List(back)) => {
            ours.len() == back.len() && ours.iter().zip(back).all(|(ours, back)| alike(ours, back))
        }
        (Value::Map(ours), Value::Map(back)) => {
            let pairs = ours.iter().zip(back);
            ours.len() == back.len()
                && pairs
                    .into_iter()
                    .all(|(ours, back)| ours.0 == back.0 && alike(&ours.1, &back.1))
        }
        _ => ours == back,
    }
}

proptest! {
    #[test]
    fn values_survive_both_ways(value in any_value()) {
        let json = round_trip(Serializer::Json, &value);
        prop_assert!(alike(&value, &json), "{value:?} came back as {json:?}");
        prop_assert_eq!(round_trip(Serializer::MessagePack, &value), value);
    }

    #[test]
    fn no_bytes_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        json in "[\\[\\]{}:,'\"\\\\ux0-9eE.+a-z\n\r -]{0,60}",
    ) {
        for serializer in [Serializer::Json, Serializer::MessagePack] {
            for input in [bytes.as_slice(), json.as_bytes()] {
                let _ = FromChild::read(serializer, input);
                let _ = message::read_pid(serializer, input);
                let mut framer = Framer::new(serializer, 1000);
                framer.buffer().extend_from_slice(input);
                while let Ok(Some(_)) = framer.next_message() {}
                let _ = framer.finish();
            }
        }
    }

    #[test]
    fn strict_json_is_read_as_serde_reads_it(value in any_value()) {
        let mut out = Vec::new();
        json_write::write(&mut out, value.as_ref(), BytesPolicy::Refuse).unwrap();
        let serde: Json = serde_json::from_slice(&out).unwrap();
        let again = handshake::from_json(&serde);
        let wrapped = format!("{{\"v\":{}}}", String::from_utf8(out).unwrap());
        let mut ours = Value::Null;
        json_read::each_field(&wrapped, &mut |_, node| ours = node.into_value()).unwrap();
        // Serde sorts maps; Java's equality does not look at their order.
        prop_assert!(ours == again || format!("{ours:?}").contains("Decimal"), "{ours:?}");
    }
}
