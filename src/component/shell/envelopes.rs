//! What the messages of tuples have in common, written once for each source: a task and its stream.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::component::multilang::{Encoder, Envelope, TupleSource};
use crate::id::TaskId;
use crate::tuple::{StreamNumber, Tuple};

/// The envelopes of one child, as many as it has had sources.
#[derive(Debug, Default)]
pub struct Envelopes {
    encoder: Encoder,
    by_source: HashMap<(TaskId, StreamNumber), Envelope, RandomState>,
}

// === impl Envelopes ===

impl Envelopes {
    /// That of a tuple. A child's encoder changes once at most: when it turns out what it speaks.
    pub fn of(&mut self, tuple: &Tuple<'_>, encoder: Encoder) -> &Envelope {
        if self.encoder != encoder {
            self.by_source.clear();
            self.encoder = encoder;
        }
        let source = (tuple.source_task(), tuple.stream_number());
        self.by_source.entry(source).or_insert_with(|| {
            let source = TupleSource {
                component: Some(tuple.source_component().as_str()),
                stream: tuple.source_stream().as_str(),
                task: tuple.source_task(),
            };
            Envelope::new(encoder, source)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::multilang::Serializer;
    use crate::testing::allocations;
    use crate::values;
    use crate::worker::harness::Harness;

    #[test]
    fn a_known_source_costs_no_allocation() {
        let mut envelopes = Envelopes::default();
        let mut harness = Harness::new(&[]);
        let tuple = harness.input(&values!["a"]);
        let mut out = Vec::with_capacity(4096);
        let mut write = || {
            let envelope = envelopes.of(&tuple.view(), Encoder::default());
            out.clear();
            let values = tuple.view().values();
            envelope.tuple(&mut out, "7", values).unwrap();
        };
        write();
        let (n_allocations, ()) = allocations::during(|| (0..1000).for_each(|_| write()));
        assert_eq!(n_allocations, 0);
    }

    #[test]
    fn each_source_and_each_encoder_has_its_own() {
        let mut envelopes = Envelopes::default();
        let mut harness = Harness::new(&[]);
        let tuple = harness.input(&values!["a"]);
        let tick = harness.tick();
        let json = Encoder::default();
        let mut write = |tuple: &Tuple<'_>, encoder| {
            let mut out = Vec::new();
            let envelope = envelopes.of(tuple, encoder);
            envelope.tuple(&mut out, "7", tuple.values()).unwrap();
            out
        };
        let first = write(&tuple.view(), json);
        let of_tick = String::from_utf8(write(&tick.view(), json)).unwrap();
        assert!(of_tick.contains("__tick"), "{of_tick}");
        let packed = Encoder {
            serializer: Serializer::MessagePack,
            ..json
        };
        assert_eq!(write(&tuple.view(), packed).first(), Some(&0x85));
        assert_eq!(write(&tuple.view(), json), first);
        let text = String::from_utf8(first).unwrap();
        assert!(text.starts_with("{\"comp\":\""), "{text}");
        assert!(!text.contains("__tick"), "{text}");
    }
}
