//! The simulator as a page sees it: real TLS, real WebSockets, real HTTP.

mod client;
mod control;
mod linking;
mod media;
mod network;
mod receiving;
mod sending;
