//! The types and services that `thrift/` generates from its IDL files when the crate is built.
//!
//! Nothing is written here by hand. The shape of the generated code is that of `thrift/emit.rs`.

/// Storm's contract, from `thrift/storm.thrift`.
#[allow(clippy::large_enum_variant, clippy::result_large_err, missing_docs)]
pub mod storm {
    include!(concat!(env!("OUT_DIR"), "/storm.rs"));
}

/// Our own contract, from `thrift/messages.thrift`.
#[allow(clippy::large_enum_variant, clippy::result_large_err, missing_docs)]
pub mod messages {
    include!(concat!(env!("OUT_DIR"), "/messages.rs"));
}
