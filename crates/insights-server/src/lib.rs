//! A stand-in for Logs Insights that really evaluates the queries it is given.
//!
//! No public emulator evaluates `stats`: all answer `Complete` with wrong rows, so a wrong query
//! passes. This one is written from the language reference and refuses, with a position, whatever
//! it does not know. Where the reference is silent it refuses too, or picks the reading that is
//! stated beside the code. It must know nothing of nat-triage: it evaluates text over log events.
//!
//! Data flows `lexer` → `parser` → `compile` → `run`; [`Query`] is that path without HTTP, and
//! [`InsightsServer`] puts the API's query life, paging and errors in front of it.

mod aggregate;
mod api;
mod ast;
mod compile;
mod constructs;
mod dialect;
mod expression;
mod extract;
mod faults;
mod functions;
mod lexer;
mod life;
mod malformed;
mod parser;
mod plan;
mod query;
mod run;
mod server;
mod store;
mod value;

pub use dialect::Dialect;
pub use faults::{Fault, Faults, Operation, QueryEnd, Times};
pub use life::Pacing;
pub use malformed::MalformedQuery;
pub use query::{Output, Query, RunError, Statistics, Window};
pub use server::{InsightsServer, Request};
pub use store::{LogEvent, LogGroup, LogGroupClass, Store};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
