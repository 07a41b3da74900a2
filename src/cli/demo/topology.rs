//! The demo's topology, as any Thrift client would build it: two Python components and a native
//! counter.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::Path;

use anyhow::Result;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::conf::{Conf, keys};
use crate::wire::storm::{
    Bolt, ComponentCommon, ComponentObject, GlobalStreamId, Grouping, JavaObject, JavaObjectArg,
    NullStruct, ShellComponent, SpoutSpec, StormTopology, StreamInfo,
};

/// What the demo submits.
pub struct Submission {
    pub topology: StormTopology,
    /// The jar's bytes: the Python scripts under `resources/`.
    pub jar: Vec<u8>,
    pub conf: Conf,
}

/// The text to count and where results go.
pub struct Plan<'a> {
    pub text: &'a Path,
    /// Reading ends after so many seconds.
    pub seconds: Option<u64>,
    /// Totals of counter task N appear in `<totals>.N`.
    pub totals: &'a Path,
    /// `<done>.N` gets one line when every line of the text has been acked.
    pub done: &'a Path,
}

// === impl Submission ===

impl Submission {
    pub fn new(plan: &Plan<'_>) -> Result<Self> {
        let mut conf = Conf::new()
            .with(keys::TOPOLOGY_WORKERS, 1)
            .with(keys::TOPOLOGY_ACKER_EXECUTORS, 1)
            .with(keys::TOPOLOGY_MAX_SPOUT_PENDING, 500)
            // Every tuple is counted, so that the table shows true numbers.
            .with(keys::TOPOLOGY_STATS_SAMPLE_RATE, 1.0)
            .with("words.file", plan.text.display().to_string());
        if let Some(seconds) = plan.seconds {
            conf.set("words.seconds", seconds);
        }
        Ok(Submission {
            topology: topology(plan),
            jar: jar()?,
            conf,
        })
    }
}

fn topology(plan: &Plan<'_>) -> StormTopology {
    let lines = SpoutSpec {
        spout_object: python("lines.py"),
        common: ComponentCommon {
            streams: [
                stream("default", &["number", "line"]),
                stream("done", &["lines", "replays"]),
            ]
            .into(),
            parallelism_hint: Some(1),
            ..ComponentCommon::default()
        },
    };
    let shuffle = Grouping::Shuffle(NullStruct::default());
    let split = Bolt {
        bolt_object: python("split.py"),
        common: ComponentCommon {
            inputs: [(from("lines", "default"), shuffle.clone())].into(),
            streams: [stream("default", &["word", "number", "position"])].into(),
            parallelism_hint: Some(2),
            ..ComponentCommon::default()
        },
    };
    let count = Bolt {
        bolt_object: native("stormwire.CountOnce", plan.totals),
        common: ComponentCommon {
            inputs: [(
                from("split", "default"),
                Grouping::Fields(vec!["word".to_owned()]),
            )]
            .into(),
            streams: [stream("default", &["word", "count"])].into(),
            parallelism_hint: Some(2),
            ..ComponentCommon::default()
        },
    };
    let done = Bolt {
        bolt_object: native("stormwire.FileSink", plan.done),
        common: ComponentCommon {
            inputs: [(from("lines", "done"), shuffle)].into(),
            parallelism_hint: Some(1),
            ..ComponentCommon::default()
        },
    };
    StormTopology {
        spouts: [("lines".to_owned(), lines)].into(),
        bolts: BTreeMap::from([
            ("split".to_owned(), split),
            ("count".to_owned(), count),
            ("done".to_owned(), done),
        ]),
        ..StormTopology::default()
    }
}

fn python(script: &str) -> ComponentObject {
    ComponentObject::Shell(ShellComponent {
        execution_command: Some("python3".to_owned()),
        script: Some(script.to_owned()),
    })
}

fn native(class: &str, path: &Path) -> ComponentObject {
    ComponentObject::JavaObject(JavaObject {
        full_class_name: class.to_owned(),
        args_list: vec![JavaObjectArg::StringArg(path.display().to_string())],
    })
}

fn stream(id: &str, fields: &[&str]) -> (String, StreamInfo) {
    let output_fields = fields.iter().map(|field| (*field).to_owned()).collect();
    (
        id.to_owned(),
        StreamInfo {
            output_fields,
            direct: false,
        },
    )
}

fn from(component: &str, stream: &str) -> GlobalStreamId {
    GlobalStreamId {
        component_id: component.to_owned(),
        stream_id: stream.to_owned(),
    }
}

fn jar() -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in SCRIPTS {
        zip.start_file(format!("resources/{name}"), SimpleFileOptions::default())?;
        zip.write_all(text.as_bytes())?;
    }
    Ok(zip.finish()?.into_inner())
}

const SCRIPTS: [(&str, &str); 3] = [
    ("lines.py", include_str!("../../../examples/words/lines.py")),
    ("split.py", include_str!("../../../examples/words/split.py")),
    (
        "multilang.py",
        include_str!("../../../examples/words/multilang.py"),
    ),
];
