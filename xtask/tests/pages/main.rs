//! Tests that what the pages say about the tree is true.
#![cfg(test)]

mod docs;
mod words;
