//! The server's sources are a house of layers.

#[cfg(test)]
mod layers;
