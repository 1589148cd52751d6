//! Networks for trying out: every key, certificate and configuration of one, made in one folder.

pub mod names;
