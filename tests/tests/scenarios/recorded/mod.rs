//! What is recorded of the traffic, seen from outside: on a node's disk, in the control plane's tapes, and nowhere else.

mod damage;
mod deaths;
mod following;
mod fragments;
mod full_disk;
mod node;
mod object_store;
mod secrets;
mod spool;
mod tapes;
mod whatever_dies;
