//! Which streams exist, with their fields: names for people, dense numbers for the tuple path.
//!
//! Does not know subscriptions or groupings. Stream numbers are ours and never Storm's wire
//! indices.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::id::{ComponentId, StreamId};
use crate::topology::{self, StreamDeclaration};
use crate::wire::storm::StormTopology;

use super::error::{Place, TupleError};

/// The names of a stream's values, in order, each once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fields(Arc<[Arc<str>]>);

/// Place of a stream in its `StreamTable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamNumber(pub u32);

/// A stream as its component declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    pub component: ComponentId,
    pub stream: StreamId,
    pub fields: Fields,
    /// The emitter names the task that receives (data-plane 2.7).
    pub direct: bool,
}

/// All streams of a system topology. Equal topologies give equal numbers in every worker.
#[derive(Debug)]
pub struct StreamTable {
    /// Sorted by component, then stream; the position is the number.
    streams: Vec<StreamInfo>,
    is_tick: Vec<bool>,
    n_fields_max: usize,
    digest: u64,
}

/// Why streams cannot form a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamTableError {
    #[error("duplicate field {field} in stream {stream} of component {component}")]
    DuplicateField {
        component: ComponentId,
        stream: StreamId,
        field: Arc<str>,
    },
    #[error("stream {stream} of component {component} is declared twice")]
    DuplicateStream {
        component: ComponentId,
        stream: StreamId,
    },
    #[error("stream {stream} of component {component} has {n_fields} fields, at most {FIELDS_MAX}")]
    TooManyFields {
        component: ComponentId,
        stream: StreamId,
        n_fields: usize,
    },
    #[error("too many streams: {n_streams}")]
    TooManyStreams { n_streams: usize },
}

// === impl Fields ===

impl Fields {
    /// `Err` gives the first name that occurs twice.
    pub fn new<S: Into<Arc<str>>>(names: impl IntoIterator<Item = S>) -> Result<Self, Arc<str>> {
        let names: Arc<[Arc<str>]> = names.into_iter().map(Into::into).collect();
        let mut seen = HashSet::with_capacity(names.len());
        for name in names.iter() {
            if !seen.insert(name) {
                return Err(name.clone());
            }
        }
        drop(seen);
        Ok(Fields(names))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Position of the field of that name.
    #[inline]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|field| field.as_ref() == name)
    }

    pub fn name(&self, index: usize) -> Option<&str> {
        self.0.get(index).map(AsRef::as_ref)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.0.iter().map(AsRef::as_ref)
    }
}

// === impl StreamInfo ===

impl TryFrom<StreamDeclaration> for StreamInfo {
    type Error = StreamTableError;

    fn try_from(declared: StreamDeclaration) -> Result<Self, Self::Error> {
        let StreamDeclaration {
            component,
            stream,
            fields,
            direct,
        } = declared;
        match Fields::new(fields) {
            Ok(fields) => Ok(StreamInfo {
                component,
                stream,
                fields,
                direct,
            }),
            Err(field) => Err(StreamTableError::DuplicateField {
                component,
                stream,
                field,
            }),
        }
    }
}

// === impl StreamTable ===

impl StreamTable {
    /// Numbers the streams by component, then stream; the order given does not matter.
    pub fn new(streams: impl IntoIterator<Item = StreamInfo>) -> Result<Self, StreamTableError> {
        let mut sorted = BTreeMap::new();
        for info in streams {
            if info.fields.len() > FIELDS_MAX {
                return Err(StreamTableError::TooManyFields {
                    n_fields: info.fields.len(),
                    component: info.component,
                    stream: info.stream,
                });
            }
            let key = (info.component.clone(), info.stream.clone());
            if let Some(StreamInfo {
                component, stream, ..
            }) = sorted.insert(key, info)
            {
                return Err(StreamTableError::DuplicateStream { component, stream });
            }
        }
        let streams: Vec<_> = sorted.into_values().collect();
        let n_streams = streams.len();
        if u32::try_from(n_streams).is_err() {
            return Err(StreamTableError::TooManyStreams { n_streams });
        }
        let is_tick = |info: &StreamInfo| {
            info.component.as_str() == SYSTEM_COMPONENT && info.stream.as_str() == TICK_STREAM
        };
        Ok(StreamTable {
            is_tick: streams.iter().map(is_tick).collect(),
            n_fields_max: streams
                .iter()
                .map(|info| info.fields.len())
                .max()
                .unwrap_or(0),
            digest: digest(&streams),
            streams,
        })
    }

    /// The streams of a system topology.
    pub fn of_topology(system: &StormTopology) -> Result<Self, StreamTableError> {
        let declared = topology::streams(system)
            .into_iter()
            .map(StreamInfo::try_from);
        StreamTable::new(declared.collect::<Result<Vec<_>, _>>()?)
    }

    /// Whether a tuple of that stream has this many values.
    #[inline]
    pub fn check_arity(&self, number: StreamNumber, n_values: usize) -> Result<(), TupleError> {
        match self.get(number) {
            Some(info) if info.fields.len() == n_values => Ok(()),
            Some(info) => Err(wrong_arity(info, n_values)),
            None => Err(TupleError::UnknownStream { stream: number }),
        }
    }

    /// What number `number` names; `None` for a number of another table.
    #[inline]
    pub fn get(&self, number: StreamNumber) -> Option<&StreamInfo> {
        self.streams.get(number.0 as usize)
    }

