//! Waiting for several futures at once: `select!`, `join!` and `try_join!`.
//!
//! The macros name things and pin them; what can be a function is one, in [`support`].

mod join;
mod select;
pub mod support;
