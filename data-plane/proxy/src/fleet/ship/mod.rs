//! Recorded traffic on its way to the control plane, on a connection of its own: bulk delays no configuration.
//!
//! A segment is offered when it is sealed, sent when it is wanted, and forgotten when it is stored; whatever breaks in between is said
//! again on the next line. So each segment is delivered at least once, and the control plane drops what it has.
//!
//! | Part | Does |
//! |---|---|
//! | [`desk`] | which segments are offered, wanted, under way: without socket, disk or clock |
//! | [`line`] | one line, from the greeting to its end |
//! | [`shipping`] | dials again for as long as the gateway serves |

mod desk;
mod line;
mod shipping;

pub(super) use shipping::Shipping;