    /// The number of a stream. Looks through names: resolve once, not per tuple.
    pub fn number(&self, component: &str, stream: &str) -> Option<StreamNumber> {
        let place = |info: &StreamInfo| {
            let component = info.component.as_str().cmp(component);
            component.then_with(|| info.stream.as_str().cmp(stream))
        };
        let position = self.streams.binary_search_by(place).ok()?;
        u32::try_from(position).ok().map(StreamNumber)
    }

    pub fn len(&self) -> usize {
        self.streams.len()
    }

    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// How many fields the widest stream has.
    pub fn n_fields_max(&self) -> usize {
        self.n_fields_max
    }

    /// All streams in the order of their numbers.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (StreamNumber, &StreamInfo)> {
        let numbered = self.streams.iter().enumerate();
        numbered.map(|(index, info)| (StreamNumber(index as u32), info))
    }

    /// Equal for equal tables and, but for rare collisions, only for those. Two workers whose
    /// digests differ would misread each other's stream numbers.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    #[inline]
    pub(super) fn is_tick(&self, number: StreamNumber) -> bool {
        self.is_tick
            .get(number.0 as usize)
            .copied()
            .unwrap_or(false)
    }
}

#[cold]
fn wrong_arity(info: &StreamInfo, found: usize) -> TupleError {
    TupleError::Arity {
        at: Place::stream(info),
        declared: info.fields.len(),
        found,
    }
}

/// FNV-1a over all names, each with its length before it.
fn digest(streams: &[StreamInfo]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut feed = |bytes: &[u8]| {
        let length = (bytes.len() as u64).to_le_bytes();
        for byte in length.iter().chain(bytes) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for info in streams {
        feed(info.component.as_str().as_bytes());
        feed(info.stream.as_str().as_bytes());
        feed(&[u8::from(info.direct)]);
        feed(&(info.fields.len() as u64).to_le_bytes());
        info.fields.iter().for_each(|name| feed(name.as_bytes()));
    }
    hash
}

/// Most fields of one stream: rows count their values in 16 bits.
pub const FIELDS_MAX: usize = u16::MAX as usize;

const SYSTEM_COMPONENT: &str = "__system";
const TICK_STREAM: &str = "__tick";

#[cfg(test)]
mod tests {
    use super::*;

    fn info(component: &str, stream: &str, fields: &[&str]) -> StreamInfo {
        StreamInfo {
            component: component.into(),
            stream: stream.into(),
            fields: Fields::new(fields.iter().copied()).unwrap(),
            direct: false,
        }
    }

    #[test]
    fn numbers_do_not_depend_on_the_order_of_declaration() {
        let streams = [
            info("words", "default", &["word"]),
            info("__system", "__tick", &["rate_secs"]),
            info("count", "default", &["word", "count"]),
        ];
        let forwards = StreamTable::new(streams.clone()).unwrap();
        let backwards = StreamTable::new(streams.into_iter().rev()).unwrap();
        assert_eq!(forwards.digest(), backwards.digest());
        for (number, info) in forwards.iter() {
            assert_eq!(backwards.get(number), Some(info));
            let by_name = forwards.number(info.component.as_str(), info.stream.as_str());
            assert_eq!(by_name, Some(number));
        }
        assert_eq!(forwards.number("words", "other"), None);
        let tick = forwards.number("__system", "__tick").unwrap();
        assert!(forwards.is_tick(tick));
        assert_eq!(
            forwards
                .iter()
                .filter(|(n, _)| forwards.is_tick(*n))
                .count(),
            1
        );
    }

    #[test]
    fn the_digest_tells_tables_apart() {
        let digest = |info| StreamTable::new([info]).unwrap().digest();
        let base = digest(info("a", "s", &["x", "y"]));
        assert_ne!(base, digest(info("a", "s", &["y", "x"])));
        assert_ne!(base, digest(info("a", "s", &["xy"])));
        assert_ne!(base, digest(info("as", "", &["x", "y"])));
        let mut direct = info("a", "s", &["x", "y"]);
        direct.direct = true;
        assert_ne!(base, digest(direct));
    }

    #[test]
    fn a_topology_gives_its_streams() {
        let declare = |fields: &[&str]| crate::wire::storm::StreamInfo {
            output_fields: fields.iter().map(|field| field.to_string()).collect(),
            direct: true,
        };
        let mut topology = StormTopology::default();
        let spout = topology.spouts.entry("words".into()).or_default();
        spout
            .common
            .streams
            .insert("default".into(), declare(&["word", "at"]));
        let table = StreamTable::of_topology(&topology).unwrap();
        let number = table.number("words", "default").unwrap();
        let StreamInfo { fields, direct, .. } = table.get(number).unwrap();
        assert_eq!(
            (fields.iter().collect::<Vec<_>>(), *direct),
            (vec!["word", "at"], true)
        );
        assert_eq!(table.check_arity(number, 2), Ok(()));
        assert!(table.check_arity(number, 3).is_err());

        let spout = topology.spouts.entry("words".into()).or_default();
        spout
            .common
            .streams
            .insert("twice".into(), declare(&["x", "x"]));
        let error = StreamTable::of_topology(&topology).unwrap_err();
        assert_eq!(
            error.to_string(),
            "duplicate field x in stream twice of component words"
        );
    }

    #[test]
    fn doubles_are_refused() {
        assert_eq!(Fields::new(["a", "b", "a"]), Err("a".into()));
        let twice = StreamTable::new([info("a", "s", &[]), info("a", "s", &["x"])]);
        assert!(matches!(
            twice,
            Err(StreamTableError::DuplicateStream { .. })
        ));
    }
}
